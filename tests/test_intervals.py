"""95 % intervals: against published values and against their definition."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.intervals import poisson_rate, wilson

repeatable = settings(derandomize=True, deadline=None)
Z = 1.959963984540054


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_published_values(successes, total, low, high):
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
@repeatable
def test_wilson_bounds_solve_the_score_equation(pair):
    successes, total = pair
    share = successes / total
    low, high = wilson(successes, total)
    assert 0 <= low <= share <= high <= 1
    for bound in (low, high):
        assert (share - bound) ** 2 == pytest.approx(Z**2 * bound * (1 - bound) / total, rel=1e-6, abs=1e-14)


def test_wilson_at_the_ends():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 50)[0] == 0.0
    assert wilson(50, 50)[1] == 1.0
    assert wilson(50, 50)[0] == pytest.approx(1 - wilson(0, 50)[1])


@pytest.mark.parametrize(("successes", "total"), [(-1, 5), (6, 5), (0, -1)])
def test_wilson_refuses_impossible_counts(successes, total):
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, total)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    # Garwood 1936 / Ulm 1990: exact limits of a Poisson mean.
    [(1, 0.0253, 5.5716), (2, 0.2422, 7.2247), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904), (100, 81.3640, 121.6270)],
)
def test_poisson_equals_published_values(events, low, high):
    assert poisson_rate(events, 1.0) == pytest.approx((low, high), abs=1e-3)


def test_no_event_in_t_hours_shows_less_than_three_over_t():
    low, high = poisson_rate(0, 10.0)
    assert low == 0.0
    assert high == pytest.approx(0.2996, abs=1e-4)
    assert math.exp(-high * 10) == pytest.approx(0.05)


def at_most(events: int, mean: float) -> float:
    return math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(events + 1))


@given(st.integers(1, 3000), st.floats(0.01, 1000))
@repeatable
def test_poisson_bounds_leave_2_5_percent_on_either_side(events, hours):
    low, high = poisson_rate(events, hours)
    assert low < events / hours < high
    assert at_most(events, high * hours) == pytest.approx(0.025, rel=1e-6)
    assert 1 - at_most(events - 1, low * hours) == pytest.approx(0.025, rel=1e-6)


def test_more_hours_narrow_the_rate():
    wide, narrow = poisson_rate(4, 10), poisson_rate(40, 100)
    assert wide[0] < narrow[0] < 0.4 < narrow[1] < wide[1]


@pytest.mark.parametrize(("events", "hours"), [(-1, 1.0), (0, 0.0), (3, -2.0), (3, math.nan), (3, math.inf)])
def test_poisson_refuses_impossible_counts(events, hours):
    with pytest.raises(ValueError, match=r"events|hours"):
        poisson_rate(events, hours)
