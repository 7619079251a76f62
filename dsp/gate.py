"""The level gate: tells where a stream is digital silence or stationary quiet, so that no network need listen there.

Level of a frame: the mean of its log-mel bands. The floor is the lowest level of late: it falls at once and rises by
half a log2 unit (1.5 dB) a second. A frame is quiet while its level is within three quarters of a log2 unit (2.25 dB)
of the floor.
"""

import numpy as np

from .front_end import HOPS_SAMPLES, Frames
from .tables import BANDS, LOG_BITS, SAMPLE_RATE_HZ

_UNIT = BANDS << LOG_BITS  # one log2 unit in the sum of all bands
_MARGIN = 3 * _UNIT // 4  # a whole unit lost words that hardly rise above a loud steady noise
_RISE_PER_S = _UNIT // 2
_LONG = 1 << 40  # frames: before a stream, all was silent


class Gate:
    """Counts the quiet frames of a stream; hop: 160 or 320 samples, else ValueError.

    The floor begins at digital silence. So nothing but silence counts as quiet until the floor has risen to the noise
    of the room, ten to thirty seconds after the start.
    """

    def __init__(self, hop: int) -> None:
        if hop not in HOPS_SAMPLES:
            raise ValueError(f"hop is {hop} samples; it must be one of {HOPS_SAMPLES}")
        self._rise = _RISE_PER_S * hop // SAMPLE_RATE_HZ
        self.reset()

    def reset(self) -> None:
        """Forget the stream: silence came before the next frame."""
        self._floor = 0
        self._run = _LONG

    def feed(self, log_mel: Frames) -> list[int]:
        """Next [frames, 40] log-mel Q16 -> for each frame, how many in a row have been quiet up to it and with it."""
        runs = []
        for level in log_mel.sum(axis=1, dtype=np.int64).tolist():  # Q16 times 40
            self._floor = min(level, self._floor + self._rise)
            self._run = self._run + 1 if level - self._floor <= _MARGIN else 0
            runs.append(self._run)
        return runs
