"""The same MFCC chain in float64, without rounding: states the error of the fixed-point front end, runs nowhere else.

Window, mel scale, log floor and DCT are those of the front end, written again from their definitions and not from its
tables, so that an error in a table shows.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .tables import BANDS, FRAME_SAMPLES, HIGH_HZ, HOP_SAMPLES, LOW_HZ, SAMPLE_RATE_HZ

Real = NDArray[np.float64]

LOG_FLOOR = 2.0**8  # the energy (sample LSB squared) that is the zero of the log scale
BINS = FRAME_SAMPLES // 2 + 1


def window() -> Real:
    """[512] periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES))


def mel_weights() -> Real:
    """[40, 257] triangles of peak 1, equally spaced on the HTK mel scale from 60 to 7600 Hz."""
    low, high = (np.log1p(hz / 700) for hz in (LOW_HZ, HIGH_HZ))  # any base of the logarithm gives the same triangles
    edges = np.linspace(low, high, BANDS + 2)
    bins = np.log1p(np.arange(BINS) * (SAMPLE_RATE_HZ / FRAME_SAMPLES) / 700)
    return np.stack([np.interp(bins, edges[band : band + 3], [0.0, 1.0, 0.0]) for band in range(BANDS)])


def dct(outputs: int = BANDS) -> Real:
    """[outputs, 40] orthonormal DCT-II."""
    basis = np.cos(np.pi / BANDS * np.outer(np.arange(outputs), np.arange(BANDS) + 0.5))
    return np.asarray(basis / np.linalg.norm(basis, axis=1, keepdims=True))


def mel_energy(audio: NDArray[np.int16], hop: int = HOP_SAMPLES) -> Real:
    """[n] int16 -> [frames, 40] mel energies, sample LSB squared."""
    if len(audio) < FRAME_SAMPLES:
        return np.zeros((0, BANDS))
    frames = sliding_window_view(audio.astype(np.float64), FRAME_SAMPLES)[::hop]
    spectrum = np.fft.rfft(frames * window())
    return np.asarray((spectrum.real**2 + spectrum.imag**2) @ mel_weights().T)


def log_mel(audio: NDArray[np.int16], hop: int = HOP_SAMPLES) -> Real:
    """[n] int16 -> [frames, 40] log2 of the mel energies above the floor, never negative."""
    return np.asarray(np.log2(np.maximum(mel_energy(audio, hop) / LOG_FLOOR, 1)))


def mfcc(audio: NDArray[np.int16], hop: int = HOP_SAMPLES, n_mfcc: int = BANDS) -> Real:
    """[n] int16 -> [frames, n_mfcc] MFCC, log2 units (the front end's are these in Q16)."""
    return np.asarray(log_mel(audio, hop) @ dct(n_mfcc).T)
