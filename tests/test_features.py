"""Recordings to clips: the front end's log-mel, bad recordings aside, copies from a seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyhark.dsp.front_end import FrontEnd
from tinyhark.training.features import FeatureOptions, make_clips
from tinyhark.training.recordings import Recording, find_recordings, read_sound
from tinyhark.training.store import Clip, LogMelQ8, to_q8

OPTIONS = FeatureOptions("tones", "own")


def made(
    found: list[Recording], options: FeatureOptions = OPTIONS, jobs: int = 1
) -> tuple[list[tuple[Clip, LogMelQ8]], list[str], int]:
    """Clips, refusals and how many recordings were counted."""
    refused: list[str] = []
    counted: list[None] = []
    clips = list(make_clips(found, options, jobs, lambda: counted.append(None), refused.append))
    return clips, refused, len(counted)


@pytest.fixture(scope="module")
def found(recordings: Path) -> list[Recording]:
    return find_recordings(recordings, None, r"^(s\d)_", "train", {"low/s0_0.wav": "test"})


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Eight rooms that last differently long."""
    (tmp_path / "rooms").mkdir()
    for i in range(8):
        soundfile.write(tmp_path / f"rooms/{i}.wav", np.exp(-np.arange(4000) / (20 * 2**i)), 16_000)
    return tmp_path / "rooms"


def same(one: list[tuple[Clip, LogMelQ8]], other: list[tuple[Clip, LogMelQ8]]) -> bool:
    return len(one) == len(other) and all(
        a == b and np.array_equal(x, y) for (a, x), (b, y) in zip(one, other, strict=True)
    )


def test_clips_are_the_front_end_in_order(found: list[Recording]) -> None:
    clips, refused, counted = made(found)
    assert refused == []
    assert counted == len(found) == 12
    for recording, (clip, log_mel) in zip(found, clips, strict=True):
        assert clip == Clip(
            recording.label, recording.speaker, "tones", "own", recording.split, recording.name, 0, len(log_mel)
        )
        np.testing.assert_array_equal(log_mel, to_q8(FrontEnd().log_mel(read_sound(recording))))
    assert {clip.split for clip, _ in clips} == {"train", "test"}


def test_several_processes_give_the_same(found: list[Recording]) -> None:
    assert same(made(found * 3, jobs=2)[0], made(found * 3)[0])


def test_bad_recordings_are_said_and_the_rest_is_stored(tmp_path: Path, found: list[Recording]) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    soundfile.write(tmp_path / "short.wav", np.zeros(511, np.int16), 16_000)
    soundfile.write(tmp_path / "frame.wav", np.zeros(512, np.int16), 16_000)
    bad, short, frame = (replace(found[0], file=tmp_path / f"{n}.wav") for n in ("bad", "short", "frame"))
    clips, refused, counted = made([bad, found[0], short, frame])
    assert counted == 4
    assert len(refused) == 2
    assert refused[0].startswith(f"{tmp_path / 'bad.wav'}: ")
    assert refused[1].startswith(f"{tmp_path / 'short.wav'}: shorter")
    assert all("\n" not in line for line in refused)
    assert [len(log_mel) for _, log_mel in clips] == [97, 1]


def test_segments_and_parts(tmp_path: Path, found: list[Recording]) -> None:
    sound = np.random.default_rng(0).integers(-9000, 9000, 40_000).astype(np.int16)
    soundfile.write(tmp_path / "long.wav", sound, 16_000)
    long = [replace(found[0], file=tmp_path / "long.wav")]
    pieces = made(long, replace(OPTIONS, segment_samples=16_000))[0]
    assert [len(log_mel) for _, log_mel in pieces] == [97, 97, 47]
    for i, (_, log_mel) in enumerate(pieces):
        np.testing.assert_array_equal(log_mel, to_q8(FrontEnd().log_mel(sound[16_000 * i : 16_000 * (i + 1)])))
    first, last = (made(long, replace(OPTIONS, part=part))[0][0][1] for part in ((0.0, 0.7), (0.7, 1.0)))
    np.testing.assert_array_equal(first, to_q8(FrontEnd().log_mel(sound[:28_000])))
    np.testing.assert_array_equal(last, to_q8(FrontEnd().log_mel(sound[28_000:])))


def test_copies_come_from_the_seed_and_the_name(found: list[Recording], rooms: Path) -> None:
    options = replace(OPTIONS, copies=2, rooms=rooms, seed=4)
    clips = made(found[:2], options)[0]
    assert [clip.recording for clip, _ in clips] == [r.name for r in found[:2] for _ in range(2)]
    assert same(made(found[:2], options)[0], clips)
    assert same(made(found[1:2], options)[0], clips[2:]), "a copy does not depend on the other recordings"
    assert not same(made(found[:2], replace(options, seed=5))[0], clips)


def test_copies_differ_from_each_other(found: list[Recording], rooms: Path) -> None:
    clips = made(found[:1], replace(OPTIONS, copies=12, rooms=rooms))[0]
    assert len({log_mel.tobytes() for _, log_mel in clips}) >= 5
    plain = made(found[:1])[0][0][1]
    assert not any(np.array_equal(log_mel, plain) for _, log_mel in clips)


def test_real_recordings_become_clips(data_dir: Path) -> None:
    found = find_recordings(data_dir / "speech-commands/validation/stop", None, r"^(\w+)_nohash", "validation", {})[:4]
    clips, refused, _ = made(found)
    assert refused == []
    assert [clip.label for clip, _ in clips] == ["stop"] * 4
    assert all(0 < log_mel.max() <= 43 << 8 and log_mel.min() >= 0 for _, log_mel in clips)
