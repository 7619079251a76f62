"""A replay over stored posteriors fires exactly what `Decision` fires step by step, at any thresholds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.dsp.decision import Decision, KeywordParameters
from tinyhark.dsp.replay import Replay, Timing

ONE = 1 << 15
STRIDE = 640
TIMING = Timing(992, STRIDE)

levels = st.sampled_from([0, 1, 300, 8_000, 16_384, 20_000, 29_000, 32_000, ONE])
runs = st.tuples(levels, st.integers(1, 12))  # a posterior that stays for so many steps
times_ms = st.sampled_from([0.0, 1.0, 40.0, 79.9, 120.0, 200.0, 500.0, 1500.0])
thresholds = st.one_of(st.sampled_from([0.5, 1.0, 0.9, 1e-6]), st.floats(0.001, 1.0))


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.uint16], list[KeywordParameters], float, list[list[float]]]:
    count = draw(st.integers(1, 4))
    rows = []
    for _ in range(count):
        row = [level for level, steps in draw(st.lists(runs, max_size=12)) for _ in range(steps)]
        rows.append(row)
    steps = max(map(len, rows))
    posteriors = np.array([row + [0] * (steps - len(row)) for row in rows], np.uint16).reshape(count, steps).T
    shared = draw(times_ms)
    parameters = [
        KeywordParameters(
            0.5, shared if draw(st.booleans()) else draw(times_ms), draw(st.floats(0.05, 1.0)), draw(times_ms)
        )
        for _ in range(count)
    ]
    chosen = draw(st.lists(st.lists(thresholds, min_size=count, max_size=count), min_size=1, max_size=3))
    return posteriors, parameters, draw(times_ms), chosen


def stepped(
    posteriors: NDArray[np.uint16], parameters: Sequence[KeywordParameters], exclusion_ms: float
) -> list[tuple[int, int]]:
    decision = Decision(parameters, STRIDE, exclusion_ms)
    fired = [decision.step(row, TIMING.end_sample(step)).fired for step, row in enumerate(posteriors)]
    return [(keyword, step) for step, keyword in enumerate(fired) if keyword is not None]


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_replay_fires_what_the_decision_fires(
    case: tuple[NDArray[np.uint16], list[KeywordParameters], float, list[list[float]]],
) -> None:
    posteriors, parameters, exclusion_ms, chosen = case
    replay = Replay(posteriors, parameters, STRIDE, exclusion_ms)
    for own in chosen:
        changed = [replace(p, threshold=t) for p, t in zip(parameters, own, strict=True)]
        assert replay.firings(own) == stepped(posteriors, changed, exclusion_ms)


def test_a_long_noisy_stream_of_ten_keywords() -> None:
    rng = np.random.default_rng(3)
    smooth = np.ones(6) / 6
    raw = np.stack([np.convolve(rng.standard_normal(6_000), smooth, "same") for _ in range(10)], 1)
    posteriors = (ONE / (1 + np.exp(2 - 9 * raw))).astype(np.uint16)
    parameters = [KeywordParameters(0.5, 120.0 + 40 * (k % 2), 0.6, 300.0) for k in range(10)]
    replay = Replay(posteriors, parameters, STRIDE, 200.0)
    for threshold in (0.05, 0.4, 0.7, 0.95):
        expected = stepped(posteriors, [replace(p, threshold=threshold) for p in parameters], 200.0)
        assert replay.firings([threshold] * 10) == expected
        assert expected or threshold == 0.95


def test_scores_are_those_of_the_decision() -> None:
    posteriors = np.random.default_rng(1).integers(0, ONE + 1, (50, 3)).astype(np.uint16)
    parameters = [KeywordParameters(0.5, ms, 0.5, 0.0) for ms in (0.0, 120.0, 400.0)]
    decision = Decision(parameters, STRIDE, 0.0)
    steps = [decision.step(row, TIMING.end_sample(j)).scores for j, row in enumerate(posteriors)]
    np.testing.assert_array_equal(Replay(posteriors, parameters, STRIDE, 0.0).scores.T, steps)


def test_reached_is_every_step_at_the_threshold() -> None:
    posteriors = np.array([[0], [ONE // 2], [ONE // 2 - 1], [ONE]], np.uint16)
    replay = Replay(posteriors, [KeywordParameters(0.9, 0.0, 0.5, 0.0)], STRIDE, 0.0)
    assert [steps.tolist() for steps in replay.reached([0.5])] == [[1, 3]]


def test_refusals() -> None:
    parameters = [KeywordParameters(0.5, 0.0, 0.5, 0.0)]
    with pytest.raises(ValueError, match=r"must be \[steps, 1\]"):
        Replay(np.zeros((4, 2), np.uint16), parameters, STRIDE, 0.0)
    with pytest.raises(ValueError, match="exclusion_ms"):
        Replay(np.zeros((4, 1), np.uint16), parameters, STRIDE, -1.0)
    replay = Replay(np.zeros((0, 1), np.uint16), parameters, STRIDE, 0.0)
    assert replay.firings([0.5]) == []
    with pytest.raises(ValueError, match="threshold"):
        replay.firings([0.0])
    with pytest.raises(ValueError, match="argument"):
        replay.firings([0.5, 0.5])
