"""Choosing an operating point so that what is promised of it holds on other data.

Among many settings one always looks better than it is. So how many false accepts a choice may have is fixed by the
hours alone, and the settings are gone through from the strictest on. The loosest that has at most k lies just above the
score of false accept number k + 1. That number of events takes as long as a sum of k + 1 waiting times, whatever the
scores are like, hence, on other sound of the same kind:

- the expected rate is at most (k + 1) / hours;
- with confidence 1 - error it is below the exact bound for k events (`intervals.poisson_upper`);
- the number of events in some further hours has a negative binomial distribution (`most_ahead`).

For misses it is the same with words in place of hours: the expected share is at most (j + 1) / (words + 1).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHIFTS = tuple(round(0.2 * step, 1) for step in range(-20, 39))  # of thresholds, in the logit; strictest last
_TINY = 1e-9  # so that 0.1 * 30 is 3
_DIGITS = 4  # of thresholds, as they are written down


def allowed_false_accepts(per_hour: float, hours: float) -> int:
    """The most false accepts that a choice may have to keep to `per_hour`; below 0 where the hours are too few."""
    return math.floor(per_hour * hours + _TINY) - 1


def allowed_misses(share: float, words: int) -> int:
    """The most misses that a choice may have to keep to `share`; below 0 where the words are too few."""
    return math.floor(share * (words + 1) + _TINY) - 1


def loosest(false_accepts: NDArray[np.integer[Any]], allowed: int) -> int | None:
    """[settings], strictest last -> the first from which on none has more than `allowed`; None where the last has."""
    above = np.flatnonzero(false_accepts > allowed)
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first < len(false_accepts) else None


def strictest(misses: NDArray[np.integer[Any]], allowed: int) -> int | None:
    """[settings], strictest last -> the last up to which none has more than `allowed`; None where the first has."""
    above = np.flatnonzero(misses > allowed)
    last = int(above[0]) - 1 if len(above) else len(misses) - 1
    return last if last >= 0 else None


def shifted(thresholds: Sequence[float], shift: float) -> tuple[float, ...]:
    """Thresholds moved by `shift` in the logit, to four digits, from 0.001 to 0.9999."""
    out = []
    for threshold in thresholds:
        inside = min(max(threshold, 1e-6), 1 - 1e-6)
        moved = 1 / (1 + math.exp(-math.log(inside / (1 - inside)) - shift))
        out.append(min(max(round(moved, _DIGITS), 0.001), 0.9999))
    return tuple(out)


def most_ahead(events: int, hours: float, hours_ahead: float, error: float) -> int:
    """So many events, or fewer, come in `hours_ahead` with probability 1 - error, after `events` allowed in `hours`."""
    share = hours / (hours + hours_ahead)
    mean = (events + 1) * hours_ahead / hours
    spread = math.sqrt(mean / share)
    n = np.arange(1, math.ceil(mean + 12 * spread) + 20)
    log_ratios = np.log1p(events / n) + math.log1p(-share)  # of each probability to the one before
    logs = (events + 1) * math.log(share) + np.concatenate(([0.0], np.cumsum(log_ratios)))
    return int(np.argmax(np.cumsum(np.exp(logs)) >= 1 - error))
