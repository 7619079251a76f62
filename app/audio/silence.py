"""How much of a recording is digital silence: what a muted microphone leaves behind, and no quiet room."""

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .health import JUDGED_S

_LEAST_SAMPLES = JUDGED_S * SAMPLE_RATE_HZ  # shorter ones are pauses of a sound that was cut or made


class SilenceMeter:
    """Counts the samples that lie in runs of zeros, ten seconds long or longer."""

    def __init__(self) -> None:
        self._ended = self._run = 0

    def feed(self, sound: Samples) -> None:
        """The next [n] int16 at 16 kHz."""
        heard = np.flatnonzero(sound)
        if not len(heard):
            self._run += len(sound)
            return
        runs = np.diff(heard, prepend=-1 - self._run) - 1
        self._ended += int(runs[runs >= _LEAST_SAMPLES].sum())
        self._run = len(sound) - 1 - int(heard[-1])

    @property
    def samples(self) -> int:
        """Of silence up to now."""
        return self._ended + (self._run if self._run >= _LEAST_SAMPLES else 0)
