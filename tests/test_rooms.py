"""Rooms and overdriven microphones: levels, shapes, seeds, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyhark.app.errors import AudioError, HarkError
from tinyhark.training.rooms import convolve, degrade, load_rooms


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sound(level: float = 3000) -> np.ndarray:
    return np.round(level * np.sin(np.arange(8000) / 7)).astype(np.int16)


def test_responses_begin_at_their_peak_with_unit_energy(tmp_path: Path) -> None:
    response = np.zeros(50_000)
    response[700], response[900], response[49_000] = 0.5, -0.25, 0.4
    soundfile.write(tmp_path / "hall.wav", response, 16_000)
    [room] = load_rooms(tmp_path)
    assert len(room) == 32_000
    assert np.square(room).sum() == pytest.approx(1)
    assert np.flatnonzero(room).tolist() == [0, 200]
    assert room[200] / room[0] == pytest.approx(-0.5, abs=1e-3)


def test_a_negative_peak_counts(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hall.wav", np.array([0.1, -0.8, 0.3]), 16_000)
    [room] = load_rooms(tmp_path)
    assert room[0] < 0
    assert len(room) == 2


def test_rooms_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(HarkError, match="no sound files"):
        load_rooms(tmp_path)
    soundfile.write(tmp_path / "silent.wav", np.zeros(100, np.int16), 16_000)
    with pytest.raises(HarkError, match=r"silent\.wav.*zeros"):
        load_rooms(tmp_path)
    (tmp_path / "silent.wav").write_text("text")
    with pytest.raises(AudioError, match=r"silent\.wav"):
        load_rooms(tmp_path)


@pytest.mark.parametrize("lengths", [(10, 3), (3, 10), (64, 65), (1, 1), (1000, 250)])
def test_convolution_is_the_definition(lengths: tuple[int, int]) -> None:
    x, h = (rng(n).standard_normal(n) for n in lengths)
    np.testing.assert_allclose(convolve(x, h), np.convolve(x, h)[: len(x)], atol=1e-12)


def test_without_rooms_and_clipping_nothing_changes() -> None:
    unclipped = [seed for seed in range(20) if rng(seed).random() >= 0.2]
    assert 10 < len(unclipped) < 20
    for seed in unclipped:
        np.testing.assert_array_equal(degrade(sound(), [], 12, rng(seed)), sound())


def test_a_room_keeps_the_peak() -> None:
    room = np.exp(-np.arange(3000) / 500)
    seed = next(s for s in range(20) if np.random.default_rng(s).random(2)[1] >= 0.2)
    got = degrade(sound(), [room / np.sqrt(np.square(room).sum())], 12, rng(seed))
    assert got.dtype == np.int16
    assert len(got) == 8000
    assert abs(int(np.abs(got.astype(int)).max()) - 3000) <= 1
    assert not np.array_equal(got, sound())


def test_overdrive_clips_by_no_more_than_it_may() -> None:
    clipped = [degrade(sound(), [], 6, rng(seed)) for seed in range(200)]
    loud = [x for x in clipped if np.abs(x.astype(int)).max() >= 32_767]
    assert 20 <= len(loud) <= 60  # one in five
    for x in loud:
        flat = (np.abs(x.astype(int)) >= 32_767).mean()
        assert flat <= 2 / np.pi * np.arccos(10 ** (-6 / 20)) + 0.01  # of a sine driven by 6 dB


def test_silence_stays_silence() -> None:
    for seed in range(20):
        assert not degrade(np.zeros(100, np.int16), [np.ones(4) / 2], 12, rng(seed)).any()


def test_the_loudest_sound_does_not_wrap() -> None:
    for seed in range(20):
        got = degrade(np.full(100, -32_768, np.int16), [], 12, rng(seed))
        assert (got < 0).all()


def test_the_same_seed_gives_the_same_copy() -> None:
    rooms = [np.array([0.9, 0.3]), np.array([0.8, -0.6])]
    one, two, three = (degrade(sound(), rooms, 12, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_measured_rooms_load(data_dir: Path) -> None:
    rooms = load_rooms(data_dir / "rooms")
    assert len(rooms) == 27
    for room in rooms:
        assert np.abs(room).argmax() == 0
        assert np.square(room).sum() == pytest.approx(1)
