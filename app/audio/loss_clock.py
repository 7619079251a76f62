"""How much sound a device lost, by the clock."""

from collections import deque

_TOLD_LOSS_S = 0.02  # an overflow that cost less than this cannot be told from jitter
_SILENT_LOSS_S = 0.25  # a device may lose sound, or sleep, without saying so
_SETTLED_READS = 5  # so many reads in a row must be late by that
_DRIFT = 2e-3  # seconds a second: how far the clock of a device may be off


class LossClock:
    """How much sound a device lost: time went on while frames did not come.

    Each read is late by the time that passed less the sound that came. That grows for good when sound is lost, for a
    moment when a read is late, and slowly where the clock of the device is slow, which adds up to nothing here.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._accounted = 0  # frames that came or are told as lost
        self._base_s: float | None = None  # how late a read is when nothing is lost
        self._last_s = 0.0
        self._late_s: deque[float] = deque(maxlen=_SETTLED_READS)

    def lost_frames(self, now_s: float, frames: int, waiting: int, overflowed: bool) -> int:
        """After a read at `now_s` of `frames`, with `waiting` in the buffer: frames lost, where that is known."""
        self._accounted += frames
        late_s = now_s - (self._accounted + waiting) / self._rate_hz
        if self._base_s is None:
            self._base_s, self._last_s = late_s, now_s
        self._late_s.append(late_s)
        settled = len(self._late_s) == _SETTLED_READS
        missing_s = (late_s if overflowed else min(self._late_s)) - self._base_s
        if missing_s >= _TOLD_LOSS_S if overflowed else settled and missing_s >= _SILENT_LOSS_S:
            lost = round(missing_s * self._rate_hz)
            self._accounted += lost
            self._late_s.clear()
            return lost
        if settled:
            drift_s = _DRIFT * (now_s - self._last_s)
            self._base_s += max(-drift_s, min(missing_s, drift_s))
        self._last_s = now_s
        return 0
