"""How a live run is followed: as lines, with a progress bar, or in the live view."""

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from tinyhark.dsp.decision import Step
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .detection import Detection
from .live import Block, Watcher
from .progress import progress

if TYPE_CHECKING:
    from rich.console import Console

    from .labels import Said
    from .live_view import LiveView
    from .spotter import Spotter

_FRAMES_PER_SECOND = 10
_EVENTS_KEPT = 200  # more than any terminal has rows


class Lines(Watcher):
    """Gives each event as one line to `write`."""

    def __init__(self, write: Callable[[str], None], line: Callable[[Detection], str]) -> None:
        self._write, self._line = write, line

    def event(self, detection: Detection) -> None:
        """Write its line."""
        self._write(self._line(detection))


class LinesAndCondition(Lines):
    """`Lines`, and to `tell` the `condition` of the source, at first and whenever it is another one."""

    def __init__(
        self,
        write: Callable[[str], None],
        line: Callable[[Detection], str],
        condition: Callable[[], str],
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(write, line)
        self._condition, self._tell = condition, tell
        self._told = ""

    def __enter__(self) -> Self:
        self._look()
        return self

    def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
        """Look whether something has changed."""
        del block, end_sample, lag_s
        self._look()

    def _look(self) -> None:
        if (condition := self._condition()) != self._told:
            self._told = condition
            self._tell(condition)


class ProgressBar(Watcher):
    """How much of a recording is done, on a standard error that is a terminal; nothing elsewhere."""

    def __init__(self, total_s: float) -> None:
        self._bar = progress("hearing", total_s)

    def __enter__(self) -> Self:
        self._advance = self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
        """Move on."""
        del end_sample, lag_s
        self._advance(len(block.samples) / SAMPLE_RATE_HZ)


class LiveTerminal(Watcher):
    """Shows a live view on a terminal, ten times a second.

    A thread of its own draws it, so that a terminal that is slow or stopped never holds up the sound.
    """

    def __init__(self, view: "LiveView", console: "Console") -> None:
        self._state = view.state
        self._view, self._console = view, console

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(
            self._view,
            console=self._console,
            screen=True,
            refresh_per_second=_FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            self._live.start(refresh=True)
        except BaseException:  # Ctrl-C, too; what was not started in full cannot be stopped
            self._console.set_alt_screen(False)
            self._console.show_cursor()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, step: Step) -> None:
        """Take it into the view."""
        self._state.step(step)

    def event(self, detection: Detection) -> None:
        """Take it into the view."""
        self._state.event(detection)

    def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
        """Take it into the view."""
        self._state.sound(block.samples, end_sample, block.lost_samples, lag_s)


def can_show_live(stream: IO[str]) -> bool:
    """Whether a live view can be shown there: a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def live_terminal(
    spotter: "Spotter",
    source: Callable[[], str],
    *,
    complaint: Callable[[], str | None] = lambda: None,
    said: "Sequence[Said] | None" = None,
    total_samples: int | None = None,
    time_label: Callable[[int], str] | None = None,
) -> LiveTerminal:
    """The live view of a spotter on standard output; the rest is as LiveView has it."""
    from rich.console import Console

    from .live_drawing import clock
    from .live_state import LiveState
    from .live_view import LiveView

    thresholds = [parameters.threshold for parameters in spotter.parameters]
    state = LiveState(spotter.keywords, thresholds, events_kept=_EVENTS_KEPT if said is None else None)
    view = LiveView(state, spotter.name, source, complaint, said, total_samples, time_label or clock)
    return LiveTerminal(view, Console(highlight=False))
