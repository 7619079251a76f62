"""The decision logic: posteriors to at most one firing keyword a step, in integers and by sample time.

Score of a keyword: the mean of its last M raw posteriors. It fires when it is armed, its score reaches its threshold,
no other score is higher and no exclusion runs; then it is disarmed until its score has dipped below the re-arm level
and the refractory time has passed.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add, ge, sub
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .posterior import POSTERIOR_BITS
from .tables import SAMPLE_RATE_HZ

_ONE = 1 << POSTERIOR_BITS  # Q15
_LONGEST_MS = 3_600_000  # an hour: memory grows with the smoothing


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
            check_time(name, getattr(self, name))


class Step(Protocol):
    """One step of a decision."""

    @property
    def end_sample(self) -> int:
        """One past the last sample that the step knows of."""
        ...

    @property
    def fired(self) -> int | None:
        """The index of the keyword that fired, or None."""
        ...

    @property
    def scores(self) -> NDArray[np.float64]:
        """[keywords] float64 scores, 0..1."""
        ...

    def verdicts(self) -> list[tuple[Verdict, int | None]]:
        """For each keyword the verdict and the keyword that outscored or excluded it, None for the other verdicts."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """What a decision keeps of a step; scores and verdicts are computed when asked for."""

    end_sample: int
    fired: int | None
    _rules: "Rules" = field(repr=False)
    _sums: tuple[int, ...] = field(repr=False)
    _undipped: frozenset[int] = field(repr=False)
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
        if keyword in self._undipped:
            return Verdict.NOT_REARMED, None
        if self.end_sample < self._ready_sample[keyword]:
            return Verdict.REFRACTORY, None
        leader = self._rules.leader(self._sums)
        if keyword != leader:
            return Verdict.OUTSCORED, leader
        return Verdict.EXCLUDED, self._excluded_by


class Decision:
    """Decides step by step which keyword fires.

    parameters: one entry a keyword, at least one; stride_samples: samples between two steps; exclusion_ms: how long
    after any detection no keyword fires. Raises ValueError for values out of range. `rules` and `exclusion_samples` are
    the same in integers.
    """

    def __init__(self, parameters: Sequence[KeywordParameters], stride_samples: int, exclusion_ms: float) -> None:
        if not parameters:
            raise ValueError("there are no keywords; a decision needs at least one")
        if stride_samples < 1:
            raise ValueError(f"stride_samples is {stride_samples}; it must be 1 or more")
        check_time("exclusion_ms", exclusion_ms)
        self.rules = Rules.of(parameters, stride_samples)
        self.exclusion_samples = samples_of(exclusion_ms)
        self.reset()

    def reset(self) -> None:
        """Forget everything: scores are 0, every keyword is armed, no exclusion runs."""
        silence = (0,) * len(self.rules.windows)
        self._history: list[Sequence[int]] = [silence] * max(self.rules.windows)  # raw posteriors, a ring
        self._newest = 0
        self._sums = silence
        self._undipped: frozenset[int] = frozenset()  # not below the re-arm level since they fired
        self._ready_sample = silence  # the refractory time ends here
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
        return self.step_of(posteriors.tolist(), end_sample)

    def step_of(self, posteriors: list[int], end_sample: int) -> Step:
        """`step` for posteriors that are a list of plain integers already, one a keyword."""
        if end_sample <= self._end_sample:
            raise ValueError(f"end_sample is {end_sample} after {self._end_sample}; time must advance")
        self._end_sample = end_sample
        self._add(posteriors)
        excluded = end_sample < self._exclusion_end_sample
        fired = None if excluded else self._candidate(end_sample)
        step = _Step(
            end_sample,
            fired,
            self.rules,
            self._sums,
            self._undipped,
            self._ready_sample,
            self._last_fired if excluded else None,
        )
        if fired is not None:
            self._disarm(fired, end_sample)
        return step

    def _add(self, row: list[int]) -> None:
        """Take the newest raw posteriors into the sums of the last M, and note which scores have dipped."""
        history, rules = self._history, self.rules
        size = len(history)
        newest = self._newest = (self._newest + 1) % size
        # The ring may be exactly M long: the value that leaves is read before the row that replaces it is stored.
        if rules.one_window:
            leaving: Sequence[int] = history[newest]
        else:
            leaving = [history[(newest - window) % size][keyword] for keyword, window in enumerate(rules.windows)]
        self._sums = tuple(map(sub, map(add, self._sums, row), leaving))
        history[newest] = row
        if self._undipped:
            self._undipped = frozenset(k for k in self._undipped if self._sums[k] >= rules.rearm_sums[k])

    def _candidate(self, end_sample: int) -> int | None:
        """The keyword that fires where no exclusion runs."""
        if not any(map(ge, self._sums, self.rules.fire_sums)):
            return None
        leader = self.rules.leader(self._sums)
        if leader in self._undipped or end_sample < self._ready_sample[leader]:
            return None
        return leader if self._sums[leader] >= self.rules.fire_sums[leader] else None

    def _disarm(self, keyword: int, end_sample: int) -> None:
        self._undipped |= {keyword}
        ready = end_sample + self.rules.refractory_samples[keyword]
        self._ready_sample = (*self._ready_sample[:keyword], ready, *self._ready_sample[keyword + 1 :])
        self._exclusion_end_sample = end_sample + self.exclusion_samples
        self._last_fired = keyword


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of all keywords as integers: sums over M posteriors in Q15, times in samples."""

    windows: tuple[int, ...]  # M
    fire_sums: tuple[int, ...]  # M * threshold
    rearm_sums: tuple[int, ...]  # M * re-arm level
    refractory_samples: tuple[int, ...]
    one_window: bool  # M is the same for all keywords, the usual case

    def leader(self, sums: Sequence[int]) -> int:
        """The keyword of the highest score, the lower index at a tie; means of different M compare cross-multiplied."""
        if self.one_window:
            return sums.index(max(sums))
        leader = 0
        for keyword in range(1, len(sums)):
            if sums[keyword] * self.windows[leader] > sums[leader] * self.windows[keyword]:
                leader = keyword
        return leader

    @classmethod
    def of(cls, parameters: Sequence[KeywordParameters], stride_samples: int) -> "Rules":
        """The integers of each keyword's parameters."""
        stride_ms = stride_samples * 1000 / SAMPLE_RATE_HZ
        windows = tuple(max(1, math.floor(p.smoothing_ms / stride_ms + 0.5)) for p in parameters)
        return cls(
            windows,
            tuple(m * _q15(p.threshold) for m, p in zip(windows, parameters, strict=True)),
            tuple(m * _q15(p.rearm * p.threshold) for m, p in zip(windows, parameters, strict=True)),
            tuple(samples_of(p.refractory_ms) for p in parameters),
            len(set(windows)) == 1,
        )


def _q15(value: float) -> int:
    """Rounded to Q15, but never 0: a score could not be below it, and every score would reach it."""
    return max(1, math.floor(value * _ONE + 0.5))


def samples_of(ms: float) -> int:
    """Milliseconds as samples, rounded half up."""
    return math.floor(ms * SAMPLE_RATE_HZ / 1000 + 0.5)


def check_time(name: str, ms: float) -> None:
    """Raise ValueError, with `name`, where `ms` is no time that a decision can wait: 0 to an hour."""
    if not 0 <= ms <= _LONGEST_MS:
        raise ValueError(f"{name} is {ms}; it must be a number of milliseconds from 0 to {_LONGEST_MS}")
