"""Operating points: what firings at many thresholds come to against labels, counted and with 95 % intervals.

A setting is one threshold for each keyword. `outcomes` judges one stream at many settings, `count` picks
what a question asks for (keywords, words), `+` adds streams, `Counts.point` says it as rates.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .intervals import poisson_rate, wilson
from .matching import DOUBLE_TRIGGER, FALSE_ACCEPT, HIT_TOLERANCE_SAMPLES, Label, assign
from .replay import Firing, Replay, Timing
from .tables import SAMPLE_RATE_HZ

MISSED = -1
SAMPLES_PER_HOUR = 3600 * SAMPLE_RATE_HZ
Setting = Sequence[float]  # a threshold for each keyword

_interval = cache(poisson_rate)  # many settings have the same few false accepts

# From 0.02 to 0.9995, evenly in the logit: close together where scores are, near 0 and 1.
THRESHOLDS = tuple(float(1 / (1 + np.exp(-logit))) for logit in np.arange(-4, 7.7, 0.2))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one stream's firings came to at each of S settings.

    heard_sample: [S, words] end_sample of the firing that heard a word, or MISSED; double_triggers, false_accepts: [S,
    keywords]; confusions: [S, keywords, keywords] false accepts of the second during a word of the first.
    """

    heard_sample: NDArray[np.int64]
    double_triggers: NDArray[np.int64]
    false_accepts: NDArray[np.int64]
    confusions: NDArray[np.int64]


def grid(keywords: int, thresholds: Iterable[float] = THRESHOLDS) -> list[Setting]:
    """Settings with the same threshold for all keywords, one for each of `thresholds`."""
    return [(threshold,) * keywords for threshold in thresholds]


def outcomes(
    replay: Replay,
    timing: Timing,
    labels: Sequence[Label],
    keywords: Sequence[str],
    settings: Sequence[Setting],
    tolerance_samples: int = HIT_TOLERANCE_SAMPLES,
) -> Outcomes:
    """Judge a stream at each setting by the rule of `matching.match`; labels of no keyword are not counted."""
    said = _Said(labels, keywords, tolerance_samples)
    k, s = len(keywords), len(settings)
    out = Outcomes(
        np.full((s, len(labels)), MISSED, np.int64),
        np.zeros((s, k), np.int64),
        np.zeros((s, k), np.int64),
        np.zeros((s, k, k), np.int64),
    )
    for index, setting in enumerate(settings):
        said.judge(replay.firings(setting), timing, out, index)
    return out


class _Said:
    """The labels of a stream by keyword."""

    def __init__(self, labels: Sequence[Label], keywords: Sequence[str], tolerance_samples: int) -> None:
        order = sorted(range(len(labels)), key=lambda index: labels[index])
        self._words = [[index for index in order if labels[index].keyword == keyword] for keyword in keywords]
        self._spans = [[(labels[i].start_sample, labels[i].end_sample) for i in words] for words in self._words]
        self._starts = [[start for start, _ in spans] for spans in self._spans]
        self._ends = [sorted(end + tolerance_samples for _, end in spans) for spans in self._spans]
        self._tolerance_samples = tolerance_samples

    def judge(self, firings: Sequence[Firing], timing: Timing, out: Outcomes, row: int) -> None:
        """Write what the firings came to into a row of `out`."""
        times: list[list[int]] = [[] for _ in self._words]
        for keyword, step in firings:
            times[keyword].append(timing.end_sample(step))
        for keyword, heard in enumerate(times):
            places = assign(self._spans[keyword], heard, self._tolerance_samples)
            for time, place in zip(heard, places, strict=True):
                if place >= 0:
                    out.heard_sample[row, self._words[keyword][place]] = time
                elif place == FALSE_ACCEPT:
                    for said in self._during(time):
                        out.confusions[row, said, keyword] += 1
            out.double_triggers[row, keyword] = places.count(DOUBLE_TRIGGER)
            out.false_accepts[row, keyword] = places.count(FALSE_ACCEPT)

    def _during(self, time: int) -> list[int]:
        """The keywords of which a firing at this time would be a hit: more of their words have begun than are over."""
        pairs = enumerate(zip(self._starts, self._ends, strict=True))
        return [k for k, (starts, ends) in pairs if bisect_right(starts, time) > bisect_left(ends, time)]


@dataclass(frozen=True, slots=True)
class Rate:
    """A count, of so many (words, or hours), as a rate with its 95 % interval; both None where that is nothing."""

    count: int
    of: float
    rate: float | None
    interval: tuple[float, float] | None

    @classmethod
    def share(cls, count: int, total: int) -> "Rate":
        """Of words, 0 to 1; Wilson's interval."""
        return cls(count, total, count / total, wilson(count, total)) if total else cls(count, total, None, None)

    @classmethod
    def per_hour(cls, count: int, hours: float) -> "Rate":
        """Of events in time, exact interval: no event in T hours only shows less than 3/T."""
        return cls(count, hours, count / hours, _interval(count, hours)) if hours else cls(count, 0.0, None, None)


@dataclass(frozen=True, slots=True)
class Point:
    """An operating point: misses as a share of the words, false accepts per hour of sound as life has it.

    double_triggers: firings on a word that was heard already; beside_words: other false accepts, in streams whose
    density of words is made up, which make no rate.
    """

    misses: Rate
    false_accepts: Rate
    double_triggers: int
    beside_words: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What `Point` is made of, at S settings: [S] arrays, and words and hours; `+` adds those of another stream."""

    words: int
    hours: float
    misses: NDArray[np.int64]
    false_accepts: NDArray[np.int64]
    double_triggers: NDArray[np.int64]
    beside_words: NDArray[np.int64]

    @classmethod
    def none(cls, settings: int) -> "Counts":
        """Of no stream."""
        return cls(0, 0.0, *np.zeros((4, settings), np.int64))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def point(self, setting: int) -> Point:
        """The operating point of one setting, by its index."""
        return Point(
            Rate.share(int(self.misses[setting]), self.words),
            Rate.per_hour(int(self.false_accepts[setting]), self.hours),
            int(self.double_triggers[setting]),
            int(self.beside_words[setting]),
        )


def count(outcome: Outcomes, words: Sequence[int], keywords: Sequence[int], samples: int, *, is_life: bool) -> Counts:
    """One stream's counts, for some of its words and keywords (by index).

    samples: its length; is_life: whether its false accepts and its length make a rate per hour, else they are
    `beside_words`.
    """
    false_accepts = outcome.false_accepts[:, keywords].sum(axis=1)
    none = np.zeros_like(false_accepts)
    return Counts(
        len(words),
        samples / SAMPLES_PER_HOUR if is_life else 0.0,
        (outcome.heard_sample[:, words] == MISSED).sum(axis=1),
        false_accepts if is_life else none,
        outcome.double_triggers[:, keywords].sum(axis=1),
        none if is_life else false_accepts,
    )
