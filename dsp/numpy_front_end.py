"""The front end in numpy: fixed point, exact, by float64 products.

Every intermediate value is an integer below 2**53 and lives in a float64 array, so a matrix product by BLAS is exact in
any order of summation, with or without fused multiply-add. (Energies may be larger: `_Block._mel` says how they stay
exact.) `tests/test_front_end_bounds.py` proves the bounds from the tables.

What makes it quick: numpy runs through contiguous arrays of equal shape three times faster than through operands that
it has to broadcast or to stride over, and a call costs as much as some hundred multiplications. So every step is one
call on contiguous arrays, with the frame as an inner axis and the tables repeated for each frame; arrays and views are
made once for each number of frames.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from . import tables
from .tables import BANDS, COLUMNS, FRAME_SAMPLES, HALF_ROWS, LOG_BITS, LOG_FLOOR, ROWS, TABLE_BITS

Samples = NDArray[np.int16]
Frames = NDArray[np.int32]
Work = NDArray[np.float64]

_BLOCK_FRAMES = 64  # the workspaces of a block, 20 KiB a frame, about fill a level-2 cache
_MOST_BLOCKS = 16  # chunks of ever new sizes must not fill the memory
_HALF = COLUMNS // 2  # n2 is even or odd, k2 below 16 or not
_PEAK_BITS = 15  # a frame is normalised to so many
_LOW_BITS = 23  # power = high * 2**23 + low, so that both products with the mel weights stay below 2**53
_EXACT = 2.0**53  # float64 holds every integer below
_DROPPED_BITS = 52 - 23  # of a float64 mantissa, so that the logarithm sees 23 bits below the leading one
_ENERGY_ERROR = 64  # in the last place, generous
# numpy takes an array quicker than a number.
_ROUND, _POWER_SCALE = np.array(0.5), np.array(2.0**-6)
_POWERS_OF_TWO = (1 << np.arange(_PEAK_BITS + 1)).astype(np.uint16)
_DROPPED, _REST_BITS, _STEP_BITS = np.array(_DROPPED_BITS), np.array(15), np.array(8)  # shifts of `_Block._log`
_INDEX_MASK, _REST_MASK, _ZERO = np.array(0xFF), np.array(0x7FFF), np.array(0)


class NumpyFrontEnd:
    """Computes `n_mfcc` coefficients of frames `hop` samples apart; has the workspaces for it."""

    def __init__(self, hop: int, n_mfcc: int) -> None:
        self._hop = hop
        self._blocks: dict[int, _Block] = {}  # by number of frames
        outputs = _BLOCK_FRAMES * HALF_ROWS * COLUMNS  # of the DFT
        self._buffers = (np.empty(4 * outputs), np.empty(2 * outputs), np.empty(outputs))
        self._dct = tables.dct(n_mfcc).T * 2.0**-TABLE_BITS

    def log_mel(self, audio: Samples, out: Frames) -> None:
        """[512 + (frames - 1) hop or more] int16 -> out [frames, 40] int32 Q16."""
        for first in range(0, len(out), _BLOCK_FRAMES):
            frames = min(_BLOCK_FRAMES, len(out) - first)
            block = self._blocks.get(frames)
            if block is None:
                if len(self._blocks) == _MOST_BLOCKS:
                    self._blocks.clear()
                block = self._blocks[frames] = _Block(frames, self._hop, self._buffers)
            block.log_mel(audio[first * self._hop :], out[first : first + frames])

    def cepstrum(self, log_mel: Frames, out: Frames) -> None:
        """[frames, 40] log-mel Q16 -> out [frames, n_mfcc] MFCC Q16."""
        for first in range(0, len(out), _BLOCK_FRAMES):
            block = log_mel[first : first + _BLOCK_FRAMES].astype(np.float64)
            out[first : first + _BLOCK_FRAMES] = _round(block @ self._dct)  # Q38 * 2**-22 is Q16 with a fraction


class _Constants:
    """The tables as float64, with powers of two folded in so that a product needs `+ 0.5, floor` alone to be rounded.

    The DFT of 512 points is 16 x 32 with n = 32 n1 + n2, k = k1 + 16 k2. Its 32-point part takes even and odd n2 apart,
    n2 = 2 j + parity: the sum over even n2 is the same for k2 and k2 + 16, that over odd n2 changes its sign (exactly,
    in the integer table too), so half the products suffice. In the comments on axes, c is (real, imaginary part).
    """

    def __init__(self) -> None:
        exponents = np.maximum(_PEAK_BITS - np.arange(_PEAK_BITS + 2), 0)  # of the bit lengths 0..16
        window = tables.window().reshape(ROWS, _HALF, 2).transpose(2, 0, 1) * 2.0 ** -(TABLE_BITS - 9)
        self.windows = window[:, :, None] * 2.0 ** exponents[:, None]  # [parity, n1, bit length, j]
        self.dft16 = np.stack(tables.dft(ROWS, HALF_ROWS))[:, None] * 2.0 ** -(TABLE_BITS + 3)  # [c, 1, k1, n1]
        twiddle = np.stack(tables.twiddle()).reshape(2, HALF_ROWS, 1, _HALF, 2) * 2.0**-TABLE_BITS
        self.twiddle = twiddle.transpose(0, 4, 1, 2, 3)  # [cos or -sin, parity, k1, 1, j]
        cos, sin = (t[:_HALF] for t in tables.dft(COLUMNS, COLUMNS))
        dft32 = np.stack([np.concatenate([cos, sin]), np.concatenate([-sin, cos])]) * 2.0 ** -(TABLE_BITS + 3)
        self.dft32 = np.stack([dft32[..., 0::2], dft32[..., 1::2]], axis=1)  # [c in, parity, (c, k2 < 16), j]
        bins = tables.bin_of_output().T.ravel()
        self.mel = np.where(bins >= 0, tables.mel_weights()[:, bins], 0).T.astype(np.float64)  # [(k2, k1), 40]
        # The logarithm in one sum, see `_Block._log`; floors include the bias of float64's exponent.
        log2 = tables.log2_table()
        self.log2 = ((log2[:256] - (np.arange(256) << 8)) << 15) + (1 << 14)
        self.log2_step = np.diff(log2) - (1 << 8)
        self.floors = LOG_FLOOR + ((2 * exponents + 1023) << LOG_BITS)  # [bit length]


_constants = cache(_Constants)


class _Block:
    """Log-mel of exactly n frames, with the arrays and views that it takes."""

    def __init__(self, n: int, hop: int, buffers: tuple[Work, Work, Work]) -> None:
        self._constants = _constants()
        self._samples = np.empty(FRAME_SAMPLES + (n - 1) * hop)
        size = self._samples.itemsize
        strides = (size, COLUMNS * size, hop * size, 2 * size)
        self._frames = as_strided(self._samples, (2, ROWS, n, _HALF), strides)  # [parity, n1, n, j]
        self._magnitudes = np.empty(len(self._samples), np.int16)
        # As int16, |-32768| wraps to -32768; read as uint16 it is 32768.
        self._magnitude_frames = as_strided(self._magnitudes.view(np.uint16), (n, FRAME_SAMPLES), (2 * hop, 2))

        # Steps go from `first` to `second` and back: what one step has read, the next one overwrites.
        first, second, real = (buffer[: len(buffer) // _BLOCK_FRAMES * n] for buffer in buffers)
        self._unwindowed = first[: n * FRAME_SAMPLES].reshape(self._frames.shape)
        self._windowed = second[: n * FRAME_SAMPLES].reshape(self._frames.shape)
        self._x = self._windowed.reshape(2, ROWS, -1)  # [parity, n1, (n, j)]
        self._a = first[: len(second)].reshape(2, 2, HALF_ROWS, -1)  # [c, parity, k1, (n, j)]
        self._a_re, self._a_im = self._a
        self._b = second.reshape(self._a.shape)
        self._b_re, self._b_im = self._b
        self._product = real.reshape(self._a_re.shape)
        twiddle = np.broadcast_to(self._constants.twiddle, (2, 2, HALF_ROWS, n, _HALF))
        self._cos, self._sin = np.ascontiguousarray(twiddle).reshape(self._a.shape)
        self._b_columns = self._b.reshape(2, 2, -1, _HALF).transpose(0, 1, 3, 2)  # [c, parity, j, (k1, n)]
        self._sums = first.reshape(2, 2, COLUMNS, -1)  # [c in, parity, (c, k2 < 16), (k1, n)]
        self._sums_re, self._sums_im = self._sums
        self._even, self._odd = self._sums_re
        self._y = second.reshape(2, COLUMNS, -1)  # [k2 >= 16, (c, k2 modulo 16), (k1, n)]
        self._y_low, self._y_high = self._y
        (self._re2_low, self._im2_low), (self._re2_high, self._im2_high) = second.reshape(2, 2, -1)
        self._power = real
        self._power_low, self._power_high = real.reshape(2, -1)
        self._spectrum = real.reshape(-1, n).T  # [n, (k2, k1)]
        self._energy = np.empty((n, BANDS))
        self._energy_bits = self._energy.view(np.int64)
        self._leading, self._index, self._rest, self._sum = np.empty((4, n, BANDS), np.int64)

    def log_mel(self, audio: Samples, out: Frames) -> None:
        """[512 + (n - 1) hop or more] int16 -> out [n, 40] int32 Q16."""
        audio = audio[: len(self._samples)]
        bit_lengths = self._bit_lengths(audio)
        self._window(audio, bit_lengths)
        self._dft_rows()
        self._twiddle()
        self._dft_columns()
        self._to_power()
        self._mel()
        self._log(bit_lengths, out)

    def _bit_lengths(self, audio: Samples) -> NDArray[np.intp]:
        """[n] bit lengths of the largest magnitude in each frame, 0..16; the block exponent is 15 less them, or 0."""
        np.abs(audio, out=self._magnitudes)
        peaks: NDArray[np.uint16] = np.maximum.reduce(self._magnitude_frames, axis=1)
        return _POWERS_OF_TWO.searchsorted(peaks, side="right")

    def _window(self, audio: Samples, bit_lengths: NDArray[np.intp]) -> None:
        self._samples[...] = audio
        self._unwindowed[...] = self._frames
        # Mode "raise" would buffer `out`.
        self._constants.windows.take(bit_lengths, axis=2, out=self._windowed, mode="clip")
        np.multiply(self._windowed, self._unwindowed, out=self._windowed)
        _round(self._windowed)  # |.| <= 2**24

    def _dft_rows(self) -> None:
        np.matmul(self._constants.dft16, self._x, out=self._a)
        _round(self._a)  # |.| <= 2**25

    def _twiddle(self) -> None:
        a_re, a_im, b_re, b_im, cos, sin = self._a_re, self._a_im, self._b_re, self._b_im, self._cos, self._sin
        np.multiply(a_re, cos, out=b_re)
        np.multiply(a_im, sin, out=self._product)
        np.subtract(b_re, self._product, out=b_re)
        np.multiply(a_re, sin, out=b_im)
        np.multiply(a_im, cos, out=self._product)
        np.add(b_im, self._product, out=b_im)
        _round(self._b)  # |.| <= 2**25

    def _dft_columns(self) -> None:
        np.matmul(self._constants.dft32, self._b_columns, out=self._sums)
        np.add(self._sums_re, self._sums_im, out=self._sums_re)  # even and odd: |.| <= 2**27, 25 bits of fraction
        np.add(self._even, _ROUND, out=self._even)
        np.add(self._even, self._odd, out=self._y_low)
        np.subtract(self._even, self._odd, out=self._y_high)
        np.floor(self._y, out=self._y)  # 3 fractional bits, |.| <= 2**26

    def _to_power(self) -> None:
        """Of all outputs, < 2**47."""
        np.multiply(self._y, self._y, out=self._y)
        np.add(self._re2_low, self._im2_low, out=self._power_low)
        np.add(self._re2_high, self._im2_high, out=self._power_high)
        np.multiply(self._power, _POWER_SCALE, out=self._power)
        _round(self._power)

    def _mel(self) -> None:
        """To energies, < 2**62, whose leading 24 bits are exact.

        A sum of products that are not negative is exact as long as it is below 2**53. Above, the 30 products and 29
        sums of a band at most, each rounded by at most half the last place, err by less than 32 in the last place. That
        changes the leading 24 bits only where the 29 bits below them are that near to 0 or to their end: one energy in
        millions, or a made-up signal. Then the sums are done again in two halves.
        """
        energy = np.matmul(self._spectrum, self._constants.mel, out=self._energy)
        if energy.max() < _EXACT:
            return
        below = (self._energy_bits + _ENERGY_ERROR) & ((1 << _DROPPED_BITS) - 1)
        if not ((below < 2 * _ENERGY_ERROR) & (energy >= _EXACT)).any():
            return
        high = np.floor(self._spectrum * 2.0**-_LOW_BITS)
        low = self._spectrum - high * 2.0**_LOW_BITS
        high_sum, low_sum = high @ self._constants.mel, low @ self._constants.mel
        carry = np.floor(low_sum * 2.0**-_LOW_BITS)
        high_sum += carry
        low_sum -= carry * 2.0**_LOW_BITS  # < 2**23
        low_sum *= high_sum < 2.0**30  # at or above, the leading 24 bits are all in high_sum and the rest is truncated
        np.add(high_sum * 2.0**_LOW_BITS, low_sum, out=energy)

    def _log(self, bit_lengths: NDArray[np.intp], out: Frames) -> None:
        """log2 of the energies, less the block exponent and the floor, never negative.

        An IEEE 754 number without its last 29 bits is the integer v = (exponent << 23) + (i << 15) + rest, and so

            (exponent << 16) + table[i] + (step[i] * rest + 2**14 >> 15)
            = (v << 8) + (table[i] - (i << 8) << 15) + 2**14 + (step[i] - 2**8) * rest >> 15

        An energy of zero has the exponent -1023: far below the floor.
        """
        v, index, rest, total = self._leading, self._index, self._rest, self._sum
        np.right_shift(self._energy_bits, _DROPPED, out=v)
        np.right_shift(v, _REST_BITS, out=index)
        np.bitwise_and(index, _INDEX_MASK, out=index)
        np.bitwise_and(v, _REST_MASK, out=rest)
        self._constants.log2_step.take(index, out=total, mode="clip")
        np.multiply(total, rest, out=total)
        self._constants.log2.take(index, out=rest, mode="clip")
        np.add(total, rest, out=total)
        np.left_shift(v, _STEP_BITS, out=v)
        np.add(total, v, out=total)
        np.right_shift(total, _REST_BITS, out=total)  # Q16
        np.subtract(total, self._constants.floors.take(bit_lengths)[:, None], out=total)
        np.maximum(total, _ZERO, out=total)
        out[...] = total


def _round(x: Work) -> Work:
    """Round half up, in place."""
    np.add(x, _ROUND, out=x)
    return np.floor(x, out=x)
