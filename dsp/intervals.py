"""95 % intervals of the two figures that belong together: a share (misses) and a rate (false accepts an hour)."""

import math
from collections.abc import Callable

import numpy as np

_ERROR = 0.05
_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson(successes: int, total: int) -> tuple[float, float]:
    """95 % score interval (Wilson 1927) of a share; (0, 1) for a total of 0; ValueError if successes > total."""
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}; they must be from 0 to the total")
    if total == 0:
        return 0.0, 1.0
    share, weight = successes / total, _Z**2 / total
    middle = share + weight / 2
    half = math.sqrt(weight * (share * (1 - share) + weight / 4))
    low = 0.0 if successes == 0 else (middle - half) / (1 + weight)
    high = 1.0 if successes == total else (middle + half) / (1 + weight)
    return low, high


def poisson_rate(events: int, hours: float) -> tuple[float, float]:
    """Exact 95 % interval (Garwood 1936) of a rate per hour; raises ValueError for events < 0 or hours not above 0.

    Without any event nothing can lie below, so all 5 % lie above: 0 to 3.0 / hours.
    """
    if events < 0:
        raise ValueError(f"{events} events; there must be 0 or more")
    if not (math.isfinite(hours) and hours > 0):
        raise ValueError(f"{hours} hours; there must be more than 0")
    if events == 0:
        return 0.0, -math.log(_ERROR) / hours
    low = _mean_where(lambda mean: _at_most(events - 1, mean) <= 1 - _ERROR / 2, 0.0, float(events))
    return low / hours, poisson_upper(events, hours, _ERROR / 2)


def poisson_upper(events: int, hours: float, error: float) -> float:
    """The rate per hour above which so few events have the probability `error`, 0.001 to 0.5; exact."""
    if events == 0:
        return -math.log(error) / hours
    end = events + 4 * math.sqrt(events) + 8
    return _mean_where(lambda mean: _at_most(events, mean) <= error, float(events), end) / hours


def _at_most(events: int, mean: float) -> float:
    """Probability of `events` or fewer where `mean` are expected."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, events + 1)))])
    return float(np.exp(np.arange(events + 1) * math.log(mean) - mean - log_factorial).sum())


def _mean_where(is_reached: Callable[[float], bool], low: float, high: float) -> float:
    """The mean between low and high from which on `is_reached` holds, by bisection to the last bit."""
    while low < (middle := (low + high) / 2) < high:
        if is_reached(middle):
            high = middle
        else:
            low = middle
    return high
