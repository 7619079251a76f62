"""The front end beside the same chain in plain int64 with explicit shifts, on sound that the golden vectors lack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp import tables
from tinyhark.dsp.front_end import FrontEnd

Q = tables.TABLE_BITS


pytestmark = pytest.mark.usefixtures("implementation")  # all of this holds for both


def rounded(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << (bits - 1))) >> bits


def turned(re, im, cos, sin, product, bits):
    """(re + i im) times (cos + i sin)."""
    return (
        rounded(product(re, cos) - product(im, sin), bits),
        rounded(product(re, sin) + product(im, cos), bits),
    )


def log2(energy: int) -> int:
    """Q16 of an energy above 0."""
    exponent = energy.bit_length() - 1
    mantissa = (energy << 23 >> exponent) - (1 << 23)
    low, high = (int(value) for value in tables.log2_table()[mantissa >> 15 :][:2])
    return (exponent << 16) + low + (((high - low) * (mantissa & 0x7FFF) + (1 << 14)) >> 15)


def mel_energies(frame: np.ndarray) -> tuple[list[int], int]:
    """[512] int16 -> 40 energies and the block exponent."""
    x = frame.astype(np.int64)
    e = max(0, 15 - int(np.abs(x).max()).bit_length())
    x = rounded((x << e) * tables.window(), Q - 9).reshape(16, 32)
    re, im = (rounded(table @ x, Q + 3) for table in tables.dft(16, 9))
    re, im = turned(re, im, *tables.twiddle(), np.multiply, Q)
    cos, sin = tables.dft(32, 32)
    re, im = turned(re, im, cos.T, sin.T, np.matmul, Q + 3)
    power = rounded(re * re + im * im, 6)
    bins = tables.bin_of_output()
    spectrum = np.zeros(257, np.int64)
    spectrum[bins[bins >= 0]] = power[bins >= 0]
    return (tables.mel_weights() @ spectrum).tolist(), e


def log_mel(frame: np.ndarray) -> list[int]:
    """[512] int16 -> 40 log-mel, Q16."""
    energies, e = mel_energies(frame)
    return [max(0, log2(energy) - (2 * e << 16) - tables.LOG_FLOOR) if energy else 0 for energy in energies]


def check(audio: np.ndarray) -> None:
    expected = np.array([log_mel(audio[start : start + 512]) for start in range(0, len(audio) - 511, 160)])
    np.testing.assert_array_equal(FrontEnd().log_mel(audio), expected)
    cepstrum = rounded(expected @ tables.dct(40).T, Q)
    np.testing.assert_array_equal(FrontEnd().mfcc(audio), cepstrum)


@given(
    seed=st.integers(0, 2**32 - 1),
    peak=st.integers(0, 32768),
    kind=st.sampled_from(["uniform", "signs", "sparse", "tone", "cubed"]),
)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_equal_on_any_sound(seed, peak, kind):
    rng = np.random.default_rng(seed)
    wave = {
        "uniform": rng.uniform(-1, 1, 1500),
        "signs": rng.choice([-1.0, 1.0], 1500),
        "sparse": rng.choice([-1.0, 1.0], 1500) * (rng.random(1500) < 0.01),
        "tone": np.sin(np.arange(1500) * rng.uniform(0, np.pi)),
        "cubed": rng.uniform(-1, 1, 1500) ** 9,
    }[kind]
    check(np.clip(np.round(wave * peak), -32768, 32767).astype(np.int16))


def test_equal_on_the_sign_patterns_that_drive_each_bin_highest():
    """At full scale, the signs of the cosine of each bin: the largest output that a bin can have."""
    n = np.arange(512)
    for k in (*range(0, 257, 17), 255, 256):
        for phase in (0.0, np.pi / 2):
            signs = np.cos(2 * np.pi * k * n / 512 + phase) >= 0
            check(np.where(signs, 32767, -32768).astype(np.int16))


# The signs of full-scale noise in which the energy of band 38 lies within 64 of the last place of a float64 from where
# its leading 24 bits change; one energy in millions does.
EDGE = bytes.fromhex(
    "f95242c5224d00713f0ebefdd1398bb9057638851b43aa80488289fb5be1a545"
    "63c4be0d30012395e77906ec7cfd8c4258b8898ddd42ba56005b3295aed286d9"
)


def test_equal_where_a_float64_sum_could_change_the_leading_bits_of_an_energy():
    noise = np.where(np.unpackbits(np.frombuffer(EDGE, np.uint8)), 32767, -32768).astype(np.int16)
    energy = mel_energies(noise)[0][38]
    assert energy >= 2**53
    below = (energy >> energy.bit_length() - 53) % 2**29
    assert min(below, 2**29 - below) < 64
    check(noise)


def test_equal_on_recorded_speech(data_dir):
    soundfile = pytest.importorskip("soundfile")
    for file in sorted((data_dir / "speech-commands/validation/yes").glob("*.flac"))[:5]:
        check(soundfile.read(file, dtype="int16")[0])
