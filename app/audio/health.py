"""Whether sound can be that of a working microphone: digital silence, clipping and DC, in plain words."""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

JUDGED_S = 10  # seconds over which sound is judged
FAINT_RANGE = 4  # highest less lowest sample: the converter's own noise
CLIPPED_SHARE = 0.01
DC_LEVEL = 1638  # 5 % of full scale
FLOOR_DBFS = -96.0

SILENCE = "digital silence, every sample is 0: the microphone is muted or dead"
STUCK = "every sample has the same value: the microphone is dead"
FAINT = "almost no signal: the microphone is not plugged in, or its capture volume is at its lowest"
CLIPPING = "clipping, more than 1 % of the samples are at full scale: lower the capture volume"
DC = "a DC offset of more than 5 % of full scale: the microphone or its cable is faulty"


class Second(NamedTuple):
    """What is known of a second of sound, in LSB: lowest, highest and mean sample, how many were clipped, power."""

    low: int
    high: int
    mean: float
    clipped: int
    power: float

    @classmethod
    def of(cls, sound: Samples) -> "Second":
        """From the [n] int16 of it, n at least 1."""
        x = sound.astype(np.float32)
        low, high = int(sound.min()), int(sound.max())
        loud = high >= 32767 or low <= -32767
        clipped = int(np.count_nonzero((sound >= 32767) | (sound <= -32767))) if loud else 0
        return cls(low, high, float(x.mean()), clipped, float(x @ x) / len(x))

    @property
    def dbfs(self) -> float:
        """RMS, not below FLOOR_DBFS."""
        return max(FLOOR_DBFS, 10 * math.log10(self.power / 2**30)) if self.power else FLOOR_DBFS


def complaint_of(seconds: Sequence[Second]) -> str | None:
    """What is wrong with sound of at least a second, None if nothing is."""
    low, high = min(second.low for second in seconds), max(second.high for second in seconds)
    if low == high:
        return STUCK if low else SILENCE
    if high - low <= FAINT_RANGE:
        return FAINT
    if sum(second.clipped for second in seconds) > CLIPPED_SHARE * len(seconds) * SAMPLE_RATE_HZ:
        return CLIPPING
    if abs(sum(second.mean for second in seconds)) > DC_LEVEL * len(seconds):
        return DC
    return None


class Health:
    """Judges 16 kHz sound second by second; `complaint` is about the last ten, None while all is well."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque(maxlen=JUDGED_S)
        self._pending: list[Samples] = []
        self._count = 0
        self.complaint: str | None = None
        self.level_dbfs = FLOOR_DBFS  # RMS of the last second
        self.good_seconds = 0  # one after another up to now, each with sound in it

    def feed(self, samples: Samples) -> None:
        """The next [n] int16."""
        self._pending.append(samples)
        self._count += len(samples)
        if self._count >= SAMPLE_RATE_HZ:
            self._judge(Second.of(np.concatenate(self._pending)))
            self._pending, self._count = [], 0

    def gap(self) -> None:
        """Sound is missing here: what was before says nothing of what follows."""
        self._seconds.clear()
        self._pending, self._count, self.good_seconds, self.complaint = [], 0, 0, None

    def _judge(self, second: Second) -> None:
        self._seconds.append(second)
        self.level_dbfs = second.dbfs
        self.complaint = complaint_of(self._seconds) if len(self._seconds) == JUDGED_S else None
        self.good_seconds = 0 if second.low == second.high or self.complaint else self.good_seconds + 1
