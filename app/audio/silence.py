"""How much of a recording no microphone heard: digital silence, or one value over and over, and no quiet room."""

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .health import JUDGED_S

LEAST_SAMPLES = JUDGED_S * SAMPLE_RATE_HZ  # shorter runs are pauses of a sound that was cut or made


class SilenceMeter:
    """Counts the samples that lie in runs of equal ones, ten seconds long or longer."""

    def __init__(self) -> None:
        self._ended = 0
        self.run = 0  # equal samples up to now
        self._last: np.int16 | None = None

    def feed(self, sound: Samples) -> None:
        """The next [n] int16 at 16 kHz."""
        if not len(sound):
            return
        changes = np.flatnonzero(np.diff(sound, prepend=sound[0] if self._last is None else self._last))
        if len(changes):
            runs = np.diff(changes, prepend=-self.run)
            self._ended += int(runs[runs >= LEAST_SAMPLES].sum())
            self.run = len(sound) - int(changes[-1])
        else:
            self.run += len(sound)
        self._last = sound[-1]

    @property
    def samples(self) -> int:
        """Of silence up to now."""
        return self._ended + (self.run if self.run >= LEAST_SAMPLES else 0)
