"""Quantization of features and of float sound: round half up, then clip."""

from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp.quantize import quantize, to_int16

with np.load(Path(__file__).parent / "vectors/front-end-vectors.npz") as _file:
    VECTORS = {name: _file[name] for name in _file.files}
SIGNALS = sorted(name.removesuffix("/audio") for name in VECTORS if name.endswith("/audio"))

repeatable = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize("signal", SIGNALS)
def test_features_equal_the_golden_vectors(signal):
    codes = quantize(VECTORS[f"{signal}/mfcc"], VECTORS["offset"], VECTORS["multiplier"])
    assert codes.dtype == np.int8
    np.testing.assert_array_equal(codes, VECTORS[f"{signal}/int8"])


def test_golden_vectors_saturate_at_both_ends():
    codes = np.concatenate([VECTORS[f"{signal}/int8"] for signal in SIGNALS])
    assert codes.min() == -128
    assert codes.max() == 127


@given(
    mfcc=st.integers(-(2**23), 2**23) | st.integers(-(2**31), 2**31 - 1),
    offset=st.integers(-(2**22), 2**22) | st.integers(-(2**31), 2**31 - 1),
    multiplier=st.integers(-(2**15), 2**15 - 1),
)
@repeatable
def test_features_are_rounded_half_up_then_clipped(mfcc, offset, multiplier):
    exact = floor(Fraction((mfcc - offset) * multiplier, 2**24) + Fraction(1, 2))
    code = quantize(np.array([mfcc], np.int32), np.array([offset], np.int32), np.array([multiplier], np.int16))
    assert code[0] == min(max(exact, -128), 127)


def test_halves_are_rounded_up():
    halves = np.array([[1], [-1], [3], [-3], [5]], np.int32) << 15  # with a multiplier of 256: 0.5, -0.5, 1.5, ...
    codes = quantize(halves, np.zeros(1, np.int32), np.array([256], np.int16))
    assert codes.ravel().tolist() == [1, 0, 2, -1, 3]
    assert quantize(halves - 1, np.zeros(1, np.int32), np.array([256], np.int16)).ravel().tolist() == [0, -1, 1, -2, 2]


def test_large_features_saturate_instead_of_wrapping():
    mfcc, one = np.array([[200], [-200]], np.int32) << 16, np.array([256], np.int16)
    assert quantize(mfcc, np.zeros(1, np.int32), one).tolist() == [[127], [-128]]


def test_any_leading_shape_is_kept_and_the_input_too():
    mfcc = np.arange(24, dtype=np.int32).reshape(2, 3, 4) << 16
    before = mfcc.copy()
    codes = quantize(mfcc, np.zeros(4, np.int32), np.full(4, 256, np.int16))
    assert codes.tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    np.testing.assert_array_equal(mfcc, before)


@pytest.mark.parametrize(
    ("mfcc", "offset", "multiplier"),
    [
        (np.zeros((5, 4), np.int32), np.zeros(1, np.int32), np.zeros(4, np.int16)),
        (np.zeros((5, 4), np.int32), np.zeros(4, np.int32), np.zeros((5, 4), np.int16)),
        (np.int32(1), np.zeros(4, np.int32), np.zeros(4, np.int16)),
        (np.zeros((5, 4)), np.zeros(4, np.int32), np.zeros(4, np.int16)),
        (np.zeros((5, 4), np.int32), np.zeros(4, np.int32), np.zeros(4)),
    ],
)
def test_features_of_other_shapes_and_kinds_are_refused(mfcc, offset, multiplier):
    with pytest.raises(ValueError, match="must be"):
        quantize(mfcc, offset, multiplier)


@given(st.floats(-1.5, 1.5, width=32))
@repeatable
def test_float32_sound_is_rounded_half_up_then_clipped(value):
    exact = floor(Fraction(value) * 32768 + Fraction(1, 2))
    assert to_int16(np.array([value], np.float32))[0] == min(max(exact, -32768), 32767)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sound_at_the_edges(kind):
    steps = np.array([0.5, -0.5, 0.49, -0.51, 1.5, -1.5, 32767.0, 32767.6, 40000.0, -32768.0, -1e9])
    expected = [1, 0, 0, -1, 2, -1, 32767, 32767, 32767, -32768, -32768]
    assert to_int16((steps / 32768).astype(kind)).tolist() == expected


def test_a_hair_below_one_half_stays_zero_in_float32():
    assert to_int16(np.array([np.nextafter(np.float32(0.5), np.float32(0))]) / np.float32(32768))[0] == 0


@given(st.integers(-32768, 32767))
@repeatable
def test_int16_survives_the_way_through_float(value):
    assert to_int16(np.array([[value / 32768]], np.float32))[0, 0] == value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sound_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        to_int16(np.array([0.0, value]))


def test_sound_in_integers_is_refused():
    with pytest.raises(ValueError, match="must be float"):
        to_int16(np.zeros(4, np.int16))
