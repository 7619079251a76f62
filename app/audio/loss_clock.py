"""How much sound a device lost, and when what came was heard, by the clock."""

from collections import deque

_TOLD_LOSS_S = 0.02  # an overflow that cost less than this cannot be told from jitter
_SILENT_LOSS_S = 0.25  # a device may lose sound, or sleep, without saying so
_SETTLED_READS = 5  # so many reads in a row must be late by that
_DRIFT = 2e-3  # seconds a second: how far the clock of a device may be off


class LossClock:
    """How much sound a device lost: time went on while frames did not come.

    Each read is late by the time that passed less the sound that came. That grows for good when sound is lost, for a
    moment when a read is late, and slowly where the clock of the device is slow, which adds up to nothing here. While
    as much as was read still waits, a reader that was held up catches up, and no loss is judged. `heard_s`: when the
    last frame of the newest read was heard.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._accounted = 0  # frames that came or are told as lost
        self._base_s: float | None = None  # how late a read is when nothing is lost
        self._last_s = 0.0
        self._late_s: deque[float] = deque(maxlen=_SETTLED_READS)
        self._overflowed = self._paused = False
        self.heard_s = 0.0

    def lost_frames(self, now_s: float, frames: int, waiting: int, overflowed: bool) -> int:
        """After a read at `now_s` of `frames`, with `waiting` in the buffer: frames lost, where that is known."""
        self._accounted += frames
        self._overflowed |= overflowed
        newest_s = now_s - waiting / self._rate_hz
        late_s = newest_s - self._accounted / self._rate_hz
        if self._base_s is None:
            self._base_s, self._last_s = late_s, now_s
        caught_up = waiting < frames
        lost = self._judged(now_s, late_s, self._base_s) if caught_up else 0
        self._accounted += lost
        heard_s = min(newest_s, self._base_s + self._accounted / self._rate_hz)
        # Twice in a row much less came than time passed: it paused, or a loss is going to be told.
        paused = caught_up and newest_s - heard_s >= _SILENT_LOSS_S
        self.heard_s = newest_s if paused and self._paused else heard_s
        self._paused = paused
        return lost

    def _judged(self, now_s: float, late_s: float, base_s: float) -> int:
        """Frames lost up to a read that was late by so much; keeps to the clock of the device where none were."""
        self._late_s.append(late_s)
        settled = len(self._late_s) == _SETTLED_READS
        told, self._overflowed = self._overflowed, False
        missing_s = (late_s if told else min(self._late_s)) - base_s
        if missing_s >= _TOLD_LOSS_S if told else settled and missing_s >= _SILENT_LOSS_S:
            self._late_s.clear()
            return round(missing_s * self._rate_hz)
        if settled:
            drift_s = _DRIFT * (now_s - self._last_s)
            base_s += max(-drift_s, min(missing_s, drift_s))
            self._base_s = min(base_s, max(self._late_s))
        self._last_s = now_s
        return 0
