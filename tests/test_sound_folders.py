"""Folders are searched through for sound files, links to folders too."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyhark.app.audio.files import sound_files
from tinyhark.app.errors import AudioError


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(100, np.int16), 16_000)


def test_folders_are_searched_through(tmp_path: Path) -> None:
    for name in ("b.FLAC", "deep/a.wav", "deep/er/c.aiff"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no sound")
    assert [path.name for path in sound_files(tmp_path)] == ["b.FLAC", "a.wav", "c.aiff"]
    (tmp_path / "bare").mkdir()
    with pytest.raises(AudioError, match="no sound files"):
        sound_files(tmp_path / "bare")


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/words/a.wav")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/low").symlink_to(tmp_path / "elsewhere/words")
    (tmp_path / "here/high").symlink_to(tmp_path / "elsewhere/words")
    (tmp_path / "here/gone").symlink_to(tmp_path / "none")
    found = [path.relative_to(tmp_path).as_posix() for path in sound_files(tmp_path / "here")]
    assert found == ["here/high/a.wav", "here/low/a.wav"]


def test_links_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "a/1.wav")
    write(tmp_path / "b/2.wav")
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/other").symlink_to(tmp_path / "b")
    (tmp_path / "b/back").symlink_to(tmp_path / "a")
    found = [path.relative_to(tmp_path).as_posix() for path in sound_files(tmp_path / "a")]
    assert found == ["a/1.wav", "a/other/2.wav", "a/up/b/2.wav"]


def test_folders_that_cannot_be_searched(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is no folder"):
        sound_files(tmp_path / "none")
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "a.wav").touch()
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(AudioError, match="closed: cannot be read: Permission denied"):
        sound_files(tmp_path)
