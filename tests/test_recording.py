"""`hark record`: takes judged, words led through by clock and by keys, rooms in pieces; the microphone is a file."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from tinyhark.app.audio.files import read_sound
from tinyhark.app.audio.intake import Intake
from tinyhark.app.audio.sources import FileSource
from tinyhark.app.cli import hark
from tinyhark.app.errors import HarkError
from tinyhark.app.recording import room
from tinyhark.app.recording.ear import Ear
from tinyhark.app.recording.guides import ByKeys, meter
from tinyhark.app.recording.take import judge
from tinyhark.app.recording.words import record_words

Sound = NDArray[np.int16]
RATE_HZ = 16_000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(hark, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture
def microphone(tmp_path: Path) -> Callable[[Sound], Path]:
    """A configuration whose microphone gives this sound."""

    def make(sound: Sound) -> Path:
        soundfile.write(tmp_path / "source.wav", sound, RATE_HZ)
        config = tmp_path / "hark.toml"
        config.write_text('[audio]\nsource = "file"\npath = "source.wav"\n')
        return config

    return make


def louder(sound: Sound, gain: float) -> Sound:
    return np.clip(sound * float(gain), -32768, 32767).astype(np.int16)


def test_a_good_take_is_the_word_with_some_room_around_it(say: Callable[..., Sound]) -> None:
    take = judge(say(0.8, "low", 1.3))
    assert take.complaint is None
    assert len(take.sound) / RATE_HZ == pytest.approx(0.4 + 2 * 0.3, abs=0.08)
    assert take.level_dbfs == pytest.approx(-15, abs=1.5)


@pytest.mark.parametrize(
    ("parts", "gain", "says"),
    [
        ((2.5,), 1, "no word was found"),
        ((1.0, "low", 1.1), 0.01, "too quiet"),
        ((1.0, "low", 1.1), 20, "clipped"),
        (("low", 2.1), 1, "the beginning is cut off"),
        ((2.1, "low"), 1, "the end is cut off"),
        ((2.5,), 0, "no signal"),
    ],
)
def test_a_bad_take_is_refused_with_what_mends_it(
    say: Callable[..., Sound], parts: tuple[str | float, ...], gain: float, says: str
) -> None:
    assert says in (judge(louder(say(*parts), gain)).complaint or "")


def test_a_word_in_noise_ends_where_the_noise_begins(say: Callable[..., Sound]) -> None:
    noise = np.random.default_rng(3).normal(0, 300, 40_000)
    noisy = np.clip(say(0.8, "low", 1.3)[:40_000] + noise, -32768, 32767).astype(np.int16)
    take = judge(noisy)
    assert take.complaint is None
    assert len(take.sound) / RATE_HZ == pytest.approx(1.0, abs=0.12)
    assert "no word" in (judge(noise.astype(np.int16)).complaint or "")


def test_words_by_the_clock(tmp_path: Path, say: Callable[..., Sound], microphone: Callable[[Sound], Path]) -> None:
    good, bad = (1.5 + 0.8, "low", 1.3), (1.5 + 2.5,)
    config = microphone(say(*good, *bad, *good, *good[:2], 1.3))
    result = run("record", "words", "low", "high", "--count", 2, "--out", tmp_path / "words", "--config", config)
    assert result.exit_code == 2  # the sound ends within the second take of "high"
    assert result.stderr.endswith("source.wav: the sound has ended\n")
    assert [line for line in result.stdout.splitlines() if "kept" in line or " of " in line] == [
        "low, 1 of 2: get ready",
        "  kept, -16 dBFS",
        "low, 2 of 2: get ready",
        "  not kept: no word was found: speak up, nearer to the microphone, or where it is quieter",
        "low, 2 of 2: get ready",
        "  kept, -16 dBFS",
        "high, 1 of 2: get ready",
        "  kept, -16 dBFS",
        "high, 2 of 2: get ready",
    ]
    clips = sorted((tmp_path / "words").rglob("*.wav"))
    assert [clip.relative_to(tmp_path / "words").as_posix() for clip in clips] == [
        "high/high-0001.wav",
        "low/low-0001.wav",
        "low/low-0002.wav",
    ]
    assert all(stat.S_IMODE(clip.stat().st_mode) == 0o600 for clip in clips)
    assert soundfile.info(clips[0]).samplerate == RATE_HZ
    again = run("record", "words", "low", "--count", 2, "--out", tmp_path / "words", "--config", config)
    assert (again.exit_code, again.stdout) == (0, f"0 clips recorded in {tmp_path / 'words'}\n")


def test_a_dead_microphone_ends_it(tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    config = microphone(np.zeros(60 * RATE_HZ, np.int16))
    result = run("record", "words", "low", "--out", tmp_path / "words", "--config", config)
    assert result.exit_code == 2
    assert "low: 5 takes in a row were no good; the last: there is no signal" in result.stderr
    assert not (tmp_path / "words").exists()


def test_words_by_keys(tmp_path: Path, say: Callable[..., Sound]) -> None:
    # A second waits while the prompt is read, 0.3 s are the key, then comes the take: 3.8 s, whole blocks of 200 ms.
    sound = np.tile(say(1.0 + 0.3 + 0.8, "low", 1.3), 3)
    sound += np.random.default_rng(0).integers(-9, 9, len(sound)).astype(np.int16)
    soundfile.write(tmp_path / "source.wav", sound, RATE_HZ)
    typed = iter(["", "x", "r", "", "q"])
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        while intake.waiting_s() < 1:
            time.sleep(0.01)
        return next(typed)

    said: list[str] = []
    with Intake(FileSource(tmp_path / "source.wav")) as intake:
        ear = Ear(intake)
        guide = ByKeys(ear, ask, said.append)
        kept: Iterator[Path] = record_words(ear, ["low"], 3, tmp_path / "words", guide)
        first = next(kept)
        assert first.exists()
        written = first.read_bytes()
        second = next(kept)  # a wrong key, then the first again: it has the same name
        assert second == first
        assert second.read_bytes() != written
        assert list(kept) == []
    assert [prompt.split(":")[0] for prompt in asked] == [
        "low, 1 of 3",
        *2 * ["low, 2 of 3"],
        "low, 1 of 3",
        "low, 2 of 3",
    ]
    assert said.count("  speak now") == 2


@pytest.mark.parametrize("word", ["../low", ".low", "_low", " ", "a\nb"])
def test_a_word_that_can_name_no_folder(word: str, tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    result = run("record", "words", word, "--out", tmp_path / "w", "--config", microphone(np.zeros(RATE_HZ, np.int16)))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "cannot name a folder of clips" in result.stderr


def test_the_meter_has_one_width() -> None:
    assert len({len(meter(level)) for level in (-96.0, -60.0, -30.0, -0.2, 0.0)}) == 1
    assert meter(-96).count("#") == 0
    assert meter(0).count("#") == 30


def test_a_room_in_pieces_that_goes_on_where_it_stopped(
    tmp_path: Path, microphone: Callable[[Sound], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PIECE_S", 4.0)
    sound = np.random.default_rng(0).integers(-900, 900, 9 * RATE_HZ).astype(np.int16)
    config, out = microphone(sound), tmp_path / "room"
    (tmp_path / "room").mkdir()
    (out / ".room-0001.flac.part").write_bytes(b"killed")
    os.utime(out / ".room-0001.flac.part", (0, 0))
    command = ("record", "room", "--minutes", 0.25, "--out", out, "--config", config)
    first = run(*command)  # the sound ends after nine seconds
    assert (first.exit_code, first.stdout) == (0, f"{out}: 0.1 minutes recorded, 0.1 in all\n")
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["room-0001.flac", "room-0002.flac", "room-0003.flac"]
    assert np.array_equal(np.concatenate([read_sound(file) for file in files]), sound)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    second = run(*command)
    assert second.stdout == f"{out}: 0.1 minutes recorded, 0.2 in all\n"
    assert room.recorded_s(out) == 15.0
    assert run(*command).stdout == f"{out}: holds 0.2 minutes already\n"


def test_two_recordings_of_a_room_leave_each_other_alone(tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    config, out = microphone(np.ones(3 * RATE_HZ, np.int16)), tmp_path / "room"
    out.mkdir()
    (out / ".room-0001.flac.part").write_bytes(b"being written by another")
    assert run("record", "room", "--minutes", 0.05, "--out", out, "--config", config).exit_code == 0
    assert sorted(file.name for file in out.iterdir()) == [".room-0001.flac.part", "room-0002.flac"]


def test_a_room_keeps_what_it_has_when_it_is_interrupted(tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    microphone(np.ones(5 * RATE_HZ, np.int16))
    heard = 0.0

    def advance(seconds: float) -> None:
        nonlocal heard
        heard += seconds
        if heard >= 1.9:
            raise KeyboardInterrupt

    out = tmp_path / "room"
    with Intake(FileSource(tmp_path / "source.wav")) as intake, pytest.raises(KeyboardInterrupt):
        room.record_room(intake, out, 60, advance, lambda _: None)
    assert [file.name for file in out.iterdir()] == ["room-0001.flac"]
    assert room.recorded_s(out) == pytest.approx(2, abs=0.1)


def test_a_room_says_what_is_wrong_with_the_sound(tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    config = microphone(np.zeros(15 * RATE_HZ, np.int16))
    result = run("record", "room", "--minutes", 0.2, "--out", tmp_path / "room", "--config", config)
    assert result.stderr.splitlines() == [
        "hark: digital silence, every sample is 0: the microphone is muted or dead",
        "hark: not recorded from here on: in sound of a microphone that is off nothing can be wrongly heard",
    ]
    assert room.recorded_s(tmp_path / "room") < 10


def test_a_room_says_when_it_records_again(
    tmp_path: Path, microphone: Callable[[Sound], Path], say: Callable[..., Sound]
) -> None:
    sound = np.concatenate([say(2.5), np.zeros(round(10.4 * RATE_HZ), np.int16), say(2.0)])
    result = run("record", "room", "--minutes", 1, "--out", tmp_path / "room", "--config", microphone(sound))
    said = [line for line in result.stderr.splitlines() if "recorded" in line]
    assert [line.split(":")[1] for line in said] == [" not recorded from here on", " recorded again from here on"]


def test_a_room_does_not_record_a_microphone_that_is_stuck(tmp_path: Path, microphone: Callable[[Sound], Path]) -> None:
    sound = np.concatenate([np.arange(2 * RATE_HZ) % 100, np.full(30 * RATE_HZ, 7)]).astype(np.int16)
    result = run("record", "room", "--minutes", 1, "--out", tmp_path / "room", "--config", microphone(sound))
    assert "not recorded from here on" in result.stderr
    assert 2 <= room.recorded_s(tmp_path / "room") < 12.5


def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(HarkError, match=r"room: there is room for 10 minutes, not for 60, with 200 MB left"):
        room.check_disk(tmp_path / "not" / "room", 3600, lambda _: 200_000_000 + 600 * 32_000)
    room.check_disk(tmp_path, 600, lambda _: 200_000_000 + 600 * 32_000)


@pytest.mark.parametrize("command", [("words", "low"), ("room",)])
def test_wrong_usage(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run("record", *command, "--config", tmp_path / "none.toml", "--device", "USB")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "exclude each other" in result.stderr
    missing = run("record", *command, "--out", tmp_path / "out", "--config", tmp_path / "none.toml")
    assert (missing.exit_code, missing.stderr) == (
        2,
        f"hark: {tmp_path / 'none.toml'}: cannot be read: No such file or directory\n",
    )
