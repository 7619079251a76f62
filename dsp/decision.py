"""The decision logic: posteriors to at most one firing keyword a step, in integers and by sample time.

Score of a keyword: the mean of its last M raw posteriors. It fires when it is armed, its score reaches its threshold,
no other score is higher and no exclusion runs; then it is disarmed until its score has dipped below the re-arm level
and the refractory time has passed.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .posterior import POSTERIOR_BITS
from .tables import SAMPLE_RATE_HZ

_ONE = 1 << POSTERIOR_BITS  # Q15


class Verdict(enum.StrEnum):
    """What a step decided about one keyword: it fired, or the first reason, in this order, why it did not."""

    FIRED = "fired"
    BELOW_THRESHOLD = "below threshold"
    NOT_REARMED = "not re-armed"
    REFRACTORY = "refractory"
    OUTSCORED = "outscored"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class KeywordParameters:
    """How one keyword is decided; threshold and rearm, a share of it, in (0, 1], times 0 or more, else ValueError."""

    threshold: float
    smoothing_ms: float
    rearm: float
    refractory_ms: float

    def __post_init__(self) -> None:
        for name in ("threshold", "rearm"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}; it must be above 0 and at most 1")
        for name in ("smoothing_ms", "refractory_ms"):
            _check_time(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the decision: `end_sample`, and `fired`, the index of the keyword that fired or None.

    `scores` and `verdicts()` are computed when asked for.
    """

    end_sample: int
    fired: int | None
    _rules: "_Rules" = field(repr=False)
    _sums: tuple[int, ...] = field(repr=False)
    _leader: int = field(repr=False)
    _undipped: tuple[bool, ...] = field(repr=False)
    _ready_sample: tuple[int, ...] = field(repr=False)
    _excluded_by: int | None = field(repr=False)

    @property
    def scores(self) -> NDArray[np.float64]:
        """[keywords] float64 scores, 0..1."""
        return np.array(self._sums, np.float64) / (np.array(self._rules.windows, np.float64) * _ONE)

    def verdicts(self) -> list[tuple[Verdict, int | None]]:
        """For each keyword the verdict and the keyword that outscored or excluded it, None for the other verdicts."""
        return [self._verdict(keyword) for keyword in range(len(self._sums))]

    def _verdict(self, keyword: int) -> tuple[Verdict, int | None]:
        if keyword == self.fired:
            return Verdict.FIRED, None
        if self._sums[keyword] < self._rules.fire_sums[keyword]:
            return Verdict.BELOW_THRESHOLD, None
        if self._undipped[keyword]:
            return Verdict.NOT_REARMED, None
        if self.end_sample < self._ready_sample[keyword]:
            return Verdict.REFRACTORY, None
        if keyword != self._leader:
            return Verdict.OUTSCORED, self._leader
        return Verdict.EXCLUDED, self._excluded_by


class Decision:
    """Decides step by step which keyword fires.

    parameters: one entry a keyword, at least one; stride_samples: samples between two steps; exclusion_ms: how long
    after any detection no keyword fires. Raises ValueError for values out of range.
    """

    def __init__(self, parameters: Sequence[KeywordParameters], stride_samples: int, exclusion_ms: float) -> None:
        if not parameters:
            raise ValueError("there are no keywords; a decision needs at least one")
        if stride_samples < 1:
            raise ValueError(f"stride_samples is {stride_samples}; it must be 1 or more")
        _check_time("exclusion_ms", exclusion_ms)
        self._rules = _Rules.of(parameters, stride_samples)
        self._exclusion_samples = _samples(exclusion_ms)
        self.reset()

    def reset(self) -> None:
        """Forget everything: scores are 0, every keyword is armed, no exclusion runs."""
        keywords = len(self._rules.windows)
        self._history = [[0] * keywords for _ in range(max(self._rules.windows))]  # raw posteriors, a ring
        self._newest = 0
        self._sums = [0] * keywords
        self._undipped = [False] * keywords  # the score has not been below the re-arm level since the keyword fired
        self._ready_sample = [0] * keywords  # the refractory time ends here
        self._last_fired: int | None = None
        self._exclusion_end_sample = 0
        self._end_sample = -1

    def step(self, posteriors: NDArray[np.integer[Any]], end_sample: int) -> Step:
        """[keywords] posteriors Q15 and one past the last sample they know of -> what is decided.

        Raises ValueError for another shape, for posteriors that are no integers, and for time that does not advance.
        """
        if posteriors.shape != (len(self._sums),) or posteriors.dtype.kind not in "iu":
            kind = f"{posteriors.dtype} of shape {posteriors.shape}"
            raise ValueError(f"posteriors are {kind}; they must be integers of shape [{len(self._sums)}]")
        if end_sample <= self._end_sample:
            raise ValueError(f"end_sample is {end_sample} after {self._end_sample}; time must advance")
        self._end_sample = end_sample
        self._add(posteriors.tolist())
        leader = self._leader()
        excluded = end_sample < self._exclusion_end_sample
        undipped, ready_sample = tuple(self._undipped), tuple(self._ready_sample)
        fires = (
            not excluded
            and not undipped[leader]
            and end_sample >= ready_sample[leader]
            and self._sums[leader] >= self._rules.fire_sums[leader]
        )
        step = Step(
            end_sample,
            leader if fires else None,
            self._rules,
            tuple(self._sums),
            leader,
            undipped,
            ready_sample,
            self._last_fired if excluded else None,
        )
        if fires:
            self._disarm(leader, end_sample)
        return step

    def _add(self, row: list[int]) -> None:
        """Take the newest raw posteriors into the sums of the last M, and note which scores have dipped."""
        history, size = self._history, len(self._history)
        newest = self._newest = (self._newest + 1) % size
        for keyword, window in enumerate(self._rules.windows):
            # The ring may be exactly M long: the value that leaves is read before the row that replaces it is stored.
            self._sums[keyword] += row[keyword] - history[(newest - window) % size][keyword]
            if self._sums[keyword] < self._rules.rearm_sums[keyword]:
                self._undipped[keyword] = False
        history[newest] = row

    def _leader(self) -> int:
        """The keyword of the highest score, the lower index at a tie; means of different M compare cross-multiplied."""
        sums, windows = self._sums, self._rules.windows
        leader = 0
        for keyword in range(1, len(sums)):
            if sums[keyword] * windows[leader] > sums[leader] * windows[keyword]:
                leader = keyword
        return leader

    def _disarm(self, keyword: int, end_sample: int) -> None:
        self._undipped[keyword] = True
        self._ready_sample[keyword] = end_sample + self._rules.refractory_samples[keyword]
        self._exclusion_end_sample = end_sample + self._exclusion_samples
        self._last_fired = keyword


@dataclass(frozen=True, slots=True)
class _Rules:
    """The parameters of all keywords as integers: sums over M posteriors in Q15, times in samples."""

    windows: tuple[int, ...]  # M
    fire_sums: tuple[int, ...]  # M * threshold
    rearm_sums: tuple[int, ...]  # M * re-arm level
    refractory_samples: tuple[int, ...]

    @classmethod
    def of(cls, parameters: Sequence[KeywordParameters], stride_samples: int) -> "_Rules":
        stride_ms = stride_samples * 1000 / SAMPLE_RATE_HZ
        windows = tuple(max(1, math.floor(p.smoothing_ms / stride_ms + 0.5)) for p in parameters)
        return cls(
            windows,
            tuple(m * _q15(p.threshold) for m, p in zip(windows, parameters, strict=True)),
            tuple(m * _q15(p.rearm * p.threshold) for m, p in zip(windows, parameters, strict=True)),
            tuple(_samples(p.refractory_ms) for p in parameters),
        )


def _q15(value: float) -> int:
    """Rounded to Q15, but never 0: a score could not be below it, and every score would reach it."""
    return max(1, math.floor(value * _ONE + 0.5))


def _samples(ms: float) -> int:
    return math.floor(ms * SAMPLE_RATE_HZ / 1000 + 0.5)


def _check_time(name: str, ms: float) -> None:
    if not (math.isfinite(ms) and ms >= 0):
        raise ValueError(f"{name} is {ms}; it must be a finite number of milliseconds, 0 or more")
