"""Which implementation of the front end runs, and what the one in C refuses."""

import sys
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tinyhark.app.cli import hark
from tinyhark.dsp import front_end
from tinyhark.dsp.front_end import FrontEnd, implementation

SOUND = np.zeros(512 + 3 * 160, np.int16)
FRAMES = np.zeros((4, 40), np.int32)


def needs_c() -> Any:
    return pytest.importorskip("tinyhark.dsp._front_end", reason="the front end was not built in C")


def test_c_runs_where_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYHARK_FRONT_END", raising=False)
    assert implementation() == ("numpy" if front_end._front_end is None else "c")


def test_numpy_runs_where_c_was_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYHARK_FRONT_END", raising=False)
    monkeypatch.setattr(front_end, "_front_end", None)
    assert implementation() == "numpy"
    assert FrontEnd().mfcc(SOUND).shape == (4, 40)
    monkeypatch.setenv("TINYHARK_FRONT_END", "c")
    with pytest.raises(ValueError, match="was not built in C"):
        FrontEnd()


def test_another_choice_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYHARK_FRONT_END", "fortran")
    with pytest.raises(ValueError, match="must be c or numpy"):
        FrontEnd()
    result = CliRunner().invoke(hark, ["models"])
    assert result.exit_code == 2
    assert result.output == "hark: TINYHARK_FRONT_END is 'fortran'; it must be c or numpy\n"


@pytest.mark.parametrize(("choice", "words"), [("c", "in C"), ("numpy", "in numpy")])
def test_doctor_says_which_one_runs(monkeypatch: pytest.MonkeyPatch, choice: str, words: str) -> None:
    if choice == "c":
        needs_c()
    monkeypatch.setenv("TINYHARK_FRONT_END", choice)
    assert f"front end: {words}" in CliRunner().invoke(hark, ["doctor"]).output


@pytest.mark.parametrize(
    ("sound", "hop", "out"),
    [
        (SOUND[:-1], 160, FRAMES),
        (SOUND[:0], 160, FRAMES[:1]),
        (SOUND, 161, FRAMES),
        (SOUND, 0, FRAMES),
        (SOUND, -160, FRAMES),
        (SOUND, sys.maxsize, FRAMES[:1]),
        (SOUND.astype(np.int32), 160, FRAMES),
        (SOUND, 160, FRAMES.astype(np.int64)),
    ],
)
def test_sound_that_does_not_fit_is_refused(sound: Any, hop: int, out: Any) -> None:
    with pytest.raises(ValueError, match="too many"):
        needs_c().log_mel(sound, hop, out)


@pytest.mark.parametrize(
    ("frames", "n_mfcc", "out"),
    [
        (FRAMES, 0, FRAMES[:0]),
        (FRAMES, 41, np.zeros((4, 41), np.int32)),
        (FRAMES, 13, FRAMES),
        (FRAMES, 40, FRAMES[:3]),
        (FRAMES.astype(np.int64), 40, FRAMES),
        (FRAMES, 40, FRAMES.astype(np.int64)),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames: Any, n_mfcc: int, out: Any) -> None:
    with pytest.raises(ValueError, match="sizes do not fit"):
        needs_c().cepstrum(frames, n_mfcc, out)


def test_only_contiguous_memory_that_may_be_written_is_taken() -> None:
    module, fixed = needs_c(), FRAMES.copy()
    fixed.flags.writeable = False
    for sound, out in ((SOUND[::2], FRAMES[:1]), (SOUND, fixed), (SOUND, FRAMES[::2])):
        with pytest.raises((ValueError, BufferError)):
            module.log_mel(sound, 160, out)
    with pytest.raises(TypeError):
        module.log_mel(SOUND, 160)
    with pytest.raises(TypeError):
        module.log_mel("sound", 160, FRAMES)
