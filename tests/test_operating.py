"""Operating points: counts are those of `match`, add up, and become rates with the right intervals."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.counting import RULES, by_all_rules
from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.intervals import poisson_rate, wilson
from tinyhark.dsp.matching import Label, match
from tinyhark.dsp.operating import MISSED, THRESHOLDS, Counts, Rate, count, grid, outcomes
from tinyhark.dsp.replay import Replay, Timing

ONE = 1 << 15
TIMING = Timing(1_000, 1_000)  # a step ends each 1000 samples
KEYWORDS = ["a", "b"]
PARAMETERS = [KeywordParameters(0.5, 0.0, 0.5, 0.0)] * 2


class Heard(NamedTuple):
    keyword: str
    end_sample: int


def replay_of(a: dict[int, float], b: dict[int, float] | None = None, steps: int = 200) -> Replay:
    """Posteriors that are 0 but at the given steps."""
    posteriors = np.zeros((steps, 2), np.uint16)
    for keyword, peaks in enumerate((a, b or {})):
        for step, score in peaks.items():
            posteriors[step, keyword] = round(score * ONE)
    return Replay(posteriors, PARAMETERS, TIMING.stride_samples, 0.0)


spans = st.lists(st.tuples(st.integers(0, 150_000), st.integers(1, 20_000), st.sampled_from(KEYWORDS)), max_size=12)
peaks = st.dictionaries(st.integers(0, 199), st.sampled_from([0.3, 0.6, 0.9]), max_size=20)


@given(spans, peaks, peaks)
@settings(max_examples=60, deadline=None)
def test_outcomes_are_those_of_match(
    said: list[tuple[int, int, str]], a: dict[int, float], b: dict[int, float]
) -> None:
    labels = [Label(start, start + length, keyword) for start, length, keyword in dict.fromkeys(said)]
    replay = replay_of(a, b)
    got = outcomes(replay, TIMING, labels, KEYWORDS, grid(2, (0.25, 0.5, 0.8)))
    for row, setting in enumerate(grid(2, (0.25, 0.5, 0.8))):
        fired = [Heard(KEYWORDS[k], TIMING.end_sample(step)) for k, step in replay.firings(setting)]
        expected = match(labels, fired)
        hits = {hit.label: hit.detection.end_sample for hit in expected.hits}
        assert got.heard_sample[row].tolist() == [hits.get(label, MISSED) for label in labels]
        for k, keyword in enumerate(KEYWORDS):
            assert got.double_triggers[row, k] == sum(d.keyword == keyword for d in expected.double_triggers)
            assert got.false_accepts[row, k] == sum(d.keyword == keyword for d in expected.false_accepts)


def test_confusion_is_a_false_accept_during_another_word() -> None:
    labels = [Label(10_000, 15_000, "a"), Label(100_000, 105_000, "a")]
    got = outcomes(
        replay_of({12: 0.9}, {14: 0.9, 50: 0.9, 112: 0.9, 114: 0.9}), TIMING, labels, KEYWORDS, grid(2, [0.5])
    )
    assert got.heard_sample.tolist() == [[13_000, MISSED]]
    assert got.false_accepts.tolist() == [[0, 4]]
    assert got.confusions.tolist() == [[[0, 2], [0, 0]]]  # at 114,000 the word is over by more than half a second


def test_counts_pick_add_and_become_rates() -> None:
    labels = [Label(10_000, 15_000, "a"), Label(50_000, 55_000, "b")]
    outcome = outcomes(replay_of({12: 0.9, 14: 0.9, 90: 0.6}), TIMING, labels, KEYWORDS, grid(2, (0.5, 0.8)))
    hour = 3_600 * 16_000
    life = count(outcome, [0, 1], [0, 1], 2 * hour, is_life=True)
    built = count(outcome, [0], [0], hour, is_life=False)
    total = Counts.none(2) + life + built
    point = total.point(0)
    assert (point.misses.count, point.misses.of) == (1, 3)
    assert (point.false_accepts.count, point.false_accepts.of, point.beside_words) == (1, 2.0, 1)
    assert point.double_triggers == 2
    assert total.point(1).false_accepts.count == 0
    assert point.misses.interval == wilson(1, 3)
    assert point.false_accepts.interval == poisson_rate(1, 2.0)


def test_rates_of_nothing() -> None:
    assert Rate.share(0, 0).rate is None
    assert Rate.per_hour(0, 0.0).interval is None
    assert Rate.per_hour(0, 2.0).interval == pytest.approx((0, 1.498), abs=1e-3)  # 3/T


def test_the_grid_rises_and_covers() -> None:
    assert list(THRESHOLDS) == sorted(set(THRESHOLDS))
    assert THRESHOLDS[0] < 0.02
    assert THRESHOLDS[-1] > 0.999
    assert len(THRESHOLDS) > 50


def counted(a: dict[int, float], labels: list[Label]) -> dict[str, tuple[int, int, int]]:
    """By rule: misses, false accepts, double triggers of "a"."""
    found = by_all_rules(replay_of(a), TIMING, labels, KEYWORDS, (0.5, 0.5))
    return {
        rule: (int((o.heard_sample == MISSED).sum()), int(o.false_accepts.sum()), int(o.double_triggers.sum()))
        for rule, o in zip(RULES, found, strict=True)
    }


def test_a_second_firing_by_each_rule() -> None:
    assert counted({12: 0.9, 15: 0.9}, [Label(10_000, 15_000, "a")]) == {
        "tinyhark": (0, 0, 1),
        "per firing": (0, 1, 0),
        "end + 1 s": (0, 0, 1),
        "dead time": (0, 0, 0),
    }


def test_a_late_firing_by_each_rule() -> None:
    assert counted({29: 0.9}, [Label(10_000, 15_000, "a")]) == {
        "tinyhark": (1, 1, 0),
        "per firing": (1, 1, 0),
        "end + 1 s": (0, 0, 0),
        "dead time": (1, 1, 0),
    }


def test_a_long_false_accept_by_each_rule() -> None:
    long = dict.fromkeys(range(40, 90), 0.9)
    assert counted(long, []) == {
        "tinyhark": (0, 1, 0),
        "per firing": (0, 1, 0),
        "end + 1 s": (0, 1, 0),
        "dead time": (0, 3, 0),  # 50 steps of 1000 samples, and 24,000 samples of deafness after each
    }
