"""The Wyoming service beside the daemon's own microphone, in a thread of its own."""

import asyncio
import logging
import threading
from contextlib import suppress

from ..errors import HarkError
from .output import Output
from .wyoming_service import WyomingService

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STOPPING_S = 2.0


class WyomingOutput(Output):
    """Serves as long as the daemon runs; the daemon's own events do not go here, a client's sound does."""

    sections = ("model", "detection")

    def __init__(self, service: WyomingService) -> None:
        self._service = service

    def start(self) -> None:
        """Serve soon; a place that cannot be had is tried again."""
        self._loop, self._stopping = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="wyoming", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all connections."""
        with suppress(RuntimeError):  # the loop ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception:
            log.exception("wyoming: ended; the daemon goes on without it")
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                await self._service.serve(self._stopping)
            except HarkError as error:
                if pause_s == _FIRST_PAUSE_S:
                    log.error("%s; it is tried again", error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
