"""`hark demo`: labels, the result and its exit status, for people and for programs."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from rich.console import Console

import tinyhark.app
from tinyhark.app.audio.files import duration_s
from tinyhark.app.audio.speakers import Speakers
from tinyhark.app.cli import hark
from tinyhark.app.detection import Detection
from tinyhark.app.errors import AudioError, HarkError
from tinyhark.app.labels import Said, read_labels
from tinyhark.app.outcome import judge
from tinyhark.app.outcome_report import summary, table, to_json
from tinyhark.dsp.matching import Label

Sound = NDArray[np.int16]

PACKAGED = Path(tinyhark.app.__file__).parent / "demo"
COMMANDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
PARTS = (0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.5)
TRUTH = [(11_200, 17_600, "low"), (33_600, 40_000, "high"), (49_600, 56_000, ""), (72_000, 78_400, "low")]


@pytest.fixture
def recording(tmp_path: Path, say: Callable[..., Sound]) -> Path:
    path = tmp_path / "said.wav"
    soundfile.write(path, say(*PARTS), 16_000)
    return path


def labels_file(
    folder: Path, rows: list[tuple[int, int, str]], header: str = "start_sample,end_sample,keyword\n"
) -> Path:
    path = folder / "said.csv"
    path.write_text(header + "".join(f"{start},{end},{word}\n" for start, end, word in rows), encoding="utf-8")
    return path


def invoke(*arguments: object, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "100", **environment}).invoke(hark, ["demo", *map(str, arguments)])


def test_all_heard_is_good(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = invoke(recording, "--labels", labels_file(tmp_path, TRUTH), "--model", tiny_model, "--fast")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["said", "at", "word", "heard", "heard", "at", "latency", "score"]
    assert [line[-1] for line in lines[2:-1]] == ["hit", "hit", "0:03.1", "hit"]
    assert result.stdout.splitlines()[-1] == "heard 3 of 3 commands, 0 false events: good"


def test_80_columns_are_enough_to_read_what_was_heard(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = (recording, "--labels", labels_file(tmp_path, TRUTH), "--model", tiny_model, "--fast")
    rows = [line for line in invoke(*command, COLUMNS="80").output.splitlines() if " ms " in line]
    assert rows
    assert all(row.split()[-1] == "hit" and "…" not in row for row in rows)


def test_a_word_that_was_not_heard_is_not_good_enough(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    labels = labels_file(tmp_path, [*TRUTH, (57_000, 60_000, "high")])
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast")
    assert result.exit_code == 1
    assert "heard 3 of 4 commands, 0 false events: not good enough" in result.stdout
    assert sum(line.rstrip().endswith("miss") for line in result.stdout.splitlines()) == 1


def test_a_word_that_nobody_said_is_not_good_enough(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = invoke(recording, "--labels", labels_file(tmp_path, TRUTH[:3]), "--model", tiny_model, "--fast")
    assert result.exit_code == 1
    assert "heard 2 of 2 commands, 1 false event: not good enough" in result.stdout
    assert sum("false accept" in line for line in result.stdout.splitlines()) == 1


def test_json_is_one_object_and_nothing_else(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    labels = labels_file(tmp_path, [*TRUTH[:3], (57_000, 60_000, "high")])
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast", "--json")
    assert result.exit_code == 1
    got = json.loads(result.stdout)
    assert got["model"] == "tones"
    assert got["duration_s"] == pytest.approx(5.4)
    assert (got["commands"], got["heard"], got["false_events"], got["double_triggers"]) == (3, 2, 1, 0)
    assert got["goal_met"] is False
    assert [e["result"] for e in got["entries"]] == ["hit", "hit", "other speech", "miss", "false accept"]
    hit = got["entries"][0]
    assert hit["said"] == {"keyword": "low", "text": "", "start_sample": 11_200, "end_sample": 17_600}
    assert hit["latency_ms"] == (hit["heard"]["end_sample"] - 17_600) / 16
    assert [d["keyword"] for d in got["detections"]] == ["low", "high", "low"]
    assert got["detections"][0]["time_s"] == pytest.approx(got["detections"][0]["end_sample"] / 16_000, abs=1e-4)


def test_json_equals_what_detect_says(recording: Path, tiny_model: Path) -> None:
    demo = json.loads(invoke(recording, "--model", tiny_model, "--fast", "--json").stdout)
    detect = CliRunner().invoke(hark, ["detect", str(recording), "--model", str(tiny_model), "--json"])
    lines = [json.loads(line) for line in detect.stdout.splitlines()]
    assert demo["detections"] == [{k: v for k, v in line.items() if k != "file"} for line in lines]
    assert "goal_met" not in demo


def test_without_labels_the_events_are_listed(recording: Path, tiny_model: Path) -> None:
    result = invoke(recording, "--model", tiny_model, "--fast")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.strip().startswith("0:0")] == ["low", "high", "low"]
    assert lines[-1] == "3 events in 5.4 s"


def test_in_real_time_without_a_terminal_each_event_is_a_line(tiny_model: Path, tmp_path: Path, say: Any) -> None:
    path = tmp_path / "short.flac"
    soundfile.write(path, say(0.2, "low", 0.3), 16_000)
    result = invoke(path, "--model", tiny_model)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[1] == "low"
    assert lines[1:] == ["1 event in 0.9 s"]
    fast = json.loads(invoke(path, "--model", tiny_model, "--fast", "--json").stdout)["detections"]
    assert lines[0] == f"{fast[0]['time_s']:.2f}  low  {fast[0]['score']:.2f}"


def test_sensitivity_reaches_the_spotter(recording: Path, tiny_model: Path) -> None:
    least = json.loads(invoke(recording, "--model", tiny_model, "--fast", "--json", "--sensitivity", 0).stdout)
    most = json.loads(invoke(recording, "--model", tiny_model, "--fast", "--json", "--sensitivity", 1).stdout)
    assert least["detections"][0]["score"] > 0.9 > most["detections"][0]["score"]


def test_words_that_are_not_asked_for_are_not_counted(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    labels = labels_file(tmp_path, [*TRUTH, (57_000, 60_000, "alexa")])
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast")
    assert result.exit_code == 0
    assert "not counted" in result.stderr
    assert "alexa" in result.stderr
    assert "heard 3 of 3 commands" in result.stdout
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast", "--keyword", "low")
    assert result.exit_code == 0
    assert "heard 2 of 2 commands" in result.stdout


def test_labels_of_another_model_are_refused(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    labels = labels_file(tmp_path, [(0, 100, "alexa"), (200, 300, "jarvis")])
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "none of its words (alexa, jarvis) is one of tones (low, high)" in result.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("start_sample,end_sample,keyword\n1,2\n", "line 2: has 2 columns"),
        ("1,2,low\n\n1.5,2,low\n", "line 3: start_sample is '1.5'"),
        ("1,-2,low\n", "line 1: end_sample is '-2'"),
        ("1,two,low\n", "line 1: end_sample is 'two'"),
        ("1," + "9" * 5000 + ",low\n", "line 1: end_sample is '999"),
        ("20,10,low\n", "line 1: label 'low' runs from sample 20 to 10"),
        ('1,2,"low\n', "line 1: is no CSV"),
    ],
)
def test_labels_that_cannot_be_read(
    text: str, complaint: str, recording: Path, tiny_model: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "bad.csv"
    labels.write_text(text, encoding="utf-8")
    result = invoke(recording, "--labels", labels, "--model", tiny_model, "--fast")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"hark: {labels}, {complaint}")


def test_labels_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(HarkError, match="cannot be read: No such file"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HarkError, match="is no UTF-8 text"):
        read_labels(tmp_path / "binary.csv")


def test_labels_with_and_without_header_order_and_text(tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    path.write_bytes("\ufeffstart_sample,end_sample,keyword,text\r\n30,40,,das ist schön\r\n 1, 2, low ,\r\n".encode())
    assert read_labels(path) == [Said(Label(1, 2, "low")), Said(Label(30, 40, ""), "das ist schön")]
    path.write_text("1,2,,red \x1b[31m\n")
    assert read_labels(path) == [Said(Label(1, 2, ""), "red  [31m")]
    path.write_text("1,2,_unknown_\n")
    assert not read_labels(path)[0].is_command


@pytest.mark.parametrize(
    "arguments", [["--labels", "x.csv"], ["x.wav", "--fast", "--play"], ["x.wav", "--sensitivity", "2"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("hark: ")
    assert result.stderr.endswith("; see hark demo --help\n")


def test_a_recording_that_is_not_there(tiny_model: Path) -> None:
    result = invoke("nowhere.wav", "--model", tiny_model, "--fast")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["hark: nowhere.wav: cannot be read: No such file or directory"]


def test_the_packaged_recording_says_every_command_twice() -> None:
    spoken = read_labels(PACKAGED / "demo.csv")
    commands = Counter(item.label.keyword for item in spoken if item.is_command)
    assert set(commands) == set(COMMANDS)
    assert min(commands.values()) >= 2
    assert any(not item.is_command for item in spoken)
    assert duration_s(PACKAGED / "demo.opus") * 16_000 > max(item.label.end_sample for item in spoken) + 8_000


@pytest.mark.skipif(not (PACKAGED.parent / "models" / "commands.onnx").exists(), reason="no model is shipped")
def test_the_packaged_recording_is_heard() -> None:
    result = invoke("--fast")
    assert result.exit_code == 0, result.output
    assert "0 false events: good" in result.stdout


def heard(word: str, end_sample: int) -> Detection:
    return Detection(word, 0.9, 0, end_sample, "m")


def said(start_sample: int, end_sample: int, word: str) -> Said:
    return Said(Label(start_sample, end_sample, word))


@pytest.mark.parametrize(("commands", "misses", "good"), [(20, 1, True), (20, 2, False), (19, 1, False), (0, 0, True)])
def test_the_goal_is_95_percent(commands: int, misses: int, good: bool) -> None:
    labels = [said(i * 20_000, i * 20_000 + 8_000, "go") for i in range(commands)]
    outcome = judge(labels, [heard("go", label.label.end_sample + 100) for label in labels[misses:]])
    assert (outcome.heard, outcome.commands, outcome.goal_met) == (commands - misses, commands, good)


def test_a_word_heard_twice_is_a_false_event() -> None:
    outcome = judge([said(0, 8_000, "go")], [heard("go", 7_000), heard("go", 12_000)])
    assert (outcome.heard, outcome.false_events, outcome.goal_met) == (1, 1, False)
    assert "1 false event (1 of them a word heard twice)" in summary(outcome)


def test_tables_fit_narrow_terminals_and_json_takes_every_text() -> None:
    labels = [Said(Label(0, 8_000, ""), "größer \U0001f600 " * 20), said(9_000, 17_000, "go")]
    outcome = judge(labels, [heard("go", 18_000)])
    console = Console(width=40, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(table(outcome))
    assert max(len(line) for line in capture.get().splitlines()) <= 40
    parsed = json.loads(to_json("x.wav", "m", 20_000, [heard("go", 18_000)], outcome))
    assert parsed["entries"][0]["said"]["text"] == labels[0].text


class FakeOutput:
    """Stands for sounddevice: takes what is played."""

    class PortAudioError(Exception):
        pass

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.written: list[Sound] = []
        self.closed = False

    def OutputStream(self, **settings: Any) -> "FakeOutput":  # noqa: N802
        if not self.works:
            raise self.PortAudioError("Error opening OutputStream: Invalid device\n[PaErrorCode -9996]")
        assert (settings["samplerate"], settings["channels"], settings["dtype"]) == (16_000, 1, "int16")
        return self

    def start(self) -> None:
        pass

    def write(self, data: Sound) -> None:
        self.written.append(data[:, 0].copy())

    def close(self, ignore_errors: bool) -> None:
        self.closed = ignore_errors


def test_speakers_play_all_after_a_little_silence() -> None:
    device = FakeOutput()
    with Speakers(device) as speakers:
        speakers.play(np.arange(640, dtype=np.int16))
    played = np.concatenate(device.written)
    assert not played[:1600].any()
    np.testing.assert_array_equal(played[1600:], np.arange(640))
    assert device.closed


def test_no_speakers_is_one_line() -> None:
    with pytest.raises(AudioError, match=r"^speakers: cannot be opened: [^\n]*Invalid device[^\n]*--play$"):
        Speakers(FakeOutput(works=False)).__enter__()
