"""`hark eval stream` from the command line: figures, JSON, thresholds from cached scores, errors in one line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from tinyhark.app.cli import hark
from tinyhark.dsp.intervals import poisson_rate, wilson

Sound = NDArray[np.int16]
RATE_HZ = 16_000


@pytest.fixture
def folder(tmp_path: Path, say: Callable[..., Sound]) -> Path:
    """words/: 6 of low, 4 of high and 2 named high that say low; room/: sound with one "low" in it; noise/."""
    said = {"low": 6 * ["low"], "high": [*4 * ["high"], *2 * ["low"]]}
    for label, words in said.items():
        (tmp_path / "words" / label).mkdir(parents=True)
        for index, word in enumerate(words):
            path = tmp_path / "words" / label / f"{'ab'[index % 2]}_{index}.wav"
            soundfile.write(path, say(0.1 + 0.05 * index, word, 0.3), RATE_HZ)
    for name, sound in (("room", say(1.0, "other", 3.0, "low", 2.0)), ("noise", say(2.0) * 20)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / f"{name}.wav", sound, RATE_HZ)
    return tmp_path


@pytest.fixture
def evaluate(tiny_model: Path, folder: Path) -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        command = ["eval", "stream", "--model", tiny_model, "--jobs", 1, "--cache", folder / "cache", *arguments]
        return CliRunner().invoke(hark, [str(part) for part in command], catch_exceptions=False)

    return run


def fields(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def words_of(found: dict[str, Any], keyword: str, condition: str) -> dict[str, Any]:
    return next(dict(w) for w in found["words"] if (w["keyword"], w["condition"]) == (keyword, condition))


def test_figures(evaluate: Callable[..., Result], folder: Path) -> None:
    found = fields(evaluate("--positives", folder / "words", "--negatives", folder / "room", "--json"))
    everyone = words_of(found, "all", "clean")
    assert (everyone["misses"]["count"], everyone["misses"]["of"]) == (2, 12)
    assert everyone["misses"]["interval"] == pytest.approx(wilson(2, 12))
    assert everyone["beside_words"] == 2
    assert words_of(found, "low", "clean")["misses"]["count"] == 0
    assert found["confusions"] == [{"said": "high", "heard": "low", "count": 2}]
    total = found["false_accepts"][0]["false_accepts"]
    assert total["count"] == 1
    assert total["of"] == found["hours"] == pytest.approx((1.0 + 0.4 + 3.0 + 0.4 + 2.0) / 3600)
    assert total["interval"] == pytest.approx(poisson_rate(1, found["hours"]))
    assert {row["kind"] for row in found["false_accepts"]} == {"all", "room"}
    assert set(found["curves"]) == {"all", "low", "high"}
    assert [p["threshold"] for p in found["curves"]["all"]] == sorted(p["threshold"] for p in found["curves"]["all"])


def test_conditions_noises_and_speakers(evaluate: Callable[..., Result], folder: Path) -> None:
    options = ("--noise", folder / "noise", "--snr", "clean,10,-20", "--speaker", "^([ab])_", "--json")
    found = fields(evaluate("--positives", folder / "words", *options))
    assert [w["condition"] for w in found["words"] if w["keyword"] == "all"] == ["clean", "10 dB", "-20 dB", "all"]
    assert words_of(found, "all", "-20 dB")["misses"]["count"] > words_of(found, "all", "clean")["misses"]["count"]
    assert [(g["condition"], g["group"]) for g in found["noises"]] == [("10 dB", "noise"), ("-20 dB", "noise")]
    assert {g["group"]: g["misses"]["of"] for g in found["speakers"]} == {"a": 18, "b": 18}
    assert found["hours"] == 0


def test_a_threshold_costs_no_hearing(evaluate: Callable[..., Result], folder: Path) -> None:
    base = ("--positives", folder / "words", "--negatives", folder / "room", "--json")
    first = fields(evaluate(*base))
    kept = {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()}
    moved = fields(evaluate(*base, "--threshold", "0.999", "--threshold", "low=1"))
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()} == kept
    assert words_of(moved, "low", "clean")["threshold"] == 1.0
    assert words_of(moved, "high", "clean")["threshold"] == 0.999
    assert words_of(moved, "all", "clean")["misses"]["count"] > words_of(first, "all", "clean")["misses"]["count"]
    assert moved["curves"] == first["curves"]


def test_the_cache_is_the_users(folder: Path, tiny_model: Path) -> None:
    command = ["eval", "stream", "--model", str(tiny_model), "--negatives", str(folder / "room"), "--jobs", "1"]
    result = CliRunner(env={"XDG_CACHE_HOME": str(folder / "home")}).invoke(hark, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert len(list((folder / "home" / "tinyhark").glob("*.npz"))) == 1


def test_tables(evaluate: Callable[..., Result], folder: Path) -> None:
    arguments = ("--positives", folder / "words", "--negatives", folder / "room", "--counting", "all")
    text = evaluate(*arguments).stdout
    rows = [line.split() for line in text.splitlines()]
    assert ["high", "clean", "0.8", "6", "2", "33.3", "%", "(9.7", "to", "70.0)"] in [row[:10] for row in rows]
    assert ["high", "low", "2"] in rows
    for title in ("Words", "False accepts", "Other thresholds", "By other rules of counting"):
        assert title in text
    for rule in ("tinyhark", "per firing", "end + 1 s", "dead time"):
        assert rule in text


def test_labelled_recordings_count_hours_and_words(
    evaluate: Callable[..., Result], folder: Path, say: Callable[..., Sound]
) -> None:
    soundfile.write(folder / "talk.wav", say(1.0, "low", 2.0, "high", 2.0), RATE_HZ)
    (folder / "talk.csv").write_text("16000,22400,low,,ann\n54400,60800,high,,bob\n70000,71000,,noise\n")
    found = fields(evaluate("--positives", folder / "talk.wav", "--json"))
    assert words_of(found, "all", "recording")["misses"] | {"interval": 0, "rate": 0} == {
        "count": 0,
        "of": 2,
        "interval": 0,
        "rate": 0,
    }
    assert found["hours"] == pytest.approx(5.8 / 3600)
    assert {g["group"] for g in found["speakers"]} == {"ann", "bob"}


def test_sound_of_a_muted_microphone_is_no_hours(
    evaluate: Callable[..., Result], folder: Path, say: Callable[..., Sound]
) -> None:
    soundfile.write(folder / "room/muted.wav", np.concatenate([say(1.0), np.zeros(18 * RATE_HZ, np.int16)]), RATE_HZ)
    command = ("--negatives", folder / "room", "--json")
    for _ in range(2):  # the second time out of the cache
        result = evaluate(*command)
        assert fields(result)["hours"] == pytest.approx((6.8 + 1.0) / 3600, rel=0.01)
        assert f"{folder / 'room'}: 0.3 minutes of digital silence" in result.stderr  # short files are joined


def test_silence_is_told_of_as_often_as_it_is_heard(
    evaluate: Callable[..., Result], folder: Path, say: Callable[..., Sound]
) -> None:
    path = folder / "two\nlines/long.wav"
    path.parent.mkdir()
    soundfile.write(path, np.concatenate([say(60.0), np.zeros(12 * RATE_HZ, np.int16)]), RATE_HZ)
    result = evaluate("--negatives", path, "--negatives", path.parent, "--json", "--report", path.parent)
    assert fields(result)["hours"] == pytest.approx(2 * 60 / 3600, rel=0.01)
    silence, report = result.stderr.splitlines()
    assert rf"{folder}/two\nlines/long.wav and 1 more: 0.4 minutes of digital silence" in silence
    assert r"two\nlines/index.html: written" in report


def test_as_many_examples_as_asked(evaluate: Callable[..., Result], folder: Path) -> None:
    sounds = []
    for most in (0, 1, 2):
        command = ("--positives", folder / "words", "--report", folder / "out", "--examples", most)
        assert evaluate(*command).exit_code == 0
        sounds.append((folder / "out/index.html").read_text().count("data:audio/ogg"))
    assert sounds == [0, 2, 4]  # a miss and a false accept each


def test_a_bad_file_is_said_and_the_others_measured(evaluate: Callable[..., Result], folder: Path) -> None:
    (folder / "words/low/empty.wav").write_bytes(b"")
    result = evaluate("--positives", folder / "words", "--json")
    assert result.exit_code == 2
    assert result.stderr == f"hark: {folder / 'words/low/empty.wav'}: is empty\n"
    assert words_of(json.loads(result.stdout), "all", "clean")["misses"]["of"] == 12


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give --positives, --negatives or both"),
        (("--positives", "words", "--snr", "loud"), "'loud' is no ratio; give 'clean' or dB"),
        (("--positives", "words", "--snr", "nan"), "'nan' is no ratio"),
        (("--positives", "words", "--noise", "noise"), "--noise is heard at the ratios of --snr"),
        (("--positives", "missing"), "missing: is not there"),
        (("--positives", "words", "--snr", "5"), "a signal-to-noise ratio needs noise"),
        (("--positives", "words", "--threshold", "mid=0.5"), "has no keyword 'mid'"),
        (("--positives", "noise"), "no folder and no label is named after a keyword"),
        (("--negatives", "room", "--dask", "tcp://127.0.0.1:9"), "--jobs and --dask do not go together"),
    ],
)
def test_wrong_usage(evaluate: Callable[..., Result], folder: Path, arguments: tuple[str, ...], says: str) -> None:
    named = [folder / part if part in ("words", "noise", "room") else part for part in arguments]
    result = evaluate(*named)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_nothing_that_can_be_heard(evaluate: Callable[..., Result], folder: Path) -> None:
    result = evaluate("--positives", folder / "words", "--noise", folder / "none", "--snr", "5")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "is no folder" in result.stderr


def test_names_of_files_are_plain_text(evaluate: Callable[..., Result], folder: Path, tiny_model: Path) -> None:
    for name in (b"[red]q", b"\x1b[31mz", b"\xff"):
        kind = Path(os.fsdecode(bytes(folder / "many") + b"/" + name))
        kind.mkdir(parents=True)
        (kind / os.fsdecode(b"\xff.wav")).write_bytes((folder / "room/room.wav").read_bytes())
    model = folder / "a[bold].onnx"
    model.write_bytes(tiny_model.read_bytes())
    command = ("--negatives", folder / "many", "--model", model)
    found = fields(evaluate(*command, "--json"))
    assert {row["kind"] for row in found["false_accepts"]} == {"all", "[red]q", r"\x1b[31mz", r"\udcff"}
    shown = evaluate(*command, "--report", folder / "out")
    assert shown.exit_code == 0
    assert f"{folder / 'out/index.html'}: written" in shown.stderr
    assert "a[bold] at" in shown.stdout
    assert "[red]q" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert r"\udcff.wav" in (folder / "out/index.html").read_text()


def test_labels_of_another_recording_are_said(
    evaluate: Callable[..., Result], folder: Path, say: Callable[..., Sound]
) -> None:
    soundfile.write(folder / "talk.wav", say(1.0, "low", 2.0), RATE_HZ)
    (folder / "talk.csv").write_text("16000,22400,low\n96000,98000,low\n")
    result = evaluate("--positives", folder / "talk.wav", "--json")
    assert result.exit_code == 2
    assert "1 of its labels begin after its end, 3.40 s, the last at 6.00 s; labels count samples" in result.stderr
    assert words_of(json.loads(result.stdout), "all", "recording")["misses"]["of"] == 1


def test_nothing_is_shown_where_no_file_can_be_read(evaluate: Callable[..., Result], folder: Path) -> None:
    (folder / "bad.wav").write_bytes(b"RIFF")
    result = evaluate("--negatives", folder / "bad.wav")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
