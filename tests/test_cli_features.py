"""`hark features`: recordings to a store; bad recordings are said, bad usage is one line, good stores survive."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from tinyhark.app.cli import hark
from tinyhark.training.store import Store

Run = Callable[..., Result]


@pytest.fixture
def make(tmp_path: Path) -> Run:
    """`make(source, ...)`: `hark features` into tmp_path/store."""

    def run(*arguments: object, out: Path | None = None) -> Result:
        command = ["features", "--out", str(out or tmp_path / "store"), "--origin", "tones", "--licence", "own"]
        command += ["--jobs", "1", *map(str, arguments)]
        return CliRunner().invoke(hark, command)

    return run


def refusal(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("hark: ")
    return line


def test_a_store_of_a_folder(make: Run, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["hark", "features", "recordings"])
    result = make(recordings, "--speaker-pattern", r"^(s\d)_", "--split", "mine")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / 'store'}: 12 clips of 12 recordings\n"
    clips = Store.load(tmp_path / "store").clips
    assert {(clip.label, clip.speaker) for clip in clips} == {
        (word, speaker) for word in ("low", "high", "middle") for speaker in ("s0", "s1")
    }
    assert {(clip.origin, clip.licence, clip.split) for clip in clips} == {("tones", "own", "mine")}
    assert json.loads((tmp_path / "store/store.json").read_text())["command"] == "hark features recordings"


def test_several_sources_tables_and_splits(make: Run, recordings: Path, tmp_path: Path) -> None:
    table = tmp_path / "long.csv"
    soundfile.write(tmp_path / "long.wav", np.zeros(48_000, np.int16), 16_000)
    table.write_text("recording,first_sample,samples,label\na,0,16000,talk\nb,16000,32000,talk\n")
    (tmp_path / "splits.csv").write_text("recording,split\ns0_0.wav,test\nother.wav,test\n")
    result = make(recordings / "low", recordings / "high", table, "--splits", tmp_path / "splits.csv")
    assert result.exit_code == 0
    clips = Store.load(tmp_path / "store").clips
    assert [clip.label for clip in clips] == ["low"] * 4 + ["high"] * 4 + ["talk"] * 2
    assert [clip.recording for clip in clips if clip.split == "test"] == ["s0_0.wav"] * 2
    assert [clip.frames for clip in clips[-2:]] == [97, 197]


def test_bad_recordings_are_said_and_the_others_stored(make: Run, recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(recordings / "low", folder / "low")
    (folder / "low" / "text.wav").write_text("no sound")
    (folder / "low" / "empty.flac").write_bytes(b"")
    result = make(folder)
    assert result.exit_code == 2
    assert result.stdout == f"{tmp_path / 'store'}: 4 clips of 4 recordings\n"
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("hark: ") for line in lines)
    assert "empty.flac" in lines[0]
    assert "text.wav" in lines[1]
    assert lines[2] == "hark: 2 of 6 recordings could not be used"
    assert len(Store.load(tmp_path / "store").clips) == 4


def test_nothing_but_bad_recordings(make: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.wav").write_text("no sound")
    result = make(tmp_path / "bad")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert "text.wav" in lines[0]
    assert "nothing to store" in lines[1]
    assert not (tmp_path / "store").exists()


def test_a_store_is_made_again(make: Run, recordings: Path, tmp_path: Path) -> None:
    assert make(recordings).exit_code == 0
    assert make(recordings / "low").exit_code == 0
    assert len(Store.load(tmp_path / "store").clips) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def test_recordings_are_never_overwritten(make: Run, tmp_path: Path, recordings: Path) -> None:
    shutil.copytree(recordings, tmp_path / "mine")
    assert "no store" in refusal(make(tmp_path / "mine", out=tmp_path / "mine"))
    assert len(list((tmp_path / "mine").rglob("*.wav"))) == 12


def test_no_sound_files(make: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    line = refusal(make(tmp_path / "empty"))
    assert f"{tmp_path / 'empty'}: no sound files" in line
    assert ".wav" in line


def test_a_table_with_a_missing_column(make: Run, tmp_path: Path, recordings: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\nx.wav,low\n")
    assert "column recording" in refusal(make(tmp_path / "list.csv"))
    (tmp_path / "splits.csv").write_text("recording,part\nx.wav,low\n")
    assert "recording and split" in refusal(make(recordings, "--splits", tmp_path / "splits.csv"))
    (tmp_path / "splits.csv").write_bytes(b"\xff\xfe\x00")
    assert "splits.csv" in refusal(make(recordings, "--splits", tmp_path / "splits.csv"))


def test_a_place_that_cannot_be_written(make: Run, tmp_path: Path, recordings: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file") in refusal(make(recordings / "low", out=tmp_path / "file"))
    assert str(tmp_path / "file" / "store") in refusal(make(recordings / "low", out=tmp_path / "file" / "store"))


def test_a_wrong_speaker_pattern(make: Run, recordings: Path) -> None:
    assert "pattern" in refusal(make(recordings, "--speaker-pattern", "(s"))


def test_rooms_that_are_none(make: Run, tmp_path: Path, recordings: Path) -> None:
    (tmp_path / "rooms").mkdir()
    assert str(tmp_path / "rooms") in refusal(make(recordings, "--copies", "1", "--rooms", tmp_path / "rooms"))


@pytest.mark.parametrize(
    "options",
    [
        ["--part", "0.5"],
        ["--part", "0.7:0.3"],
        ["--part", "0:2"],
        ["--segment-s", "0"],
        ["--segment-s", "-1"],
        ["--copies", "-1"],
        ["--seed", "-1"],
        ["--jobs", "0"],
        ["--overdrive-db", "-3"],
    ],
)
def test_options_out_of_range(make: Run, recordings: Path, tmp_path: Path, options: list[str]) -> None:
    result = make(recordings, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "store").exists()


def test_missing_sources_and_options(make: Run, tmp_path: Path, recordings: Path) -> None:
    assert make(tmp_path / "nowhere").exit_code == 2
    assert make().exit_code == 2
    result = CliRunner().invoke(hark, ["features", str(recordings)])
    assert result.exit_code == 2
    assert "--out" in result.stderr
