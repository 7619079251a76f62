"""The base of outputs that talk to others: an event loop in a thread of its own, and patience with a taken place."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from ..errors import HarkError
from .output import Output

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0

Had = TypeVar("Had")


class LoopOutput(Output):
    """Runs `serve` from `start` to `stop`; the thread that hears never waits for it.

    name: of its section. stopping_s: how long `stop` waits for its end.
    """

    name = ""
    stopping_s = 1.0

    def start(self) -> None:
        """Serve soon."""
        self._loop, self._stopping = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait a little for that."""
        self.call(self._stopping.set)
        self._thread.join(self.stopping_s)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Do it all, in the event loop, until `stopping` is set."""
        raise NotImplementedError

    def call(self, act: Callable[..., object], *arguments: object) -> None:
        """Have the event loop do something, unless it has ended."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(act, *arguments)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self.serve(self._stopping))
        except Exception:
            log.exception("%s: ended; the daemon goes on without it", self.name)


async def when_it_can_be_had(attempt: Callable[[], Awaitable[Had]], stopping: asyncio.Event) -> Had | None:
    """Try until it works -> what `attempt` gave, None where it was told to stop before; its HarkError is told once."""
    pause_s = _FIRST_PAUSE_S
    while not stopping.is_set():
        try:
            return await attempt()
        except HarkError as error:
            if pause_s == _FIRST_PAUSE_S:
                log.error("%s; it is tried again", error)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stopping.wait()
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return None
