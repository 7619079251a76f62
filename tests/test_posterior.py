"""Posteriors from logit codes, in integers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyhark.dsp.posterior import posterior_table, posteriors, posteriors_of

repeatable = settings(derandomize=True, deadline=None)
codes_of_labels = st.integers(1, 20).flatmap(lambda labels: arrays(np.int8, labels))


@pytest.mark.parametrize("scale", [1e-4, 0.05, 0.125, 1.0, 20.0])
def test_table_is_the_rounded_exponential(scale):
    table = posterior_table(scale)
    assert table.dtype == np.uint16
    assert table.tolist() == [math.floor(2**15 * math.exp(-scale * d) + 0.5) for d in range(256)]
    assert table[0] == 2**15


@pytest.mark.parametrize("scale", [0.0, -0.1, math.nan, math.inf])
def test_other_scales_are_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        posterior_table(scale)


@given(codes=codes_of_labels, scale=st.floats(0.01, 0.5))
@repeatable
def test_posteriors_follow_the_formula(codes, scale):
    table = posterior_table(scale).tolist()
    e = [table[int(codes.max()) - int(code)] for code in codes]
    expected = [(2**15 * one + sum(e) // 2) // sum(e) for one in e]
    result = posteriors(codes, posterior_table(scale))
    assert result.dtype == np.int32
    assert result.tolist() == expected


@given(codes=codes_of_labels, scale=st.floats(0.01, 0.5))
@repeatable
def test_posteriors_are_a_softmax(codes, scale):
    result = posteriors(codes, posterior_table(scale))
    logits = codes.astype(np.float64) * scale
    softmax = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert np.abs(result / 2**15 - softmax).max() < (len(codes) + 2) / 2**15
    assert abs(int(result.sum()) - 2**15) <= len(codes)
    assert (np.diff(result[np.argsort(codes, kind="stable")]) >= 0).all()


@given(codes=codes_of_labels, shift=st.integers(-255, 255))
@repeatable
def test_only_differences_of_codes_count(codes, shift):
    moved = codes.astype(np.int64) + shift
    if moved.min() >= -128 and moved.max() <= 127:
        table = posterior_table(0.1)
        np.testing.assert_array_equal(posteriors(moved.astype(np.int8), table), posteriors(codes, table))


@given(codes=codes_of_labels, scale=st.floats(0.01, 0.5))
@repeatable
def test_plain_integers_give_the_same(codes, scale):
    table = posterior_table(scale)
    assert posteriors_of(codes.tolist(), table.tolist()) == posteriors(codes, table).tolist()


def test_the_widest_difference_of_codes():
    assert posteriors(np.array([127, -128], np.int8), posterior_table(0.1)).tolist() == [32768, 0]


def test_equal_codes_share_equally():
    assert posteriors(np.full(4, -128, np.int8), posterior_table(0.1)).tolist() == [8192] * 4


def test_one_label_is_certain():
    assert posteriors(np.array([-7], np.int8), posterior_table(0.1)).tolist() == [32768]


def test_windows_are_independent():
    codes = np.random.default_rng(1).integers(-128, 128, (3, 5, 12)).astype(np.int8)
    table = posterior_table(0.08)
    result = posteriors(codes, table)
    assert result.shape == codes.shape
    np.testing.assert_array_equal(result[2, 3], posteriors(codes[2, 3], table))


def test_a_table_of_int64_from_a_file_gives_the_same():
    codes = np.array([3, 20, -5], np.int8)
    table = posterior_table(0.1)
    np.testing.assert_array_equal(posteriors(codes, table.astype(np.int64)), posteriors(codes, table))


@pytest.mark.parametrize("codes", [np.zeros(3), np.zeros(3, np.uint8), np.zeros(0, np.int8), np.int8(1)])
def test_other_codes_are_refused(codes):
    with pytest.raises(ValueError, match="codes"):
        posteriors(codes, posterior_table(0.1))


@pytest.mark.parametrize("table", [np.zeros(255, np.uint16), np.zeros(256)])
def test_other_tables_are_refused(table):
    with pytest.raises(ValueError, match="table"):
        posteriors(np.zeros(3, np.int8), table)
