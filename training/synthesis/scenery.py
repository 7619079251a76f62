"""Sounds around the speech, made from random numbers alone: five kinds of noise and the responses of rooms."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

Sound = NDArray[np.float64]
Rng = np.random.Generator

_LOWEST_HZ = 40.0


def shaped_noise(rng: Rng, samples: int, gain: Callable[[Sound], Sound]) -> Sound:
    """[samples] Gaussian noise of RMS 1 whose spectrum follows `gain` (Hz -> amplitude)."""
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * gain(np.maximum(hz, _LOWEST_HZ))
    spectrum[0] = 0.0
    return _unit(np.fft.irfft(spectrum, samples))


def pink(rng: Rng, samples: int) -> Sound:
    """Power falling by 3 dB an octave: wind, distant traffic."""
    return shaped_noise(rng, samples, lambda hz: hz**-0.5)


def hum(rng: Rng, samples: int) -> Sound:
    """Mains hum with its harmonics above a soft hiss: a refrigerator, a cheap power supply."""
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    mains_hz = rng.choice([50.0, 60.0]) * (1 + rng.uniform(-0.002, 0.002))
    orders = np.arange(1, 13)
    levels = rng.uniform(0.3, 1.0, orders.size) / orders
    phases = rng.uniform(0, 2 * np.pi, orders.size)
    tones = sum(
        level * np.sin(2 * np.pi * mains_hz * order * seconds + phase)
        for order, level, phase in zip(orders, levels, phases, strict=True)
    )
    return _unit(_unit(np.asarray(tones)) + 0.5 * pink(rng, samples))


def fan(rng: Rng, samples: int) -> Sound:
    """Air through blades: dull noise that breathes a few times a second."""
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    corner_hz = rng.uniform(500, 1200)
    air = shaped_noise(rng, samples, lambda hz: 1 / (1 + (hz / corner_hz) ** 2))
    beat = 1 + 0.25 * np.sin(2 * np.pi * rng.uniform(4, 9) * seconds + rng.uniform(0, 2 * np.pi))
    return _unit(air * beat)


def rain(rng: Rng, samples: int) -> Sound:
    """A bright hiss with single drops: rain at a window, frying."""
    hiss = shaped_noise(rng, samples, lambda hz: np.minimum(hz / 2000, 1.0))
    drops = np.zeros(samples)
    count = int(25 * samples / SAMPLE_RATE_HZ)
    drops[rng.integers(0, samples, count)] = rng.exponential(1.0, count) * rng.choice([-1.0, 1.0], count)
    decay = np.exp(-np.arange(160) / 20) * np.sin(2 * np.pi * 2500 * np.arange(160) / SAMPLE_RATE_HZ)
    return _unit(hiss + 0.7 * _unit(np.convolve(drops, decay)[:samples]))


def babble(rng: Rng, samples: int, talkers: int = 6) -> Sound:
    """Speech-like noise without words: noise through pairs of resonances, opening and closing like syllables."""
    return _unit(np.sum([_murmur(rng, samples) for _ in range(talkers)], axis=0))


def _murmur(rng: Rng, samples: int) -> Sound:
    """One talker of the babble."""
    out = np.zeros(samples)
    start = -int(rng.integers(0, SAMPLE_RATE_HZ // 4))
    while start < samples:
        length = int(rng.uniform(0.12, 0.35) * SAMPLE_RATE_HZ)
        resonances = partial(_resonances, first_hz=rng.uniform(250, 800), second_hz=rng.uniform(900, 2500))
        syllable = shaped_noise(rng, length, resonances)
        syllable *= np.sin(np.pi * np.arange(length) / length) * rng.uniform(0.3, 1.0)
        begin, end = max(0, start), min(samples, start + length)
        if end > begin:
            out[begin:end] += syllable[begin - start : end - start]
        start += int(length * rng.uniform(0.7, 1.6))
    return out


NOISES: dict[str, Callable[[Rng, int], Sound]] = {
    "pink": pink,
    "hum": hum,
    "fan": fan,
    "rain": rain,
    "babble": babble,
}


def room_response(rng: Rng, rt60_s: float, direct_to_reverberant_db: float) -> Sound:
    """Impulse response of a room: direct sound (sample 0, amplitude 1), then noise that decays by 60 dB in `rt60_s`."""
    samples = int(rt60_s * SAMPLE_RATE_HZ)
    response = rng.standard_normal(samples) * 10 ** (-3 * np.arange(samples) / samples)
    response[: int(0.002 * SAMPLE_RATE_HZ)] = 0.0  # the first wall is some way off
    response *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return response


def convolve(sound: Sound, response: Sound) -> Sound:
    """[n] * [m] -> [n + m - 1], by FFT."""
    samples = len(sound) + len(response) - 1
    points = 1 << (samples - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(sound, points) * np.fft.rfft(response, points), points)[:samples]


def _resonances(hz: Sound, first_hz: float, second_hz: float) -> Sound:
    first, second = (np.exp(-(((hz - peak_hz) / (0.2 * peak_hz)) ** 2)) for peak_hz in (first_hz, second_hz))
    return np.asarray(first + 0.5 * second)


def _unit(sound: Sound) -> Sound:
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))
