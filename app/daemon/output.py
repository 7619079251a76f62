"""What every output is, and the simplest one: JSON lines on standard output."""

import logging
import os
import select

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Samples

from ..spotter import Spotter
from .event import Event, State

log = logging.getLogger(__name__)


class Output:
    """Takes events out of the daemon; the base of the others, does nothing.

    All methods are called by the thread that hears and return at once: what may wait does so in a thread of its own
    with a bounded queue, and an output whose peer is away says so once and goes on. sections: those of the
    configuration that it depends on beside its own.
    """

    sections: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin; raises HarkError for what cannot be mended by waiting."""

    def event(self, event: Event) -> None:
        """A keyword was heard."""

    def state(self, state: State) -> None:
        """The daemon's state is now this."""

    def muted(self, is_muted: bool) -> None:
        """The daemon lets no event leave from now on, or does again; it begins unmuted."""

    def heard(self, samples: Samples, step: Step | None, spotter: Spotter) -> None:
        """A block of [n] int16 was heard, n may be 0; the newest step, None where none was made yet or muted."""

    def stop(self) -> None:
        """End; the daemon stops, or goes on with another such output."""

    def retire(self) -> None:
        """End; the daemon goes on without such an output."""
        self.stop()


class JsonLines(Output):
    """Each event as a line of JSON to a file descriptor; a reader that does not read loses events."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._failed = False
        self.dropped = 0

    def event(self, event: Event) -> None:
        """Write its line, where that needs no waiting: a pipe that is ready takes a short line whole."""
        try:
            ready = select.poll()
            ready.register(self._descriptor, select.POLLOUT)
            if not ready.poll(0):
                raise TimeoutError(0, "its reader does not read")
            os.write(self._descriptor, (event.to_json() + "\n").encode())
            self._failed = False
        except OSError as error:
            self.dropped += 1
            if not self._failed:
                log.warning("stdout: events are lost: %s", error.strerror)
            self._failed = True
