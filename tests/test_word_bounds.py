"""Where the word is in a clip."""

import numpy as np
import pytest

from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.word_bounds import word_bounds


def frames(levels_db: list[float]) -> np.ndarray:
    """[frames, 40] log-mel Q16 with these levels in band 7; the other bands hold the floor, energy 1."""
    log_mel = np.zeros((len(levels_db), 40), np.int32)
    log_mel[:, 7] = np.round(np.array(levels_db) / (10 * np.log10(2)) * 65536)
    return log_mel


def test_from_the_first_to_the_last_frame_within_30_db():
    assert word_bounds(frames([40, 69, 71, 90, 100, 80, 71, 69.9, 50])) == (2, 6)


def test_a_quiet_frame_inside_does_not_end_the_word():
    assert word_bounds(frames([10, 100, 30, 30, 95, 10])) == (1, 4)


def test_a_single_loud_frame():
    assert word_bounds(frames([20, 20, 80, 20])) == (2, 2)
    assert word_bounds(frames([50])) == (0, 0)


def test_digital_silence_is_one_word_of_all_frames():
    assert word_bounds(np.zeros((9, 40), np.int32)) == (0, 8)


def test_bands_are_summed():
    log_mel = frames([100, 10])
    log_mel[1] = round(
        (70 - 10 * np.log10(40) + 0.01) / (10 * np.log10(2)) * 65536
    )  # 40 bands that make 70 dB together
    assert word_bounds(log_mel) == (0, 1)
    log_mel[1] -= round(0.02 / (10 * np.log10(2)) * 65536)
    assert word_bounds(log_mel) == (0, 0)


def test_the_level_of_the_clip_does_not_matter():
    levels = np.array([40, 69, 71, 90, 100, 80, 71, 69.9, 50])
    assert word_bounds(frames(list(levels - 20))) == word_bounds(frames(list(levels))) == (2, 6)


def test_a_burst_in_a_clip_is_found_to_the_frame():
    audio = np.zeros(16_000, np.int16)
    audio[6400:9600] = np.random.default_rng(1).integers(-8000, 8000, 3200)
    first, last = word_bounds(FrontEnd().log_mel(audio))
    # The frames that overlap the burst, less those where the window leaves 30 dB or more of it.
    assert 37 <= first <= 39
    assert 58 <= last <= 60


def test_recorded_words_fill_a_part_of_their_clip(data_dir):
    soundfile = pytest.importorskip("soundfile")
    files = sorted((data_dir / "speech-commands/validation/stop").glob("*.flac"))[:20]
    bounds = [word_bounds(FrontEnd().log_mel(soundfile.read(file, dtype="int16")[0])) for file in files]
    lengths = [last - first + 1 for first, last in bounds]
    assert 30 <= np.median(lengths) <= 80


@pytest.mark.parametrize(
    "log_mel",
    [np.zeros((0, 40), np.int32), np.zeros((5, 39), np.int32), np.zeros(40, np.int32), np.zeros((5, 40))],
    ids=["no frames", "39 bands", "one axis", "float"],
)
def test_other_log_mel_is_refused(log_mel):
    with pytest.raises(ValueError, match="log-mel"):
        word_bounds(log_mel)
