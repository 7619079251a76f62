"""The Wyoming service beside the daemon's own microphone, in a thread of its own."""

import asyncio

from .loop_output import LoopOutput, when_it_can_be_had
from .wyoming_service import WyomingService


class WyomingOutput(LoopOutput):
    """Serves as long as the daemon runs; the daemon's own events do not go here, a client's sound does."""

    name = "wyoming"
    stopping_s = 2.0
    sections = ("model", "detection")

    def __init__(self, service: WyomingService) -> None:
        self._service = service

    async def serve(self, stopping: asyncio.Event) -> None:
        """Serve clients; a place that cannot be had is tried again."""
        await when_it_can_be_had(lambda: self._service.serve(stopping), stopping)
