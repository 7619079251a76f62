"""The error of the fixed point, against float64 without any rounding."""

import numpy as np
import pytest

from tinyhark.dsp import reference, tables
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.quantize import to_int16

GOAL_LN = 2e-4  # RMS, ln units
LEVELS_DBFS = (0, -10, -20, -30, -40, -50, -60)


def speech_like(seed: int) -> np.ndarray:
    """[24000] float of peak 1: voiced syllables with two formants, fricatives between them, faint noise under all."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(6):
        t = np.arange(2400) / 16_000
        pitch_hz = rng.uniform(90, 250) * (1 + rng.uniform(-1, 1) * t)
        formants_hz = rng.uniform((250, 900), (800, 2500))
        harmonics = np.arange(1, int(7000 / pitch_hz.max()))[:, None]
        gain = sum(1 / (1 + ((harmonics * pitch_hz - f) / 150) ** 2) for f in formants_hz) + 0.01
        vowel = (gain * np.sin(2 * np.pi * harmonics * np.cumsum(pitch_hz) / 16_000)).sum(axis=0)
        burst = np.diff(rng.standard_normal(1601)) * rng.uniform(0.05, 0.4)
        parts += [vowel / np.abs(vowel).max() * np.hanning(2400) ** 0.3, burst * np.hanning(1600)]
    wave = np.concatenate(parts)
    wave += 1e-3 * rng.standard_normal(len(wave))
    return wave / np.abs(wave).max()


def rms_error_ln(audio: np.ndarray) -> float:
    error = FrontEnd().mfcc(audio) / 2.0**16 - reference.mfcc(audio)
    return float(np.sqrt((error**2).mean()) * np.log(2))


@pytest.mark.parametrize("level_dbfs", LEVELS_DBFS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_error_on_speech_like_sound(level_dbfs, seed):
    error = rms_error_ln(to_int16(speech_like(seed) * 10 ** (level_dbfs / 20)))
    assert 1e-6 < error <= GOAL_LN


@pytest.mark.parametrize("level_dbfs", LEVELS_DBFS)
def test_error_on_recorded_speech(data_dir, level_dbfs):
    soundfile = pytest.importorskip("soundfile")
    folder = data_dir / "speech-commands/validation"
    files = [file for word in ("yes", "stop", "up", "left") for file in sorted((folder / word).glob("*.flac"))[:3]]
    clips = [soundfile.read(file)[0] for file in files]
    audio = np.concatenate([to_int16(clip / np.abs(clip).max() * 10 ** (level_dbfs / 20)) for clip in clips])
    assert rms_error_ln(audio) <= GOAL_LN


def test_no_cell_of_log_mel_is_far_off():
    audio = to_int16(speech_like(4))
    error = FrontEnd().log_mel(audio) / 2.0**16 - reference.log_mel(audio)
    assert np.abs(error).max() < 0.005  # log2 units


@pytest.mark.parametrize(
    ("table", "real", "bits"),
    [
        (tables.window(), reference.window(), 22),
        (tables.mel_weights(), reference.mel_weights(), 12),
        (tables.dct(40), reference.dct(), 22),
    ],
    ids=["window", "mel", "dct"],
)
def test_tables_are_the_rounded_definitions(table, real, bits):
    assert np.abs(table - real * 2.0**bits).max() <= 0.5 + 1e-6


def test_reference_has_the_shape_of_the_front_end():
    audio = to_int16(speech_like(5)[:5000])
    assert reference.mfcc(audio, 320, 13).shape == FrontEnd(320, 13).mfcc(audio).shape
    assert reference.mfcc(audio[:511]).shape == (0, 40)
    assert not reference.log_mel(np.zeros(2000, np.int16)).any()
