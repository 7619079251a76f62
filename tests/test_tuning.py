"""Choosing an operating point: what is promised holds on other data, by definition and by simulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.intervals import poisson_upper
from tinyhark.dsp.tuning import (
    SHIFTS,
    allowed_false_accepts,
    allowed_misses,
    loosest,
    most_ahead,
    shifted,
    strictest,
)

repeatable = settings(derandomize=True, deadline=None)


def at_most(n, events, share):
    """Probability of n or fewer: each further event is one of those ahead with probability 1 - share."""
    return sum(math.comb(i + events, i) * share ** (events + 1) * (1 - share) ** i for i in range(n + 1))


@given(st.integers(0, 40), st.floats(0.5, 50), st.floats(0.5, 50), st.sampled_from([0.05, 0.05 / 3, 0.5]))
@repeatable
def test_the_most_events_ahead_solve_their_definition(events, hours, ahead, error):
    share = hours / (hours + ahead)
    most = most_ahead(events, hours, ahead, error)
    assert at_most(most, events, share) >= 1 - error - 1e-9
    assert most == 0 or at_most(most - 1, events, share) < 1 - error + 1e-9


def test_the_most_events_ahead_of_as_many_hours_as_were_heard():
    assert most_ahead(0, 2.3, 2.3, 0.05) == 4  # a coin that shows heads more than four times first: 1 in 32
    assert most_ahead(500, 2.3, 24.0, 0.05) == pytest.approx(501 * 24 / 2.3, rel=0.1)


@pytest.mark.parametrize(
    ("per_hour", "hours", "most"), [(0.1, 9.9, -1), (0.1, 10, 0), (0.1, 30, 2), (0.5, 2.31, 0), (1, 4.6, 3)]
)
def test_false_accepts_that_a_choice_may_have(per_hour, hours, most):
    assert allowed_false_accepts(per_hour, hours) == most


@pytest.mark.parametrize(("share", "words", "most"), [(0.05, 18, -1), (0.05, 19, 0), (0.05, 39, 1), (0.1, 100, 9)])
def test_misses_that_a_choice_may_have(share, words, most):
    assert allowed_misses(share, words) == most


def test_the_loosest_setting_has_none_above_it_that_fails():
    counts = np.array([9, 4, 2, 3, 1, 0])
    assert loosest(counts, 2) == 4  # 2 at index 2 is luck: index 3 is stricter and has 3
    assert loosest(counts, 9) == 0
    assert loosest(counts + 1, 0) is None


def test_the_strictest_setting_has_none_below_it_that_fails():
    misses = np.array([0, 1, 3, 2, 5])
    assert strictest(misses, 2) == 1
    assert strictest(misses, 5) == 4
    assert strictest(misses + 1, 0) is None


@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=5))
@repeatable
def test_shifting_keeps_the_order_and_the_range(thresholds):
    path = [shifted(thresholds, shift) for shift in SHIFTS]
    assert shifted(thresholds, 0.0) == pytest.approx(thresholds, abs=5.1e-5)
    for looser, stricter in pairwise(path):
        assert all(0.001 <= a <= b <= 0.9999 for a, b in zip(looser, stricter, strict=True))


@pytest.mark.parametrize(("hours", "target"), [(2.3, 0.5), (30.0, 0.2)])
def test_promises_hold_on_other_data(hours, target):
    """False accepts of a Poisson process, heard by three alike detectors; the one with the lowest level is taken."""
    rng = np.random.default_rng(1)
    error, levels, density = 0.05 / 3, np.arange(0, 20, 0.2), 40.0  # events per hour above level 0

    def heights(count):
        return rng.exponential(1.0, (count, 1)) + rng.normal(0, 0.15, (count, 3))

    many = np.sort(heights(200_000), axis=0)
    true_rate = density * (1 - np.array([np.searchsorted(many[:, v], levels) for v in range(3)]) / len(many))
    allowed = allowed_false_accepts(target, hours)
    rates, broken_rate, broken_count = [], 0, 0
    for _ in range(1000):
        found = heights(rng.poisson(density * hours))
        places = [loosest((found[:, v, None] >= levels).sum(axis=0), allowed) for v in range(3)]
        chosen = min(range(3), key=places.__getitem__)
        rates.append(true_rate[chosen, places[chosen]])
        broken_rate += rates[-1] > poisson_upper(allowed, hours, error)
        broken_count += rng.poisson(rates[-1] * 24.0) > most_ahead(allowed, hours, 24.0, error)
    assert np.mean(rates) <= target
    assert broken_rate <= 0.05 * len(rates)
    assert broken_count <= 0.05 * len(rates)
    assert np.mean(rates) > target / 3  # and is not kept by giving up
