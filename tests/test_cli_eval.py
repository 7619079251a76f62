"""`hark eval clips`: counts, intervals and pictures of what clips are taken for; balanced sets are seeded."""

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
from tinyhark.app.evaluation.clips import GAIN_DB, silence_cuts
from tinyhark.dsp.intervals import wilson

Sound = NDArray[np.int16]
LABELS = ["_silence_", "_unknown_", "low", "high"]


@pytest.fixture
def clips(tmp_path: Path, say: Callable[..., Sound]) -> Path:
    """12 of low (2 of them say high), 8 of high, 9 other words in two folders, one long background noise."""
    folder = tmp_path / "clips"
    said = {
        "low": 10 * ["low"] + 2 * ["high"],
        "high": 8 * ["high"],
        "other": 6 * ["other"],
        "third": 3 * ["other"],
    }
    for label, words in said.items():
        (folder / label).mkdir(parents=True)
        for index, word in enumerate(words):
            sound = say(0.1 + 0.03 * index, word, 0.2)
            soundfile.write(folder / label / f"{index}.{'flac' if index % 2 else 'wav'}", sound, 16_000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", say(4.0), 16_000)
    return folder


@pytest.fixture
def evaluate(tiny_model: Path) -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        command = ["eval", "clips", "--model", str(tiny_model), *map(str, arguments)]
        return CliRunner().invoke(hark, command, catch_exceptions=False)

    return run


def fields(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_counts(evaluate: Callable[..., Result], clips: Path) -> None:
    got = fields(evaluate(clips, "--json"))
    assert (got["clips"], got["right"]) == (30, 28)
    assert got["accuracy"] == pytest.approx(28 / 30)
    assert got["interval"] == pytest.approx(wilson(28, 30))
    assert got["confusion"] == [[1, 0, 0, 0], [0, 9, 0, 0], [0, 0, 10, 2], [0, 0, 0, 8]]
    rows = {row["label"]: row for row in got["labels"]}
    assert list(rows) == LABELS
    assert (rows["low"]["clips"], rows["low"]["right"]) == (12, 10)
    assert (got["no_keyword_clips"], got["taken_for_keyword"]) == (10, 0)


def test_what_is_cut_is_said(evaluate: Callable[..., Result], clips: Path, say: Callable[..., Sound]) -> None:
    assert evaluate(clips).stderr == ""  # the long background noise is no clip
    soundfile.write(clips / "low/long.wav", say(0.1, "low", 1.5), 16_000)
    result = evaluate(clips)
    assert result.exit_code == 0
    assert "1 of 31 clips are longer than the model's window of 0.99 s" in result.stderr


def test_text(evaluate: Callable[..., Result], clips: Path) -> None:
    result = evaluate(clips)
    assert "tones: 93.3 % of 30 clips (95 % interval 78.7 to 98.2)" in result.stdout
    row = next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == ["low"])
    assert row == ["low", "12", "83.3", "%", "·", "·", "10", "2"]


def test_balance_draws_a_tenth_and_is_seeded(evaluate: Callable[..., Result], clips: Path) -> None:
    noise = clips / "_background_noise_"
    first = fields(evaluate(clips, "--json", "--balance", "--noise", noise))
    by_label = {row["label"]: row["clips"] for row in first["labels"]}
    assert by_label == {"_silence_": 2, "_unknown_": 2, "low": 12, "high": 8}
    assert fields(evaluate(clips, "--json", "--balance", "--noise", noise)) == first


def test_silence_cuts_are_seeded_seconds_within_the_gains(tmp_path: Path) -> None:
    files = []
    for index, level in enumerate((1000, 8000)):
        sound = np.random.default_rng(index).choice([-level, level], 50_000).astype(np.int16)
        soundfile.write(tmp_path / f"{index}.wav", sound, 16_000)
        files.append(tmp_path / f"{index}.wav")
    cuts = list(silence_cuts(files, 40, np.random.default_rng(5)))
    again = list(silence_cuts(files, 40, np.random.default_rng(5)))
    other = list(silence_cuts(files, 40, np.random.default_rng(6)))
    assert all(np.array_equal(a, b) for a, b in zip(cuts, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(cuts, other, strict=True))
    assert {len(cut) for cut in cuts} == {16_000}
    peaks = np.array([np.abs(cut.astype(int)).max() for cut in cuts])
    low, high = (10 ** (db / 20) for db in GAIN_DB)
    assert peaks.min() >= 1000 * low - 1
    assert peaks.max() <= 8000 * high + 1
    assert len(set(peaks.tolist())) > 30


def test_report_is_a_picture(evaluate: Callable[..., Result], clips: Path, tmp_path: Path) -> None:
    assert evaluate(clips, "--report", tmp_path / "report").exit_code == 0
    files = list((tmp_path / "report").iterdir())
    assert [path.name for path in files] == ["confusion.png"]
    assert files[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_bad_clips_are_said_and_the_others_counted(evaluate: Callable[..., Result], clips: Path) -> None:
    (clips / "low" / "empty.wav").write_bytes(b"")
    result = evaluate(clips, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["clips"] == 30
    assert result.stderr == f"hark: {clips / 'low' / 'empty.wav'}: is empty\n"


def test_wrong_folders(evaluate: Callable[..., Result], tmp_path: Path) -> None:
    missing = evaluate(tmp_path / "none")
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
    (tmp_path / "bare").mkdir()
    bare = evaluate(tmp_path / "bare")
    assert bare.exit_code == 2
    assert "no clips; they are read from DIR/<label>/" in bare.stderr
    assert "go together" in evaluate(tmp_path, "--balance").stderr


def test_noise_that_is_no_folder(evaluate: Callable[..., Result], clips: Path) -> None:
    result = evaluate(clips, "--balance", "--noise", clips / "none")
    assert (result.exit_code, result.stderr) == (
        2,
        f"hark: {clips / 'none'}: is no folder; name one with sound files in it\n",
    )


def test_a_report_that_cannot_be_written_costs_no_result(evaluate: Callable[..., Result], clips: Path) -> None:
    (clips / "taken").write_bytes(b"")
    result = evaluate(clips, "--json", "--report", clips / "taken" / "report")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["clips"] == 30
    assert result.stderr.startswith(f"hark: {clips / 'taken' / 'report' / 'confusion.png'}: cannot be written: ")


def test_no_clip_that_can_be_read(evaluate: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "low" / "empty.wav").write_bytes(b"")
    result = evaluate(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr
        == f"hark: {tmp_path / 'low' / 'empty.wav'}: is empty\nhark: {tmp_path}: no clip could be classified\n"
    )
