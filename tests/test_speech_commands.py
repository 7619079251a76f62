"""The public data set: its layout by its own lists, and one line where it cannot be had."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

from tinyhark.app.errors import HarkError
from tinyhark.training.commands.data import data
from tinyhark.training.speech_commands import arrange, fetch


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    """The set in small: two words, three speakers, one noise."""
    return make_set(tmp_path / "download" / "SpeechCommands" / "speech_commands_v0.02")


def make_set(folder: Path) -> Path:
    files = ["yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_0.wav", "no/c_nohash_0.wav", "no/c_nohash_1.wav"]
    for name in [*files, "_background_noise_/tap.wav"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (folder / "_background_noise_" / "README.md").write_text("noises")
    (folder / "validation_list.txt").write_text("yes/b_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("no/c_nohash_0.wav\nno/c_nohash_1.wav\n")
    return folder


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_recording_goes_where_the_lists_say(extracted: Path, tmp_path: Path) -> None:
    before = files_below(extracted)
    steps: list[int] = []
    for _ in range(2):  # again: nothing changes
        counts = arrange(extracted, tmp_path / "set", lambda: steps.append(1))
        assert counts == {"train": 2, "validation": 1, "testing": 2, "noise": 1}
    assert len(steps) == 12
    assert files_below(tmp_path / "set") == {
        "train/yes/a_nohash_0.wav",
        "train/no/a_nohash_0.wav",
        "validation/yes/b_nohash_0.wav",
        "testing/no/c_nohash_0.wav",
        "testing/no/c_nohash_1.wav",
        "noise/tap.wav",
    }
    assert (tmp_path / "set" / "testing" / "no" / "c_nohash_1.wav").read_bytes() == b"no/c_nohash_1.wav"
    assert files_below(extracted) == before


def test_a_set_without_lists_is_refused(extracted: Path, tmp_path: Path) -> None:
    (extracted / "testing_list.txt").unlink()
    with pytest.raises(HarkError, match=r"testing_list\.txt: cannot be read"):
        arrange(extracted, tmp_path / "set")


def torchaudio_that(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """A torchaudio whose data set makes the small set, or fails."""

    def speech_commands(root: Path, url: str, download: bool) -> SimpleNamespace:
        assert (url, download) == ("speech_commands_v0.02", True)
        if error:
            raise error
        make_set(Path(root) / "SpeechCommands" / url)
        return SimpleNamespace()

    datasets = ModuleType("torchaudio.datasets")
    datasets.SPEECHCOMMANDS = speech_commands  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchaudio", ModuleType("torchaudio"))
    monkeypatch.setitem(sys.modules, "torchaudio.datasets", datasets)


@pytest.mark.parametrize("error", [OSError("<urlopen error no route>"), RuntimeError("invalid hash value")])
def test_no_internet_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> None:
    torchaudio_that(monkeypatch, error)
    with pytest.raises(HarkError, match=f"speech_commands_v0.02: cannot be fetched .{error}"):
        fetch(tmp_path / "download")


def test_a_set_cut_off_while_it_was_unpacked_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torchaudio_that(monkeypatch, None)
    with pytest.raises(HarkError, match="holds 6 of 105835 recordings; remove it"):
        fetch(tmp_path / "download")


@pytest.mark.skipif(importlib.util.find_spec("torchaudio") is not None, reason="torchaudio is installed")
def test_without_torchaudio_the_command_says_what_to_install(tmp_path: Path) -> None:
    result = CliRunner().invoke(data, ["speech-commands", str(tmp_path / "set")])
    assert isinstance(result.exception, HarkError)
    assert "torchaudio: does not import" in str(result.exception)
    assert "pip install 'tinyhark[train]'" in str(result.exception)


def test_the_command_lays_the_set_out_and_removes_the_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torchaudio_that(monkeypatch, None)
    monkeypatch.setattr("tinyhark.training.speech_commands.RECORDINGS", 6)
    result = CliRunner().invoke(data, ["speech-commands", str(tmp_path / "set")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "train 2" in result.output
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["noise", "testing", "train", "validation"]
    again = CliRunner().invoke(data, ["speech-commands", str(tmp_path / "set")])
    assert "is there already; name another folder" in str(again.exception)
