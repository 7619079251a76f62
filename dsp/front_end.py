"""The MFCC front end: int16 sound to log-mel and MFCC frames in fixed point, exact, from numpy alone.

Every intermediate value is an integer below 2**53 and lives in a float64 array, so a matrix product by BLAS is exact in any
order of summation, with or without fused multiply-add. `tests/test_front_end_bounds.py` proves the bounds from the tables.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from . import tables
from .tables import BANDS, COLUMNS, FRAME_SAMPLES, HALF_ROWS, HOP_SAMPLES, LOG_BITS, LOG_FLOOR, ROWS, TABLE_BITS

Samples = NDArray[np.int16]
Frames = NDArray[np.int32]
Work = NDArray[np.float64]

HOPS_SAMPLES = (HOP_SAMPLES, 2 * HOP_SAMPLES)

# SHA-256 over the MFCC (int32, little endian) of all golden vectors in the order of their names; a model file names the
# front end it was trained with by this digest.
DIGEST = "0bccdceca7b44b5c4819bcc35933ffc5c01e1643dbfca76099945f09a75e9b7d"

_BLOCK_FRAMES = 32  # temporaries stay below 128 KiB: larger ones cost more in page faults than in arithmetic
_PEAK_SAMPLES = 32  # divides both the hop and the frame: peaks of frames are maxima of these
_LOW_BITS = 23  # power = high * 2**23 + low, so that both products with the mel weights stay below 2**53


def frame_count(samples: int, hop: int = HOP_SAMPLES) -> int:
    """Frames in `samples` samples of sound: none below 512, else `1 + (samples - 512) // hop`."""
    return 0 if samples < FRAME_SAMPLES else 1 + (samples - FRAME_SAMPLES) // hop


class FrontEnd:
    """Turns 16 kHz int16 sound into frames of 40 log-mel bands or `n_mfcc` coefficients, Q16, log2 units.

    `log_mel` and `mfcc` take a whole recording; `feed_log_mel` and `feed` take the next chunk of a stream and give the same
    frames. hop: 160 or 320 samples. Raises ValueError for another hop, for n_mfcc outside 1..40, for sound that is not [n] int16.
    """

    def __init__(self, hop: int = HOP_SAMPLES, n_mfcc: int = BANDS) -> None:
        if hop not in HOPS_SAMPLES:
            raise ValueError(f"hop is {hop} samples; it must be one of {HOPS_SAMPLES}")
        if not 1 <= n_mfcc <= BANDS:
            raise ValueError(f"n_mfcc is {n_mfcc}; it must be 1 to {BANDS}")
        self.hop = hop
        self.n_mfcc = n_mfcc
        self._kernel = _Kernel(hop)
        self._dct = tables.dct(n_mfcc).T * 2.0**-TABLE_BITS
        self._samples = np.zeros(FRAME_SAMPLES + (_BLOCK_FRAMES - 1) * hop)
        self._filled = 0

    def reset(self) -> None:
        """Forget the stream: the next chunk is its first."""
        self._filled = 0

    def log_mel(self, audio: Samples) -> Frames:
        """[n] int16 -> [frames, 40] int32 Q16, of a whole recording; the stream is left alone."""
        _check(audio)
        out = np.empty((frame_count(len(audio), self.hop), BANDS), np.int32)
        for first in range(0, len(out), _BLOCK_FRAMES):
            frames = min(_BLOCK_FRAMES, len(out) - first)
            start = first * self.hop
            block = audio[start : start + FRAME_SAMPLES + (frames - 1) * self.hop].astype(np.float64)
            self._kernel.log_mel(block, out[first : first + frames])
        return out

    def mfcc(self, audio: Samples) -> Frames:
        """[n] int16 -> [frames, n_mfcc] int32 Q16, of a whole recording; the stream is left alone."""
        return self.cepstrum(self.log_mel(audio))

    def cepstrum(self, log_mel: Frames) -> Frames:
        """[frames, 40] log-mel Q16 -> [frames, n_mfcc] MFCC Q16 by the orthonormal DCT-II."""
        x = np.matmul(log_mel.astype(np.float64), self._dct)  # Q38 * 2**-22 -> Q16, fraction kept
        x += 0.5
        return np.floor(x, out=x).astype(np.int32)  # Q16

    def feed_log_mel(self, chunk: Samples) -> Frames:
        """Next [n] int16 of the stream, any n -> the [frames, 40] int32 Q16 that it completes."""
        _check(chunk)
        out = np.empty((frame_count(self._filled + len(chunk), self.hop), BANDS), np.int32)
        done = taken = 0
        while taken < len(chunk):
            piece = chunk[taken : taken + len(self._samples) - self._filled]
            self._samples[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            taken += len(piece)
            frames = frame_count(self._filled, self.hop)
            if frames:
                self._kernel.log_mel(self._samples[: self._filled], out[done : done + frames])
                done += frames
                rest = self._filled - frames * self.hop
                self._samples[:rest] = self._samples[frames * self.hop : self._filled]
                self._filled = rest
        return out

    def feed(self, chunk: Samples) -> Frames:
        """Next [n] int16 of the stream, any n -> the [frames, n_mfcc] int32 Q16 that it completes."""
        return self.cepstrum(self.feed_log_mel(chunk))


def _check(audio: Samples) -> None:
    if audio.dtype != np.int16 or audio.ndim != 1:
        raise ValueError(f"sound is {audio.dtype} of shape {audio.shape}; it must be int16 of shape [samples]")


class _Kernel:
    """Log-mel of up to 32 frames at once, in workspaces made once."""

    def __init__(self, hop: int) -> None:
        self._hop = hop
        # Powers of two are folded into the tables: a product then needs `+ 0.5, floor` alone to be rounded.
        self._window = tables.window().reshape(ROWS, 1, COLUMNS) * 2.0 ** -(TABLE_BITS - 9)
        self._dft16 = np.concatenate(tables.dft(ROWS, HALF_ROWS)) * 2.0 ** -(TABLE_BITS + 3)  # [18, 16]
        cos, sin = (t[:, None] * 2.0**-TABLE_BITS for t in tables.twiddle())  # [9, 1, 32]
        self._cos, self._sin = cos, sin
        cos, sin = (t.T for t in tables.dft(COLUMNS, COLUMNS))
        self._dft32 = np.block([[cos, sin], [-sin, cos]]) * 2.0 ** -(TABLE_BITS + 3)  # [re n2 | im n2] -> [re k2 | im k2]
        bins = tables.bin_of_output().ravel()
        self._mel = np.where(bins >= 0, tables.mel_weights()[:, bins], 0).T.astype(np.float64)  # [9 * 32, 40]
        table = tables.log2_table()
        self._log2, self._log2_step = table[:256].copy(), np.diff(table)
        self._x = np.empty(ROWS * _BLOCK_FRAMES * COLUMNS)
        self._a = np.empty(2 * HALF_ROWS * _BLOCK_FRAMES * COLUMNS)
        self._b = np.empty(HALF_ROWS * _BLOCK_FRAMES * COLUMNS)
        self._c = np.empty(HALF_ROWS * _BLOCK_FRAMES * COLUMNS)
        self._w = np.empty(_BLOCK_FRAMES * HALF_ROWS * 2 * COLUMNS)
        self._split = np.empty(2 * _BLOCK_FRAMES * HALF_ROWS * COLUMNS)

    def log_mel(self, samples: Work, out: Frames) -> None:
        """[512 + (n - 1) hop or more] integer-valued samples -> out [n, 40], n <= 32."""
        n = len(out)
        exponent = self._exponent(samples, n)
        power = self._power(samples, exponent, n)
        out[:] = self._log(self._mel_energy(power, n), exponent)

    def _exponent(self, samples: Work, n: int) -> NDArray[np.int64]:
        """[n] left shifts that normalise each frame to 15 bits."""
        used = FRAME_SAMPLES + (n - 1) * self._hop
        peaks = np.abs(samples[:used]).reshape(-1, _PEAK_SAMPLES).max(axis=1)
        step = peaks.strides[0]
        frames = as_strided(peaks, (n, FRAME_SAMPLES // _PEAK_SAMPLES), (self._hop // _PEAK_SAMPLES * step, step))
        bits = np.frexp(frames.max(axis=1))[1].astype(np.int64)  # bit length of an integer
        return np.maximum(0, 15 - bits)

    def _power(self, samples: Work, exponent: NDArray[np.int64], n: int) -> Work:
        """-> [n, 9 * 32] power of DFT output (k1, k2), < 2**47."""
        step = samples.strides[0]
        frames = as_strided(samples, (ROWS, n, COLUMNS), (COLUMNS * step, self._hop * step, step))
        x = self._x[: ROWS * n * COLUMNS].reshape(ROWS, n, COLUMNS)
        np.multiply(frames, self._window, out=x)
        x *= np.ldexp(1.0, exponent)[:, None]
        _round(x)  # |x| <= 2**24
        a = self._a[: 2 * HALF_ROWS * n * COLUMNS].reshape(2 * HALF_ROWS, n * COLUMNS)
        np.matmul(self._dft16, x.reshape(ROWS, n * COLUMNS), out=a)
        _round(a)  # |.| <= 2**25
        re, im = a.reshape(2, HALF_ROWS, n, COLUMNS)
        w = self._w[: n * HALF_ROWS * 2 * COLUMNS].reshape(n, HALF_ROWS, 2, COLUMNS)
        b = self._b[: HALF_ROWS * n * COLUMNS].reshape(HALF_ROWS, n, COLUMNS)
        c = self._c[: HALF_ROWS * n * COLUMNS].reshape(HALF_ROWS, n, COLUMNS)
        np.multiply(re, self._cos, out=b)
        np.multiply(im, self._sin, out=c)
        b -= c
        b += 0.5
        np.floor(b, out=w[:, :, 0].transpose(1, 0, 2))  # |.| <= 2**25
        np.multiply(re, self._sin, out=b)
        np.multiply(im, self._cos, out=c)
        b += c
        b += 0.5
        np.floor(b, out=w[:, :, 1].transpose(1, 0, 2))
        y = self._a[: n * HALF_ROWS * 2 * COLUMNS].reshape(n * HALF_ROWS, 2 * COLUMNS)
        np.matmul(w.reshape(n * HALF_ROWS, 2 * COLUMNS), self._dft32, out=y)
        _round(y)  # 3 fractional bits, |.| <= 2**26
        y *= y
        power = self._b[: n * HALF_ROWS * COLUMNS].reshape(n * HALF_ROWS, COLUMNS)
        np.add(y[:, :COLUMNS], y[:, COLUMNS:], out=power)
        power *= 2.0**-6
        _round(power)
        return power.reshape(n, HALF_ROWS * COLUMNS)

    def _mel_energy(self, power: Work, n: int) -> Work:
        """-> [n, 40] energies (< 2**62), bits below the leading 24 dropped where a float64 could not hold them."""
        split = self._split[: 2 * n * power.shape[1]].reshape(2, n, power.shape[1])
        high, low = split
        np.multiply(power, 2.0**-_LOW_BITS, out=high)
        np.floor(high, out=high)
        np.multiply(high, -(2.0**_LOW_BITS), out=low)
        low += power
        high_sum, low_sum = np.matmul(split.reshape(2 * n, -1), self._mel).reshape(2, n, BANDS)
        carry = np.floor(low_sum * 2.0**-_LOW_BITS)
        high_sum += carry
        low_sum -= carry * 2.0**_LOW_BITS  # < 2**23
        low_sum *= high_sum < 2.0**30  # at or above, the leading 24 bits are all in high_sum and the rest is truncated
        high_sum *= 2.0**_LOW_BITS
        high_sum += low_sum
        return high_sum

    def _log(self, energy: Work, exponent: NDArray[np.int64]) -> NDArray[np.int64]:
        """log2 of [n, 40] energies, less the block exponent and the floor: [n, 40] Q16, never negative."""
        bits = energy.view(np.int64)  # IEEE 754: 11 bits of exponent, biased by 1023, 52 of mantissa; zero gives -1023
        index = (bits >> 44) & 0xFF
        rest = (bits >> 29) & 0x7FFF  # 15 bits below the index: 23 bits of mantissa in all, truncated
        out = self._log2_step[index]
        out *= rest
        out += 1 << 14
        out >>= 15
        out += self._log2[index]  # Q16
        out += ((bits >> 52) - 1023) << LOG_BITS
        out -= (exponent * (2 << LOG_BITS) + LOG_FLOOR)[:, None]
        return np.maximum(out, 0, out=out)


def _round(x: Work) -> None:
    """Round half up, in place."""
    x += 0.5
    np.floor(x, out=x)
