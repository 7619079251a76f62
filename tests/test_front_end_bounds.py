"""Every step of the front end stays below 2**53, proven from the tables: float64 arithmetic on its integers is exact.

Each proof takes the largest input that the step before allows, so nothing here depends on sampled sound. A `numerator`
is a sum of products before its rounding shift; a partial sum, in any order, is below the sum of the absolute products.
"""

import numpy as np

from tinyhark.dsp import tables
from tinyhark.dsp.tables import BANDS, COLUMNS, HALF_ROWS, LOG_BITS, LOG_FLOOR, MEL_BITS, ROWS, TABLE_BITS

EXACT = 2**53  # integers up to here are float64 numbers
SAMPLE = 2**15  # after the block exponent, |x| <= 2**15: -32768 keeps e = 0, all else is below


def shifted(numerator, bits):
    """The rounding shift; it is monotonic, so a bound of the numerator becomes a bound of the result."""
    assert np.max(numerator) + (1 << (bits - 1)) < EXACT
    return (np.asarray(numerator) + (1 << (bits - 1))) >> bits


def windowed():
    """[16, 32] bound of |windowed sample|."""
    return shifted(SAMPLE * tables.window(), TABLE_BITS - 9).reshape(ROWS, COLUMNS)


def rows():
    """([9, 32], [9, 32]) bounds of |re| and |im| after the 16-point DFT."""
    cos, sin = (np.abs(t) for t in tables.dft(ROWS, HALF_ROWS))
    return shifted(cos @ windowed(), TABLE_BITS + 3), shifted(sin @ windowed(), TABLE_BITS + 3)


def twiddled():
    """[9, 32] bound of the magnitude after the twiddle factors; rounding adds at most half a unit to re and to im."""
    cos, sin = tables.twiddle()
    turned = np.hypot(*rows()) * np.hypot(cos, sin) * 2.0**-TABLE_BITS
    exact = np.isin(np.abs(cos), (0, 2**TABLE_BITS)) & np.isin(np.abs(sin), (0, 2**TABLE_BITS))
    return turned + np.where(exact, 0.0, np.sqrt(0.5))


def spectrum_magnitude():
    """[9, 32] bound of the magnitude after the 32-point DFT."""
    cos, sin = tables.dft(COLUMNS, COLUMNS)
    return twiddled() @ np.hypot(cos, sin).T * 2.0 ** -(TABLE_BITS + 3) + np.sqrt(0.5)


def power():
    """Bound of the power of a bin."""
    return int(shifted(int(spectrum_magnitude().max() ** 2) + 1, 6))


def log_mel():
    """Bound of log-mel, Q16."""
    energy = int(tables.mel_weights().sum(axis=1).max()) * power()
    return (energy.bit_length() << LOG_BITS) - LOG_FLOOR


def test_block_exponent_fills_15_bits():
    for peak in range(1, 32769):
        e = max(0, 15 - peak.bit_length())
        assert 2**14 <= peak << e <= SAMPLE
        if peak < 32768:
            assert peak << e < SAMPLE


def test_window_output_is_at_most_2_24():
    assert tables.window().min() >= 0
    assert tables.window().max() == 2**TABLE_BITS
    assert windowed().max() == 2**24


def test_16_point_dft_is_exact_and_at_most_2_25():
    cos, sin = (np.abs(t).sum(axis=1) for t in tables.dft(ROWS, HALF_ROWS))
    any_input = max(cos.max(), sin.max()) * 2**24  # without the shape of the window
    assert any_input == 2**50
    assert shifted(any_input, TABLE_BITS + 3) == 2**25
    re, im = rows()
    assert np.hypot(re, im).max() == 2**24  # with it: a column of the window sums to 8
    assert (im[[0, -1]] == 0).all()  # k1 = 0 and 8 are real


def test_twiddle_products_are_exact_and_at_most_2_25():
    cos, sin = tables.twiddle()
    numerator = np.hypot(*rows()) * np.hypot(cos, sin)  # |re cos| + |im sin| by Cauchy-Schwarz
    assert numerator.max() + 2 ** (TABLE_BITS - 1) < EXACT
    assert twiddled().max() <= 2**25


def test_32_point_dft_is_exact():
    cos, sin = tables.dft(COLUMNS, COLUMNS)
    numerator = twiddled() @ np.hypot(cos, sin).T  # |re cos| + |im sin| <= magnitude * |(cos, sin)| for every term
    assert numerator.max() + 2 ** (TABLE_BITS + 2) < 2**52


def test_32_point_dft_is_at_most_2_26():
    complex_rows = spectrum_magnitude()[1:-1]
    assert complex_rows.max() < 2**26
    # Rows 0 and 8 are real before the twiddle factors, so each n2 counts only with its part along re or along im.
    real, (turn_cos, turn_sin) = rows()[0], tables.twiddle()
    cos, sin = tables.dft(COLUMNS, COLUMNS)
    for row, rounding in ((0, 0.0), (HALF_ROWS - 1, np.sqrt(0.5))):
        along_re = np.abs(turn_cos[row] * cos - turn_sin[row] * sin)
        along_im = np.abs(turn_cos[row] * sin + turn_sin[row] * cos)
        for along in (along_re, along_im):  # [32 k2, 32 n2], Q44
            numerator = along @ real[row] * 2.0**-TABLE_BITS + rounding * np.hypot(cos, sin).sum(axis=1)
            assert np.floor(numerator * 2.0 ** -(TABLE_BITS + 3) + 0.5).max() <= 2**26


def test_halves_of_the_32_point_dft_differ_by_the_sign_of_odd_terms_alone():
    half = COLUMNS // 2
    for table in tables.dft(COLUMNS, COLUMNS):
        np.testing.assert_array_equal(table[half:, 0::2], table[:half, 0::2])
        np.testing.assert_array_equal(table[half:, 1::2], -table[:half, 1::2])


def test_power_is_exact():
    assert spectrum_magnitude().max() ** 2 + 2**5 < EXACT
    assert power() < 2**46 + 2**26


def test_mel_energy_is_below_2_62_and_its_halves_are_exact():
    weights = tables.mel_weights()
    assert weights.min() >= 0
    assert weights.max() <= 2**MEL_BITS
    largest = int(weights.sum(axis=1).max())
    assert largest * power() < 2**62
    high, low = power() >> 23, 2**23 - 1
    assert largest * high + (largest * low >> 23) < EXACT  # with the carry of the low half
    assert largest * low < EXACT


def test_mel_energy_in_one_float64_sum_is_off_by_less_than_32_in_the_last_place():
    """Each product and addition of values that are not negative errs by at most half the last place of the result."""
    bins = int((tables.mel_weights() > 0).sum(axis=1).max())
    assert bins <= 30
    assert (bins + (bins - 1)) / 2 < 32


def test_dc_has_no_mel_weight():
    assert (tables.mel_weights()[:, :2] == 0).all()


def test_logarithm_is_monotonic_and_fits_32_bits():
    table = tables.log2_table()
    assert table[0] == 0
    assert table[256] == 1 << LOG_BITS
    assert (np.diff(table) > 0).all()
    assert np.diff(table).max() * 0x7FFF + 2**14 < 2**31
    assert 0 < log_mel() < 2**22


def test_dct_is_exact_and_fits_32_bits():
    numerator = np.abs(tables.dct(BANDS)).sum(axis=1).max() * log_mel()
    assert numerator + 2 ** (TABLE_BITS - 1) < EXACT
    assert shifted(numerator, TABLE_BITS) < 2**25


def test_int8_product_is_exact():
    largest_offset, largest_multiplier = 2**31, 2**15
    mfcc = shifted(np.abs(tables.dct(BANDS)).sum(axis=1).max() * log_mel(), TABLE_BITS)
    assert (mfcc + largest_offset) * largest_multiplier + 2**23 < EXACT


def test_every_bin_of_the_spectrum_has_one_output():
    bins = tables.bin_of_output()
    assert sorted(bins[bins >= 0].tolist()) == list(range(257))
