"""The decision replayed over stored posteriors: what `decision.Decision` fires, for any thresholds, quickly.

A firing needs the highest score of its step, and which keyword has it does not depend on thresholds. So the leaders are
found once, and a replay looks at no more than the steps whose leader reaches its threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .decision import KeywordParameters, Rules, check_time, samples_of
from .posterior import POSTERIOR_BITS

_FIRST_LOOK = 32  # steps after a firing that are searched for the dip first, then twice as many


class Timing(NamedTuple):
    """When step j ends: at sample first_sample + j * stride_samples."""

    first_sample: int
    stride_samples: int

    def end_sample(self, step: int) -> int:
        """One past the last sample that the step knows of."""
        return self.first_sample + step * self.stride_samples


class Firing(NamedTuple):
    """A keyword, by index, fired at a step, by index."""

    keyword: int
    step: int


class Replay:
    """A stream's posteriors, ready to be decided at any thresholds.

    posteriors: [steps, keywords] integers Q15; parameters: one entry a keyword, whose thresholds are not looked at.
    Raises ValueError for another shape and for times out of range.
    """

    def __init__(
        self,
        posteriors: NDArray[np.integer[Any]],
        parameters: Sequence[KeywordParameters],
        stride_samples: int,
        exclusion_ms: float,
    ) -> None:
        if not parameters or posteriors.ndim != 2 or posteriors.shape[1] != len(parameters):
            shape = f"posteriors have shape {posteriors.shape}"
            raise ValueError(f"{shape}; they must be [steps, {len(parameters)}], with one keyword or more")
        check_time("exclusion_ms", exclusion_ms)
        self._parameters = list(parameters)
        self._stride_samples = stride_samples
        rules = Rules.of(parameters, stride_samples)
        self._windows = np.array(rules.windows)
        self._exclusion_steps = math.ceil(samples_of(exclusion_ms) / stride_samples)
        self._refractory_steps = [math.ceil(samples / stride_samples) for samples in rules.refractory_samples]
        self._sums = _sums_of_last(posteriors, rules.windows)  # [keywords, steps]
        self._leaders = _leaders(self._sums, rules.windows)
        self._peaks = np.take_along_axis(self._sums, self._leaders[None], axis=0)[0]

    @property
    def scores(self) -> NDArray[np.float64]:
        """[keywords, steps] scores, 0..1."""
        return self._sums / (self._windows[:, None] * float(1 << POSTERIOR_BITS))

    def firings(self, thresholds: Sequence[float]) -> list[Firing]:
        """What fires, in time order, at one threshold a keyword; ValueError for another number or outside (0, 1]."""
        rules = self._rules(thresholds)
        hot = np.flatnonzero(self._peaks >= np.array(rules.fire_sums)[self._leaders])
        out = []
        open_from = 0  # the exclusion has ended
        armed_from = [0] * len(thresholds)
        for step, keyword in zip(hot.tolist(), self._leaders[hot].tolist(), strict=True):
            if step >= open_from and step >= armed_from[keyword]:
                out.append(Firing(keyword, step))
                dip = self._dip(keyword, step, rules.rearm_sums[keyword])
                armed_from[keyword] = max(dip, step + self._refractory_steps[keyword])
                open_from = step + self._exclusion_steps
        return out

    def reached(self, thresholds: Sequence[float]) -> list[NDArray[np.intp]]:
        """For each keyword the steps whose score is at its threshold or above, armed or not."""
        levels = self._rules(thresholds).fire_sums
        return [np.flatnonzero(sums >= level) for sums, level in zip(self._sums, levels, strict=True)]

    def _rules(self, thresholds: Sequence[float]) -> Rules:
        parameters = [replace(p, threshold=t) for p, t in zip(self._parameters, thresholds, strict=True)]
        return Rules.of(parameters, self._stride_samples)

    def _dip(self, keyword: int, step: int, level: int) -> int:
        """The first step after this one whose score is below the re-arm level, or the end."""
        sums = self._sums[keyword]
        first, many = step + 1, _FIRST_LOOK
        while first < len(sums):
            below = sums[first : first + many] < level
            at = int(below.argmax())
            if below[at]:
                return first + at
            first, many = first + many, 2 * many
        return len(sums)


def _sums_of_last(posteriors: NDArray[np.integer[Any]], windows: Sequence[int]) -> NDArray[np.int64]:
    """[steps, keywords] -> [keywords, steps]: each keyword's sum of its last M posteriors, missing ones 0."""
    total = np.cumsum(posteriors.T, axis=1, dtype=np.int64)
    for row, window in zip(total, windows, strict=True):
        row[window:] -= row[:-window].copy()
    return total


def _leaders(sums: NDArray[np.int64], windows: Sequence[int]) -> NDArray[np.intp]:
    """[steps]: which keyword has the highest mean, the lower index at a tie, compared without rounding."""
    leaders = np.zeros(sums.shape[1], np.intp)
    best, best_window = sums[0], np.full(sums.shape[1], windows[0])
    for keyword in range(1, len(windows)):
        higher = sums[keyword] * best_window > best * windows[keyword]
        leaders[higher] = keyword
        best = np.where(higher, sums[keyword], best)
        best_window[higher] = windows[keyword]
    return leaders
