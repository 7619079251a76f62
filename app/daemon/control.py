"""What the outputs may ask of the daemon, from any thread and from signal handlers."""

from collections.abc import Callable, Iterator

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..detection import Detection
from .config import Config, Preroll
from .counters import Counters
from .recent import Recent


class Control:
    """Mute, unmute, feedback, sound around a detection; made once and kept over reloads.

    Plain assignments, no lock: a signal handler interrupts the thread that hears. on_false_wake: set by who keeps such
    sound, None where nobody does. recent: the last sound, where it is wanted.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self.recent = Recent()
        self.on_false_wake: Callable[[], None] | None = None
        self._preroll: Preroll | None = None
        self._muted = False

    @property
    def is_muted(self) -> bool:
        """Whether no event leaves."""
        return self._muted

    def mute(self) -> None:
        """Let no event leave from now on."""
        self._muted = True

    def unmute(self) -> None:
        """Hear again; what was said until now does not fire."""
        self._muted = False

    def toggle(self) -> None:
        """Mute, or unmute."""
        self._muted = not self._muted

    def false_wake(self) -> bool:
        """Tell that the last detection was none -> whether its sound is kept, as [feedback] asks for."""
        act = self.on_false_wake
        if act is None:
            return False
        act()
        return True

    def settle(self, config: Config) -> None:
        """This configuration holds from now on."""
        self._preroll = config.preroll
        self.recent.wanted = config.preroll is not None or config.feedback is not None

    def sound_of(self, detection: Detection) -> Iterator[bytes] | None:
        """A WAV file of the sound around a detection, piece by piece as it comes; None without [preroll]."""
        preroll = self._preroll
        if preroll is None:
            return None
        start = detection.end_sample - round(preroll.before_s * SAMPLE_RATE_HZ)
        end = detection.end_sample + round(preroll.after_s * SAMPLE_RATE_HZ)
        return self.recent.read_wav(start, end)
