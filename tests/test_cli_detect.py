"""`hark detect`: files, folders and pipes to lines, JSON and labels; bad files are said and the others still done."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from tinyhark.app.cli import hark

Sound = NDArray[np.int16]
WORDS = ["low", "high", "low"]


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.3)


@pytest.fixture
def file(tmp_path: Path, sound: Sound) -> Path:
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    return tmp_path / "said.wav"


@pytest.fixture
def detect(tiny_model: Path) -> Callable[..., Result]:
    def run(*arguments: object, stdin: bytes | None = None) -> Result:
        command = ["detect", "--model", str(tiny_model), *map(str, arguments)]
        return CliRunner().invoke(hark, command, input=stdin, catch_exceptions=False)

    return run


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text(detect: Callable[..., Result], file: Path) -> None:
    result = detect(file)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert [(name, word) for name, _, word, _ in lines] == [(str(file), word) for word in WORDS]
    for (_, time, _, score), start in zip(lines, (0.7, 2.1, 4.5), strict=True):
        assert start < float(time) < start + 0.9
        assert 0.8 <= float(score) <= 1


def test_json(detect: Callable[..., Result], file: Path) -> None:
    got = events(detect(file, "--json"))
    assert [event["keyword"] for event in got] == WORDS
    for event in got:
        assert set(event) == {"file", "keyword", "score", "start_sample", "end_sample", "model", "time_s"}
        assert event["model"] == "tones"
        assert event["time_s"] == pytest.approx(event["end_sample"] / 16_000, abs=1e-4)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_forms_of_the_same_sound_give_the_same_events(
    detect: Callable[..., Result], file: Path, sound: Sound, rate_hz: int, subtype: str, channels: int
) -> None:
    wanted = events(detect(file, "--json"))
    other = sound.astype(np.float64) / 32768
    if rate_hz != 16_000:
        other = soxr.resample(other, 16_000, rate_hz, "VHQ")
    soundfile.write(file, np.repeat(other[:, None], channels, 1), rate_hz, subtype)
    got = events(detect(file, "--json"))
    assert [event["keyword"] for event in got] == [event["keyword"] for event in wanted]
    for event, reference in zip(got, wanted, strict=True):
        assert abs(event["end_sample"] - reference["end_sample"]) <= 640  # one stride


def test_standard_input_is_raw_sound(detect: Callable[..., Result], file: Path, sound: Sound) -> None:
    of_file, of_pipe = events(detect(file, "--json")), events(detect("-", "--json", stdin=sound.tobytes()))
    assert {event.pop("file") for event in of_pipe} == {"-"}
    assert of_pipe == [{k: v for k, v in event.items() if k != "file"} for event in of_file]


def test_events_of_a_pipe_are_printed_as_they_come(tiny_model: Path, sound: Sound) -> None:
    command = [sys.executable, "-m", "tinyhark.app", "detect", "--model", str(tiny_model), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(sound[: 2 * 16_000].tobytes())
        process.stdin.flush()
        first = process.stdout.readline().split()  # would wait for ever if the event waited for the end of the pipe
        assert first[0] == b"-"
        assert first[2] == b"low"
        process.stdin.write(sound[2 * 16_000 :].tobytes())
        process.stdin.close()
        assert [line.split()[2] for line in process.stdout] == [b"high", b"low"]
        assert process.wait() == 0


def test_folders(detect: Callable[..., Result], file: Path, sound: Sound) -> None:
    (file.parent / "deep").mkdir()
    soundfile.write(file.parent / "deep" / "more.flac", sound[: 2 * 16_000], 16_000)
    (file.parent / "notes.txt").write_text("no sound")
    result = detect(file.parent)
    assert result.exit_code == 0
    assert [Path(line.split("  ")[0]).name for line in result.stdout.splitlines()] == ["more.flac", *3 * ["said.wav"]]


@pytest.mark.parametrize("kind", ["audacity", "csv"])
def test_labels(detect: Callable[..., Result], file: Path, kind: str) -> None:
    wanted = events(detect(file, "--json"))
    result = detect(file, "--labels", kind)
    if kind == "audacity":
        rows = [line.split("\t") for line in result.stdout.splitlines()]
        got = [(round(float(start) * 16_000), round(float(end) * 16_000), word) for start, end, word in rows]
    else:
        table = csv.DictReader(io.StringIO(result.stdout))
        got = [(int(row["start_sample"]), int(row["end_sample"]), row["keyword"]) for row in table]
    assert got == [(event["start_sample"], event["end_sample"], event["keyword"]) for event in wanted]
    suffix = {"audacity": "txt", "csv": "csv"}[kind]
    out = file.parent / "out"
    assert detect(file, file.parent / "gone.wav", "--labels", kind, "--out", out).exit_code == 2
    assert (out / f"said.wav.{suffix}").read_text() == result.stdout
    assert detect(file.parent, "--labels", kind, "--out", out).stdout == ""


def test_labels_of_several_files_need_a_folder(detect: Callable[..., Result], file: Path) -> None:
    result = detect(file, file, "--labels", "csv")
    assert result.exit_code == 2
    assert "needs --out DIR" in result.stderr
    result = detect(file, file, "--labels", "csv", "--out", file.parent / "out")
    assert "would write the same label file" in result.stderr


def test_bad_files_are_said_and_the_others_still_processed(
    detect: Callable[..., Result], file: Path, sound: Sound
) -> None:
    folder = file.parent
    (folder / "empty.wav").write_bytes(b"")
    (folder / "junk.wav").write_bytes(b"junk" * 100)
    soundfile.write(folder / "zero.wav", sound[:0], 16_000)
    soundfile.write(folder / "nan.wav", np.full(16_000, np.nan), 16_000, "FLOAT")
    soundfile.write(folder / "cut.wav", sound, 16_000)
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[: 3 * 32_000])
    (folder / "bare").mkdir()
    bad = ["empty.wav", "junk.wav", "zero.wav", "nan.wav", "missing.wav", "bare", "cut.wav"]
    result = detect(*(folder / name for name in bad), file)
    assert result.exit_code == 2
    errors = result.stderr.splitlines()
    assert all(line.startswith("hark: ") for line in errors)
    assert sorted(bad) == sorted(next(name for name in bad if f"/{name}:" in line) for line in errors)
    heard = [Path(line.split("  ")[0]).name for line in result.stdout.splitlines()]
    assert heard == ["cut.wav", "cut.wav", "said.wav", "said.wav", "said.wav"]


def test_a_pipe_without_sound_is_said(detect: Callable[..., Result]) -> None:
    result = detect("-", stdin=b"")
    assert (result.exit_code, result.stderr) == (2, "hark: -: no sound came; raw sound is int16, 16 kHz, mono\n")


def test_options_reach_the_spotter(detect: Callable[..., Result], file: Path) -> None:
    assert [e["keyword"] for e in events(detect(file, "--json", "--keyword", "high"))] == ["high"]
    assert events(detect(file, "--json", "--threshold", "1.0")) == []
    only_low_is_dear = events(detect(file, "--json", "--threshold", "low=1.0"))
    assert [e["keyword"] for e in only_low_is_dear] == ["high"]
    usual = events(detect(file, "--json"))
    assert events(detect(file, "--json", "--sensitivity", "0.5")) == usual
    wary, eager = (
        events(detect(file, "--json", "--sensitivity", "0")),
        events(detect(file, "--json", "--sensitivity", "0.9")),
    )
    assert eager[0]["end_sample"] < usual[0]["end_sample"] < wary[0]["end_sample"]
    assert events(detect(file, "--json", "--gate")) == usual


def test_what_is_set_for_one_keyword_leaves_the_others(detect: Callable[..., Result], file: Path) -> None:
    usual = events(detect(file, "--json"))
    once = events(detect(file, "--json", "--refractory-ms", "low=60000"))
    assert once == usual[:2]
    assert events(detect(file, "--json", "--refractory-ms", "60000", "--refractory-ms", "low=500")) == usual
    never_again = events(detect(file, "--json", "--rearm", "low=0.0001"))
    assert never_again == usual[:2]
    slow = events(detect(file, "--json", "--smoothing-ms", "high=400"))
    assert [slow[0], slow[2]] == [usual[0], usual[2]]
    assert slow[1]["end_sample"] > usual[1]["end_sample"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "much"], "is not [WORD=]SCORE"),
        (["--threshold", "loud=0.5"], "no keyword 'loud'"),
        (["--threshold", "2"], "threshold is 2.0"),
        (["--smoothing-ms", "low=long"], "'low=long' is not [WORD=]MS"),
        (["--rearm", "low=2"], "low: rearm is 2.0"),
        (["--refractory-ms", "loud=5"], "no keyword 'loud'"),
        (["--keyword", "loud"], "no keyword 'loud'; there are: low, high"),
        (["--sensitivity", "2"], "not in the range"),
        (["--json", "--labels", "csv"], "exclude each other"),
        (["--out", "x"], "--out needs --labels"),
    ],
)
def test_wrong_usage(detect: Callable[..., Result], file: Path, arguments: list[str], message: str) -> None:
    result = detect(file, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_model_that_is_none_is_one_line(file: Path, tmp_path: Path) -> None:
    for model in ("nowhere", str(tmp_path / "none.onnx"), str(file)):
        result = CliRunner().invoke(hark, ["detect", "--model", model, str(file)], catch_exceptions=False)
        assert result.exit_code == 2
        assert result.stderr.startswith("hark: ")
        assert len(result.stderr.splitlines()) == 1


def test_a_name_that_is_too_long_stops_no_other_file(detect: Callable[..., Result], file: Path) -> None:
    result = detect("x" * 300, "", file)
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == len(WORDS)
    assert [line.rpartition(": ")[2] for line in result.stderr.splitlines()] == ["File name too long", "Is a directory"]
