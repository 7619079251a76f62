"""The decision logic on random streams: equal to the rules in exact fractions, and what must hold whatever comes."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
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


@given(streams())
@repeatable
def test_a_keyword_fires_no_more_often_than_its_score_rises_over_its_threshold(stream):
    steps = steps_of(*stream)
    for k, p in enumerate(stream[0]):
        reached = [False] + [step.scores[k] >= level(p.threshold) for step in steps]
        rises = [i for i, (before, now) in enumerate(pairwise(reached)) if now and not before]
        fired = [i for i, step in enumerate(steps) if step.fired == k]
        # A rise of its own before each firing, after the firing before it.
        assert all(any(last < rise <= now for rise in rises) for last, now in zip([-1, *fired], fired, strict=False))


@given(parameters, st.sampled_from([160, 640, 1280]), st.integers(1, 400), st.floats(0, 1), st.integers(0, 2**32 - 1))
@repeatable
def test_one_word_is_one_detection_however_long_the_posterior_stays_high(p, stride, steps, share, seed):
    """It wavers between the re-arm level and 1, after silence."""
    low = max(level(p.rearm * p.threshold), level(p.threshold) * Fraction(share)) * ONE
    rows = np.random.default_rng(seed).integers(ceil(low), ONE + 1, (steps, 1)).tolist()
    decide = [step.fired for step in steps_of([p], stride, 0.0, rows, [(i + 1) * stride for i in range(steps)])]
    assert decide.count(0) <= 1
    if steps >= floor(p.smoothing_ms * 16 / stride + 0.5) and share == 1:
        assert decide.count(0) == 1


@given(parameters, st.sampled_from([160, 640, 1280]), st.sampled_from([0.0, 100.0, 410.0]))
@repeatable
def test_a_steady_score_fires_once_as_soon_as_it_reaches_the_threshold(p, stride, exclusion_ms):
    posterior = round(0.9 * ONE)
    steps = steps_of([p], stride, exclusion_ms, [[posterior]] * 200, [(i + 1) * stride for i in range(200)])
    fired = [i for i, step in enumerate(steps) if step.fired == 0]
    count = max(1, floor(p.smoothing_ms * 16 / stride + 0.5))
    first = ceil(count * level(p.threshold) * ONE / posterior) - 1
    assert fired == ([first] if first < count else [])


@given(
    st.builds(
        KeywordParameters,
        threshold=st.floats(0.3, 0.8),
        smoothing_ms=st.floats(0, 120),
        rearm=st.floats(0.3, 1),
        refractory_ms=st.floats(0, 480),
    ),
    st.sampled_from([160, 320, 640]),
    st.floats(0, 480),
    st.integers(160, 240),
    st.floats(0.95, 1),
    st.floats(0, 0.08),
)
@repeatable
def test_two_words_half_a_second_apart_whose_scores_dip_are_two(p, stride, exclusion_ms, word_ms, high, low):
    words = [(2_000, 2_000 + word_ms), (2_500, 2_500 + word_ms)]
    ends = [(i + 1) * stride for i in range(4_000 * 16 // stride)]
    rows = [[round((high if any(first <= end / 16 < last for first, last in words) else low) * ONE)] for end in ends]
    fired = [step.end_sample / 16 for step in steps_of([p], stride, exclusion_ms, rows, ends) if step.fired == 0]
    assert len(fired) == 2
    assert all(first <= time < last for time, (first, last) in zip(fired, words, strict=True))
    assert fired[1] - fired[0] == pytest.approx(500, abs=stride / 16)


@pytest.fixture(scope="module")
def heard_by(tiny_model: Path, say: Callable[..., NDArray[np.int16]]):
    """The steps of a spotter with random options on a recording that is fed in chunks."""
    model = Model.load(tiny_model)
    sound = say(0.3, "low", 0.1, "high", 0.25, "low", 0.4, "high", 0.1)

    def steps(options: dict[str, float], cuts: list[int], gap: int, lost: int):
        spotter = Spotter(model, **options)
        parts = []
        for piece in (sound[:gap], sound[gap:]):
            parts += [pair for chunk in np.split(piece, sorted(cuts)) for pair in spotter.trace(chunk)]
            if lost:
                spotter.skip(lost)
                lost = 0
        parts += spotter.trace_end()
        return [(step.end_sample, step.fired, step.scores.tolist(), detection) for step, detection in parts]

    return steps


@given(
    st.fixed_dictionaries(
        {
            "threshold": st.sampled_from([0.01, 0.3, 0.8]),
            "smoothing_ms": st.sampled_from([0.0, 120.0, 480.0]),
            "refractory_ms": st.sampled_from([0.0, 300.0]),
            "exclusion_ms": st.sampled_from([0.0, 250.0]),
        }
    ),
    st.lists(st.integers(0, 45_000), max_size=12),
    st.integers(0, 45_000),
    st.sampled_from([0, 1, 7_777]),
)
@settings(derandomize=True, deadline=None, max_examples=25)
def test_chunking_changes_no_step_and_no_detection(heard_by, options, cuts, gap, lost):
    assert heard_by(options, cuts, gap, lost) == heard_by(options, [], gap, lost)
