"""The integer tables of the front end: the only place where its real numbers become integers."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Table = NDArray[np.int64]

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 512  # 32 ms
HOP_SAMPLES = 160  # 10 ms
BANDS = 40
LOW_HZ, HIGH_HZ = 60.0, 7600.0

TABLE_BITS = 22  # every table but the two below: Q22
MEL_BITS = 12  # mel weights: Q12
LOG_BITS = 16  # logarithms, log-mel and MFCC: Q16, log2 units
LOG_FLOOR = (MEL_BITS + 8) << LOG_BITS  # an energy of 2**8 (sample LSB squared) is the zero of the log scale

ROWS, COLUMNS = 16, 32  # the DFT of 512 points as 16 x 32: n = 32 n1 + n2, k = k1 + 16 k2
HALF_ROWS = ROWS // 2 + 1  # real input: k1 = 0..8 suffices


def to_fixed(values: ArrayLike, bits: int = TABLE_BITS) -> Table:
    """Real numbers as fixed point with `bits` fractional bits, rounded half up."""
    return np.floor(np.asarray(values, np.float64) * 2.0**bits + 0.5).astype(np.int64)


@cache
def window() -> Table:
    """[512] periodic Hann window, Q22."""
    return to_fixed(np.sin(np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES) ** 2)


@cache
def dft(points: int, outputs: int) -> tuple[Table, Table]:
    """(cos, -sin) of the DFT, each [outputs, points], Q22; the angle is taken modulo `points` before it is rounded."""
    angle = 2 * np.pi * (np.outer(np.arange(outputs), np.arange(points)) % points) / points
    return to_fixed(np.cos(angle)), -to_fixed(np.sin(angle))


@cache
def twiddle() -> tuple[Table, Table]:
    """(cos, -sin) of 2 pi k1 n2 / 512, each [9, 32], Q22."""
    angle = 2 * np.pi * np.outer(np.arange(HALF_ROWS), np.arange(COLUMNS)) / FRAME_SAMPLES
    return to_fixed(np.cos(angle)), -to_fixed(np.sin(angle))


def mel(hz: ArrayLike) -> NDArray[np.float64]:
    """Hz on the HTK mel scale (O'Shaughnessy 1987)."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz, np.float64) / 700.0))


@cache
def mel_weights() -> Table:
    """[40, 257] triangles of peak 1, equally spaced on the mel scale, Q12."""
    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)
    bins = mel(np.arange(FRAME_SAMPLES // 2 + 1) * SAMPLE_RATE_HZ / FRAME_SAMPLES)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid))
    return to_fixed(np.clip(triangles, 0, None), MEL_BITS)


def band_centres_hz() -> NDArray[np.float64]:
    """[40] where the triangles of `mel_weights` have their peaks."""
    return np.asarray(700.0 * (10 ** (np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)[1:-1] / 2595.0) - 1))


@cache
def log2_table() -> Table:
    """[257] log2(1 + i / 256), Q16."""
    return to_fixed(np.log2(1 + np.arange(257) / 256), LOG_BITS)


@cache
def dct(outputs: int) -> Table:
    """[outputs, 40] orthonormal DCT-II, Q22."""
    c, m = np.arange(outputs)[:, None], np.arange(BANDS)[None]
    scale = np.where(c == 0, np.sqrt(1 / BANDS), np.sqrt(2 / BANDS))
    return to_fixed(scale * np.cos(np.pi * c * (m + 0.5) / BANDS))


@cache
def bin_of_output() -> Table:
    """[9, 32] the spectrum bin (0..256) that DFT output (k1, k2) stands for, -1 where another output gives that bin."""
    k = np.arange(HALF_ROWS)[:, None] + ROWS * np.arange(COLUMNS)[None]
    straight = set(k[k <= FRAME_SAMPLES // 2].tolist())
    mirrored = FRAME_SAMPLES - k
    taken = np.isin(mirrored, list(straight))
    return np.where(k <= FRAME_SAMPLES // 2, k, np.where(taken, -1, mirrored))
