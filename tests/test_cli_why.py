"""`hark why`: what is drawn, which moments are explained, and the reason of each verdict."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.cli import hark
from tinyhark.app.explanation import History, Moment, moments, peaks, reason, reasons_at
from tinyhark.app.model import Model
from tinyhark.app.score_plot import plot
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]


@pytest.fixture
def file(tmp_path: Path, say: Callable[..., Sound]) -> Path:
    soundfile.write(tmp_path / "said.wav", say(0.7, "low", 1.0, "high", 0.6, "other", 1.0), 16_000)
    return tmp_path / "said.wav"


@pytest.fixture
def why(tiny_model: Path) -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        command = ["why", "--model", str(tiny_model), *map(str, arguments)]
        return CliRunner().invoke(hark, command, catch_exceptions=False, env={"COLUMNS": "90"})

    return run


def history_of(model: Path, sound: Sound, **options: float) -> History:
    spotter = Spotter(Model.load(model), **options)  # type: ignore[arg-type]
    history = History(spotter)
    history.add(spotter.trace(sound))
    history.add(spotter.trace_end())
    return history


def test_every_detection_is_drawn_and_explained(why: Callable[..., Result], file: Path) -> None:
    result = why(file)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum(line.count("▼") for line in lines) == 2
    assert max(len(line) for line in lines) <= 90
    explained = [line.split(None, 3)[2:] for line in lines if " s  " in line and "fired" in line]
    assert [words[0] for words in explained] == ["low", "high"]
    assert all(words[1].startswith("fired: score 0.8") for words in explained)


def test_a_near_miss_is_explained(why: Callable[..., Result], file: Path) -> None:
    lines = why(file, "--threshold", "low=1").stdout.splitlines()
    assert any(re.search(r"low did not fire: its score 0.9\d is below its threshold 1.00", line) for line in lines)


def test_one_moment(why: Callable[..., Result], file: Path) -> None:
    result = why(file, "--at", 1.3)
    assert "low did not fire again: not re-armed, its score has not been below 0.40 since it fired at 1.02 s" in (
        result.stdout
    )
    assert "high fired" not in result.stdout
    behind = why(file, "--at", 60)
    assert behind.exit_code == 2
    assert "lies behind its end" in behind.stderr


def test_a_truncated_file_is_explained_as_far_as_it_goes(why: Callable[..., Result], file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 32_000 * 2])
    result = why(file)
    assert result.exit_code == 2
    assert "low fired" in result.stdout
    assert "truncated" in result.stderr


def test_nothing_to_draw(why: Callable[..., Result], tmp_path: Path, say: Callable[..., Sound]) -> None:
    soundfile.write(tmp_path / "quiet.wav", say(2.0), 16_000)
    assert why(tmp_path / "quiet.wav").stdout == "no keyword's score came above 0.1\n"


def test_reasons_of_every_verdict(tiny_model: Path, say: Callable[..., Sound]) -> None:
    sound = say(0.7, "low", 0.1, "low", 1.0)
    usual = history_of(tiny_model, sound)
    first = moments(usual)[0]
    assert reason(usual, first).startswith("fired: score 0.8")
    texts = {text for index in range(len(usual.rows)) for _, text in reasons_at(usual, index)}
    assert any("below its threshold 0.80" in text for text in texts)
    assert any("not re-armed" in text for text in texts)

    slow = history_of(tiny_model, say(0.7, "low", 1.0, "low", 1.0), refractory_ms=5000)
    texts = {reason(slow, moment) for moment in moments(slow)}
    assert any("refractory, less than 5000 ms since it fired at 1.02 s" in text for text in texts)

    both = history_of(tiny_model, say(0.7, "low", 0.1, "high", 1.0), threshold=0.05, exclusion_ms=5000)
    texts = {text for index in range(len(both.rows)) for _, text in reasons_at(both, index)}
    assert any("excluded after low, which fired at" in text for text in texts)
    assert any("outscored by low" in text for text in texts)


def test_a_keyword_that_is_not_reported_is_said(tiny_model: Path, say: Callable[..., Sound]) -> None:
    spotter = Spotter(Model.load(tiny_model), keywords=["high"])
    history = History(spotter)
    history.add(spotter.trace(say(0.7, "low", 1.0)))
    assert [reason(history, moment)[:26] for moment in moments(history)] == ["fired, but is not reported"]


def test_peaks() -> None:
    scores = np.array([0, 0.2, 0.9, 0.8, 0.3, 0.5, 0.7, 0.1, 0.0, 0.6, 0.59, 0.6], np.float32)
    assert peaks(scores, 0.25) == [(1 + 1, 2, 4), (5, 6, 7), (9, 9, 12)]
    assert peaks(scores, 0.95) == []


@given(st.lists(st.floats(0, 1, width=32), max_size=60), st.floats(0.01, 0.9))
def test_peaks_are_apart_in_order_and_above_the_floor(values: list[float], floor: float) -> None:
    scores = np.array(values, np.float32)
    found = peaks(scores, floor)
    assert [first for first, _, _ in found] == sorted(first for first, _, _ in found)
    for first, peak, end in found:
        assert first <= peak < end
        assert scores[peak] == scores[first:end].max() >= floor
    for (_, _, end), (first, _, _) in pairwise(found):
        assert end <= first
    if len(scores) and float(scores.max()) >= floor:
        assert int(np.argmax(scores)) in [peak for _, peak, _ in found]


@pytest.mark.parametrize("width", [30, 60, 200, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_plot_keeps_to_the_width_and_shows_the_highest_score(
    tiny_model: Path, say: Callable[..., Sound], width: int, encoding: str
) -> None:
    history = history_of(tiny_model, say(0.7, "low", 1.0))
    text = plot(history, 0, len(history.rows), width, encoding).plain
    assert all(len(line) <= width for line in text.splitlines())
    assert ("█" if encoding == "utf-8" else "#") in text
    text.encode(encoding)


def test_moments_are_in_order_and_unique(tiny_model: Path, say: Callable[..., Sound]) -> None:
    found = moments(history_of(tiny_model, say(0.7, "low", 0.6, "high", 0.6, "low", 1.0)))
    assert found == sorted(set(found), key=lambda moment: (moment.step, moment.keyword))
    assert all(isinstance(moment, Moment) for moment in found)
    assert len(found) >= 3


def test_a_moment_behind_the_damage_tells_of_the_damage(why: Callable[..., Result], tmp_path: Path) -> None:
    sound = np.zeros(40_000, np.float32)
    sound[32_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 16_000, "FLOAT")
    result = why("--at", "30", tmp_path / "nan.wav")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "no numbers (NaN or infinity), first at 2.00 s" in result.stderr
