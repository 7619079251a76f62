"""What thresholds cost, measured in streams, written into a model file and shown from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from tinyhark.app.cli import hark
from tinyhark.app.model import Model
from tinyhark.dsp.intervals import wilson

Sound = NDArray[np.int16]
RATE_HZ = 16_000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(hark, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, say: Callable[..., Sound]) -> Path:
    """A model, three of "low" and one that says something else, and sound with a false accept in it."""
    (tmp_path / "tones.onnx").write_bytes(tiny_model.read_bytes())
    (tmp_path / "words/low").mkdir(parents=True)
    for index, word in enumerate(("low", "low", "low", "other")):
        soundfile.write(tmp_path / f"words/low/{index}.wav", say(0.2, word, 0.3), RATE_HZ)
    soundfile.write(tmp_path / "room.wav", say(1.0, "low", 2.0), RATE_HZ)
    return tmp_path


@pytest.fixture
def measure(folder: Path) -> Callable[..., Path]:
    def measure(*arguments: object) -> Path:
        base = ("eval", "stream", "--model", folder / "tones.onnx", "--cache", folder / "cache", "--jobs", 1, "--json")
        result = run(*base, *arguments)
        assert result.exit_code == 0
        (folder / "result.json").write_text(result.stdout)
        return folder / "result.json"

    return measure


def test_measured_points_become_the_models_own(folder: Path, measure: Callable[..., Path]) -> None:
    model, both = folder / "tones.onnx", ("--positives", folder / "words", "--negatives", folder / "room.wav")
    before = Model.load(model).metadata.keywords
    result = measure(*both, "--threshold", "0.7")
    written = run("export", "points", model, "--from", result, "--data", "tones")
    assert (written.exit_code, written.stdout) == (0, f"{model}: now says what its thresholds cost for low\n")
    after = Model.load(model).metadata.keywords
    assert after["high"] == before["high"], "nobody said it"
    assert after["low"].threshold == 0.7
    (point,) = after["low"].operating_points
    assert (point.threshold, point.data, point.count, point.miss_rate) == (0.7, "tones, clean", 4, 0.25)
    assert point.miss_interval == pytest.approx(wilson(1, 4))
    assert point.hours == pytest.approx(3.4 / 3600)
    assert point.false_accepts_per_hour == pytest.approx(3600 / 3.4)
    shown = run("models", "show", model).stdout
    row = next(line.split() for line in shown.splitlines() if "tones, clean" in line)
    assert row[:6] == ["low", "0.7", "4", "25.0", "%", "(4.6"]
    assert "tones: 2 keywords" in shown
    assert "a file" in shown


def test_a_model_without_points_says_so(model_with: Callable[..., Path], tiny_metadata: Any) -> None:
    from msgspec.structs import replace

    bare = {word: replace(spec, operating_points=[]) for word, spec in tiny_metadata.keywords.items()}
    assert "not measured in streams" in run("models", "show", model_with(keywords=bare)).stdout


def test_what_cannot_be_written(folder: Path, measure: Callable[..., Path]) -> None:
    model = folder / "tones.onnx"
    before = model.read_bytes()

    def refusal(result: Path) -> str:
        refused = run("export", "points", model, "--from", result, "--data", "tones")
        assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
        assert model.read_bytes() == before
        return refused.stderr

    assert "measure with --negatives" in refusal(measure("--positives", folder / "words"))
    assert "measure with --positives" in refusal(measure("--negatives", folder / "room.wav"))
    whole = json.loads(measure("--positives", folder / "words", "--negatives", folder / "room.wav").read_text())
    other = folder / "other.json"
    other.write_text(json.dumps(whole).replace('"low"', '"alexa"'))
    assert "has no keyword 'alexa'; the figures are of another model" in refusal(other)
    for text in (b"", b"{}", b"\xff", json.dumps(whole)[:200].encode()):
        other.write_bytes(text)
        assert "is no result of hark eval stream --json" in refusal(other)
