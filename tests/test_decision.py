"""The decision logic on hand-made posteriors: when a keyword fires, and why it does not."""

import numpy as np
import pytest

from tinyhark.dsp.decision import Decision, KeywordParameters, Verdict

STRIDE = 640  # samples, 40 ms


def q15(*values: float) -> np.ndarray:
    return np.array([round(value * 32768) for value in values], np.int32)


def decision(keywords: int = 1, exclusion_ms: float = 0.0, **changes: float) -> Decision:
    plain = {"threshold": 0.7, "smoothing_ms": 120.0, "rearm": 0.5, "refractory_ms": 500.0}
    return Decision([KeywordParameters(**plain | changes)] * keywords, STRIDE, exclusion_ms)


def run(decide: Decision, rows: list, first_step: int = 0) -> list[tuple[int, int]]:
    """(step, keyword) of everything that fired; a row is the posteriors of one step."""
    fired = []
    for index, row in enumerate(rows, first_step):
        step = decide.step(q15(*np.atleast_1d(row)), (index + 1) * STRIDE)
        if step.fired is not None:
            fired.append((index, step.fired))
    return fired


def test_a_steady_posterior_fires_once():
    assert run(decision(), [0.9] * 500) == [(2, 0)]  # 3 posteriors of 0.9 / 3: the third brings the score above 0.7


def test_two_words_half_a_second_apart_fire_twice():
    word, pause = [0.9] * 6, [0.05] * 7  # 240 ms and 280 ms: the second begins 520 ms after the first
    assert run(decision(), [0] * 5 + word + pause + word) == [(7, 0), (20, 0)]


def test_words_whose_scores_do_not_dip_are_one():
    word, pause = [0.9] * 6, [0.5] * 20  # never below 0.35
    assert run(decision(), word + pause + word) == [(2, 0)]


def test_nothing_fires_without_reaching_the_threshold():
    assert run(decision(), [0.699] * 100) == []
    assert run(decision(smoothing_ms=200.0), [1, 1, 1, 0, 0, 0, 0] * 10) == []  # 3 of 5


def test_reaching_the_threshold_exactly_fires():
    assert run(decision(threshold=0.5, smoothing_ms=0), [0.5]) == [(0, 0)]
    assert run(decision(threshold=1.0, smoothing_ms=0), [1.0]) == [(0, 0)]
    assert run(decision(threshold=0.5, smoothing_ms=0), [0.5 - 2**-15] * 9) == []


def test_missing_posteriors_count_as_zero():
    assert run(decision(threshold=0.5, smoothing_ms=160.0), [1.0] * 5) == [(1, 0)]  # 2 of 4


@pytest.mark.parametrize(
    ("smoothing_ms", "posteriors"), [(0, 1), (19, 1), (40, 1), (59, 1), (60, 2), (80, 2), (99, 2), (100, 3), (1000, 25)]
)
def test_smoothing_is_rounded_to_whole_posteriors(smoothing_ms, posteriors):
    assert run(decision(threshold=1.0, smoothing_ms=smoothing_ms), [1.0] * 40) == [(posteriors - 1, 0)]


def test_refractory_alone_does_not_rearm():
    assert run(decision(smoothing_ms=0, refractory_ms=0), [0.9] * 5 + [0.5] * 50 + [0.9] * 5) == [(0, 0)]


def test_a_dip_alone_does_not_rearm():
    rows = [0.9, 0.1] * 6 + [0.9]  # fires at step 0; 500 ms have passed from step 13 on
    assert run(decision(smoothing_ms=0), rows) == [(0, 0)]
    assert run(decision(smoothing_ms=0), [*rows, 0.9]) == [(0, 0), (13, 0)]


def test_a_dip_during_the_refractory_time_counts():
    rows = [0.9, 0.1] + [0.9] * 20
    assert run(decision(smoothing_ms=0), rows) == [(0, 0), (13, 0)]


def test_a_dip_after_the_refractory_time_counts():
    rows = [0.9] * 20 + [0.1] + [0.9] * 20
    assert run(decision(smoothing_ms=0), rows) == [(0, 0), (21, 0)]


def test_a_dip_is_below_the_rearm_level_and_not_at_it():
    level = 0.25  # 0.5 x 0.5
    assert run(decision(threshold=0.5, smoothing_ms=0, refractory_ms=0), [0.9, level, 0.9]) == [(0, 0)]
    assert run(decision(threshold=0.5, smoothing_ms=0, refractory_ms=0), [0.9, level - 2**-15, 0.9]) == [(0, 0), (2, 0)]


def test_dips_are_of_the_score_and_not_of_the_posterior():
    assert run(decision(refractory_ms=0), [0.9] * 5 + [0.0] + [0.9] * 5) == [(2, 0)]


def test_exclusion_holds_the_others_back_until_it_ends():
    rows = [[0.9, 0.0]] + [[0.0, 0.9]] * 20
    assert run(decision(2, 200.0, smoothing_ms=0), rows) == [(0, 0), (5, 1)]  # 5 steps are 200 ms
    assert run(decision(2, 201.0, smoothing_ms=0), rows) == [(0, 0), (6, 1)]
    assert run(decision(2, 0.0, smoothing_ms=0), rows) == [(0, 0), (1, 1)]


def test_a_word_that_ends_inside_the_exclusion_is_lost():
    rows = [[0.9, 0.0]] + [[0.0, 0.9]] * 4 + [[0.0, 0.0]] * 20
    assert run(decision(2, 200.0, smoothing_ms=0), rows) == [(0, 0)]


def test_exclusion_holds_for_the_keyword_itself():
    rows = [0.9, 0.1] + [0.9] * 20
    assert run(decision(1, 400.0, smoothing_ms=0, refractory_ms=100.0), rows) == [(0, 0), (10, 0)]


def test_the_higher_score_fires():
    assert run(decision(2, 200.0, smoothing_ms=0), [[0.8, 0.9]]) == [(0, 1)]
    assert run(decision(2, 200.0, smoothing_ms=0), [[0.9, 0.8]]) == [(0, 0)]


def test_a_tie_goes_to_the_lower_index():
    assert run(decision(3, 200.0, smoothing_ms=0), [[0.1, 0.8, 0.8]]) == [(0, 1)]


def test_a_disarmed_keyword_still_outscores():
    rows = [[0.9, 0.0]] + [[0.9, 0.8]] * 20
    assert run(decision(2, smoothing_ms=0), rows) == [(0, 0)]
    assert run(decision(2, smoothing_ms=0), [*rows, [0.75, 0.8]]) == [(0, 0), (21, 1)]


def test_a_keyword_below_its_own_threshold_still_outscores():
    strict, lax = KeywordParameters(0.95, 0, 0.5, 500), KeywordParameters(0.5, 0, 0.5, 500)
    assert run(Decision([strict, lax], STRIDE, 0), [[0.9, 0.6]] * 5) == []
    assert run(Decision([strict, lax], STRIDE, 0), [[0.55, 0.6]] * 5) == [(0, 1)]


def test_scores_of_different_smoothing_are_compared_as_means():
    short, long = KeywordParameters(0.5, 80, 0.5, 500), KeywordParameters(0.5, 160, 0.5, 500)
    rows = [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]  # means 1/2 of 2 and 3/4 of 4
    assert run(Decision([short, long], STRIDE, 0), rows) == [(1, 1)]
    step = Decision([short, long], STRIDE, 0)
    for index, row in enumerate(rows):
        last = step.step(q15(*row), (index + 1) * STRIDE)
    assert last.scores.tolist() == [0.5, 0.75]
    # A sum of 1 of 2 ties with a sum of 2 of 4: the lower index fires.
    assert run(Decision([short, long], STRIDE, 0), [[0.0, 1.0], [1.0, 1.0]]) == [(1, 0)]


def test_time_is_end_sample_and_not_the_count_of_steps():
    decide = decision(smoothing_ms=0)
    assert run(decide, [0.9, 0.1]) == [(0, 0)]
    assert decide.step(q15(0.9), STRIDE + 7_999).fired is None
    assert decide.step(q15(0.9), STRIDE + 8_000).fired == 0


def test_reset_starts_afresh():
    used = decision(2, 300.0)
    run(used, [[0.9, 0.3]] * 5)
    used.reset()
    rows = [[0.3, 0.9]] * 5
    assert run(used, rows) == run(decision(2, 300.0), rows) == [(2, 1)]


def test_a_step_keeps_what_it_saw():
    decide = decision(smoothing_ms=0)
    first = decide.step(q15(0.9), STRIDE)
    decide.step(q15(0.1), 2 * STRIDE)
    assert first.end_sample == STRIDE
    assert first.scores == pytest.approx([0.9], abs=2**-15)
    assert first.scores.dtype == np.float64
    assert first.verdicts() == [(Verdict.FIRED, None)]


def test_verdicts_name_the_reason_and_the_other_keyword():
    decide = decision(4, 200.0, smoothing_ms=0, refractory_ms=500.0)

    def verdicts(end_ms: int, *row: float):
        return decide.step(q15(*row), end_ms * 16).verdicts()

    below, fired = (Verdict.BELOW_THRESHOLD, None), (Verdict.FIRED, None)
    assert verdicts(40, 0.1, 0.9, 0.2, 0.8) == [below, fired, below, (Verdict.OUTSCORED, 1)]
    assert verdicts(80, 0.1, 0.9, 0.2, 0.8)[1] == (Verdict.NOT_REARMED, None)
    assert verdicts(120, 0.8, 0.1, 0.9, 0.1) == [(Verdict.OUTSCORED, 2), below, (Verdict.EXCLUDED, 1), below]
    assert verdicts(160, 0.0, 0.9, 0.0, 0.8) == [below, (Verdict.REFRACTORY, None), below, (Verdict.OUTSCORED, 1)]
    assert verdicts(239, 0.0, 0.0, 0.0, 0.8)[3] == (Verdict.EXCLUDED, 1)
    assert verdicts(240, 0.0, 0.0, 0.0, 0.8)[3] == fired
    assert verdicts(280, 0.0, 0.9, 0.0, 0.1)[1] == (Verdict.REFRACTORY, None)
    assert verdicts(540, 0.0, 0.9, 0.0, 0.1)[1] == fired


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.0},
        {"threshold": 1.01},
        {"threshold": np.nan},
        {"rearm": 0.0},
        {"rearm": 1.5},
        {"smoothing_ms": -1.0},
        {"smoothing_ms": np.inf},
        {"refractory_ms": -1.0},
        {"refractory_ms": np.nan},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        decision(**changes)


def test_a_decision_needs_keywords_a_stride_and_a_time():
    one = KeywordParameters(0.5, 0, 0.5, 0)
    with pytest.raises(ValueError, match="keywords"):
        Decision([], STRIDE, 0)
    with pytest.raises(ValueError, match="stride_samples"):
        Decision([one], 0, 0)
    with pytest.raises(ValueError, match="exclusion_ms"):
        Decision([one], STRIDE, -1)


def test_posteriors_of_another_shape_or_kind_are_refused():
    for wrong in (q15(0.1), q15(0.1, 0.2, 0.3), np.zeros((1, 2), np.int32), np.zeros(2)):
        with pytest.raises(ValueError, match="posteriors"):
            decision(2).step(wrong, STRIDE)


def test_time_must_advance():
    decide = decision()
    decide.step(q15(0.1), STRIDE)
    with pytest.raises(ValueError, match="advance"):
        decide.step(q15(0.1), STRIDE)
    decide.reset()
    decide.step(q15(0.1), STRIDE)
