"""What the daemon counts, for its log, its status and its metrics."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from ..audio.health import FLOOR_DBFS

INFERENCE_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


@dataclass
class Histogram:
    """Values by upper bounds; `counts` has one more for those above all of them."""

    bounds: tuple[float, ...] = INFERENCE_BOUNDS_S
    counts: list[int] = field(default_factory=lambda: [0] * (len(INFERENCE_BOUNDS_S) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass
class Counters:
    """Counts since the start; written by the thread that hears, read by any. Those of the sound are the intake's."""

    events: Counter[str] = field(default_factory=Counter)  # by keyword
    inference_s: Histogram = field(default_factory=Histogram)  # for each block
    steps: int = 0  # of the decision
    heard_samples: int = 0
    lost_samples: int = 0  # dropped ones included
    dropped_samples: int = 0  # because the machine was too slow
    lag_s: float = 0.0
    level_dbfs: float = FLOOR_DBFS  # RMS of the last whole second
    reloads: int = 0


class DayCounts:
    """Detections of one day by keyword, counts only."""

    def __init__(self, today: date) -> None:
        self.day = today
        self.counts: Counter[str] = Counter()

    def add(self, keyword: str) -> None:
        """Count one."""
        self.counts[keyword] += 1

    def roll(self, now: datetime) -> tuple[date, Counter[str]] | None:
        """Begin a new day if `now` is in another one -> the day that is over and its counts."""
        if now.date() == self.day:
            return None
        over = self.day, self.counts
        self.day, self.counts = now.date(), Counter()
        return over
