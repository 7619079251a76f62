"""The decision logic on random streams: equal to the rules in exact fractions, and what must hold whatever comes."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.decision import Decision, KeywordParameters, Verdict

ONE = 2**15

parameters = st.builds(
    KeywordParameters,
    threshold=st.sampled_from([0.25, 0.5, 0.7, 1.0]),
    smoothing_ms=st.sampled_from([0.0, 40.0, 100.0, 240.0]),
    rearm=st.sampled_from([0.3, 0.5, 0.9, 1.0]),
    refractory_ms=st.sampled_from([0.0, 80.0, 333.3, 800.0]),
)
# Few values, held for a while: thresholds are met exactly, scores tie, words are long and pauses short.
values = st.sampled_from([0, ONE // 8, ONE // 4, ONE // 2, 3 * ONE // 4, ONE])


@st.composite
def streams(draw):
    """(parameters of each keyword, stride, exclusion, rows of posteriors, end samples)."""
    keywords = draw(st.lists(parameters, min_size=1, max_size=4))
    runs = draw(
        st.lists(
            st.tuples(st.lists(values, min_size=len(keywords), max_size=len(keywords)), st.integers(1, 15)),
            min_size=1,
            max_size=12,
        )
    )
    rows = [row for row, length in runs for _ in range(length)]
    stride = draw(st.sampled_from([160, 640, 1280]))
    return (
        keywords,
        stride,
        draw(st.sampled_from([0.0, 100.0, 410.0])),
        rows,
        [(i + 4) * stride for i in range(len(rows))],
    )


def samples(ms: float) -> int:
    return floor(ms * 16 + 0.5)


def level(value: float) -> Fraction:
    return Fraction(floor(value * ONE + 0.5), ONE)


def by_the_rules(keywords, stride, exclusion_ms, rows, ends):
    """The keyword that fires at each step or None, by the words of the design, in fractions, from the whole history."""
    counts = [max(1, floor(p.smoothing_ms / (stride / 16) + 0.5)) for p in keywords]
    scores = [
        [Fraction(sum(row[k] for row in rows[max(0, i + 1 - m) : i + 1]), m * ONE) for k, m in enumerate(counts)]
        for i in range(len(rows))
    ]
    fired: list[int | None] = []
    for i, now in enumerate(ends):
        best = None
        for k, p in enumerate(keywords):
            mine = [j for j, who in enumerate(fired) if who == k]
            armed = not mine or (
                any(scores[j][k] < level(p.rearm * p.threshold) for j in range(mine[-1] + 1, i + 1))
                and now - ends[mine[-1]] >= samples(p.refractory_ms)
            )
            excluded = any(who is not None and now - ends[j] < samples(exclusion_ms) for j, who in enumerate(fired))
            beaten = any(s > scores[i][k] or (s == scores[i][k] and j < k) for j, s in enumerate(scores[i]))
            if armed and scores[i][k] >= level(p.threshold) and not beaten and not excluded:
                best = k
        fired.append(best)
    return fired, scores


def steps_of(keywords, stride, exclusion_ms, rows, ends):
    decide = Decision(keywords, stride, exclusion_ms)
    return [decide.step(np.array(row, np.int32), end) for row, end in zip(rows, ends, strict=True)]


repeatable = settings(derandomize=True, deadline=None, max_examples=120)


@given(streams())
@repeatable
def test_equal_to_the_rules_in_fractions(stream):
    fired, scores = by_the_rules(*stream)
    steps = steps_of(*stream)
    assert [step.fired for step in steps] == fired
    for step, exact in zip(steps, scores, strict=True):
        np.testing.assert_allclose(step.scores, [float(score) for score in exact], rtol=1e-15)


@given(streams())
@repeatable
def test_a_firing_keyword_reaches_its_threshold_and_no_score_is_higher(stream):
    for step in steps_of(*stream):
        if step.fired is not None:
            assert step.scores[step.fired] >= stream[0][step.fired].threshold - 2**-15
            assert step.scores[step.fired] == step.scores.max()


@given(streams())
@repeatable
def test_between_two_detections_of_a_keyword_lie_a_dip_and_the_refractory_time(stream):
    steps = steps_of(*stream)
    for k, p in enumerate(stream[0]):
        mine = [i for i, step in enumerate(steps) if step.fired == k]
        for first, second in pairwise(mine):
            assert min(step.scores[k] for step in steps[first + 1 : second]) < p.rearm * p.threshold + 2**-15
            assert steps[second].end_sample - steps[first].end_sample >= samples(p.refractory_ms)


@given(streams())
@repeatable
def test_two_detections_are_an_exclusion_apart(stream):
    ends = [step.end_sample for step in steps_of(*stream) if step.fired is not None]
    assert all(later - earlier >= samples(stream[2]) for earlier, later in pairwise(ends))


@given(streams())
@repeatable
def test_verdicts_agree_with_the_step(stream):
    for step in steps_of(*stream):
        verdicts = step.verdicts()
        assert [k for k, (verdict, _) in enumerate(verdicts) if verdict is Verdict.FIRED] == [
            k for k in (step.fired,) if k is not None
        ]
        for k, (verdict, other) in enumerate(verdicts):
            reached = step.scores[k] >= level(stream[0][k].threshold)
            assert (verdict is Verdict.BELOW_THRESHOLD) != reached
            assert (other is not None) == (verdict in (Verdict.OUTSCORED, Verdict.EXCLUDED))
            if verdict is Verdict.OUTSCORED:
                assert (step.scores[other], -other) > (step.scores[k], -k)


@given(streams(), streams())
@repeatable
def test_reset_is_a_new_decision(stream, before):
    keywords, stride, exclusion_ms, rows, ends = stream
    used = Decision(keywords, stride, exclusion_ms)
    for row, end in zip(before[3], before[4], strict=True):
        used.step(np.resize(np.array(row, np.int32), len(keywords)), end)
    used.reset()
    fired = [used.step(np.array(row, np.int32), end).fired for row, end in zip(rows, ends, strict=True)]
    assert fired == [step.fired for step in steps_of(*stream)]


@given(streams(), st.integers(0, 10**9))
@repeatable
def test_only_differences_of_time_count(stream, later):
    keywords, stride, exclusion_ms, rows, ends = stream
    moved = steps_of(keywords, stride, exclusion_ms, rows, [end + later for end in ends])
    assert [step.fired for step in moved] == [step.fired for step in steps_of(*stream)]
