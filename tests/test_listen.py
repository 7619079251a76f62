"""`hark listen`: what it prints of the sound of files, of a microphone that fails, and of a real sound server."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner
from numpy.typing import NDArray

from tinyhark.app.audio.intake import Intake
from tinyhark.app.audio.source import Pcm
from tinyhark.app.audio.sources import FileSource
from tinyhark.app.cli import hark
from tinyhark.app.commands.listen import listen_to
from tinyhark.app.detection import Detection
from tinyhark.app.errors import AudioError
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]

WAIT_S = 90


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.66)


@pytest.fixture
def recording(tmp_path: Path, sound: Sound) -> FileSource:
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    return FileSource(tmp_path / "said.wav")


def plain(model: Model, sound: Sound) -> list[Detection]:
    spotter = Spotter(model)
    return spotter.feed(sound) + spotter.finish()


class Microphone:
    """A live source that gives each of its sounds [n, channels], then fails; after the last one it ends.

    It waits for whoever takes the sound, so that a slow machine loses nothing: `intake` is who that is.
    """

    live, name = True, "USB Headset"

    def __init__(self, *sounds: Sound, rate_hz: int = 16_000, pcm: Callable[[Sound], Pcm] = Pcm) -> None:
        self._sounds, self.rate_hz, self._pcm = list(sounds), rate_hz, pcm
        self.channels = sounds[0].shape[1]
        self.intake = Intake(self)
        self._rest: Iterator[Sound] = iter(())

    def open(self) -> "Microphone":
        sound = self._sounds.pop(0)
        size = self.rate_hz * 2 // 25
        self._rest = iter([sound[first : first + size] for first in range(0, len(sound), size)])
        return self

    def read(self) -> Pcm | None:
        while self.intake.waiting_s() > 0.5:
            time.sleep(0.001)
        data = next(self._rest, None)
        if data is None and self._sounds:
            raise AudioError("microphone USB Headset: gives no more sound: unplugged")
        return None if data is None else self._pcm(data)

    def close(self) -> None:
        pass


class Interrupted(FileSource):
    """A recording with a Ctrl-C at its end."""

    def open(self) -> Any:
        stream = super().open()
        read = stream.read

        def read_or_interrupt() -> Pcm | None:
            if (pcm := read()) is not None:
                return pcm
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
            return Pcm(np.zeros((0, 1), np.int16))

        stream.read = read_or_interrupt
        return stream


def test_json_lines_carry_the_time_of_day(
    model: Model, sound: Sound, recording: FileSource, capsys: pytest.CaptureFixture[str]
) -> None:
    listen_to(Intake(recording), Spotter(model), as_json=True)
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["keyword"] for event in events] == ["low", "high", "low"]
    for event, expected in zip(events, plain(model, sound), strict=True):
        assert event["end_sample"] == expected.end_sample
        assert event["time_s"] == pytest.approx(expected.time_s, abs=1e-4)
        when = datetime.fromisoformat(event["wall_time"])
        assert when.tzinfo is not None
        assert abs(datetime.now().astimezone() - when) < timedelta(minutes=5)
    lines = err.splitlines()
    assert re.fullmatch(r"listening to .*said\.wav at 16000 Hz; Ctrl-C stops", lines[0])
    assert lines[1:] == ["3 events in 5.6 s: low 2, high 1"]


def test_elsewhere_than_on_a_terminal_an_event_is_a_line(
    model: Model, recording: FileSource, capsys: pytest.CaptureFixture[str]
) -> None:
    listen_to(Intake(recording), Spotter(model), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["low", "high", "low"]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in lines)


def test_several_models_listen_at_once(
    model: Model, tiny_model: Path, tmp_path: Path, recording: FileSource, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(tiny_model.read_bytes())
    listen_to(Intake(recording), Spotter([model, Model.load(other)]), as_json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted((event["model"], event["keyword"]) for event in events) == [
        (name, word) for name in ("other", "tones") for word in ("high", "low", "low")
    ]


def test_ctrl_c_ends_with_a_count(
    model: Model, tmp_path: Path, sound: Sound, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    listen_to(Intake(Interrupted(tmp_path / "said.wav")), Spotter(model), as_json=True)
    assert re.match(r"\d events? in 5\.6 s: low \d", capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 2), (44_100, 1), (48_000, 2)])
def test_a_microphone_hears_what_a_file_says(
    rate_hz: int, channels: int, model: Model, sound: Sound, capsys: pytest.CaptureFixture[str]
) -> None:
    there = soxr.resample(sound, 16_000, rate_hz)[:, None].repeat(channels, axis=1)
    listen_to(Microphone(there, rate_hz=rate_hz).intake, Spotter(model), as_json=True)
    out, err = capsys.readouterr()
    events, expected = [json.loads(line) for line in out.splitlines()], plain(model, sound)
    assert [event["keyword"] for event in events] == ["low", "high", "low"]
    assert max(abs(a["end_sample"] - b.end_sample) for a, b in zip(events, expected, strict=True)) <= 640
    assert err.startswith(f"listening to USB Headset at {rate_hz} Hz; Ctrl-C stops\n")


def test_a_microphone_that_fails_is_heard_again(model: Model, sound: Sound, capsys: pytest.CaptureFixture[str]) -> None:
    listen_to(Microphone(sound[:, None], sound[:, None]).intake, Spotter(model), as_json=True)
    out, err = capsys.readouterr()
    assert [json.loads(line)["keyword"] for line in out.splitlines()] == ["low", "high", "low"] * 2
    assert re.fullmatch(
        r"6 events in 11\.1 s: low 4, high 2; it failed and was opened again 1 time; \d+\.\d s are missing",
        err.splitlines()[-1],
    )


def test_sound_that_the_device_lost_is_summed_up(
    model: Model, sound: Sound, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = Microphone(sound[:, None], pcm=lambda data: Pcm(data, lost_frames=320, overflowed=True))
    listen_to(microphone.intake, Spotter(model), as_json=True)
    summary = capsys.readouterr().err.splitlines()[-1]
    assert summary.endswith("; the device lost sound 70 times; 1.4 s are missing")


def test_what_is_wrong_with_the_sound_is_said_once_and_so_is_its_end(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hiss = np.random.default_rng(1).integers(-90, 90, 4 * 16_000).astype(np.int16)
    soundfile.write(tmp_path / "muted.wav", np.concatenate([np.zeros(14 * 16_000, np.int16), hiss]), 16_000)
    listen_to(Intake(FileSource(tmp_path / "muted.wav")), Spotter(model), as_json=False)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == lines[2]
    assert lines[1] == "hark: digital silence, every sample is 0: the microphone is muted or dead"
    assert lines[3:] == ["0 events in 18.0 s"]


def test_without_portaudio_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the process that captures
    result = CliRunner().invoke(hark, ["listen", "--model", str(tiny_model)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("hark: sound devices: the PortAudio library is not installed; ")
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_microphone_of_a_sound_server_is_taken_away_and_given_back(
    sound_server: Callable[[int], Any], tiny_model: Path, say: Callable[..., Sound], tmp_path: Path
) -> None:
    wav, out, err = tmp_path / "words.wav", tmp_path / "out.jsonl", tmp_path / "err.txt"
    soundfile.write(wav, say(4.0, "low", 1.0, "high", 2.0), 16_000)
    server = sound_server(44_100)
    command = [sys.executable, "-m", "tinyhark.app", "listen", "--device", "pulse", "--json", "--model", tiny_model]
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=server.environment)

    def wait_for(ready: Callable[[], bool]) -> None:
        due_s = time.monotonic() + WAIT_S
        while not ready():
            assert process.poll() is None, err.read_text()
            assert time.monotonic() < due_s, err.read_text()
            time.sleep(0.1)

    def events() -> list[str]:
        return [json.loads(line)["keyword"] for line in out.read_text().split("\n")[:-1]]

    try:
        wait_for(lambda: "listening to pulse" in err.read_text())
        time.sleep(1)  # a sound server gives its first sound late
        server.play(wav)
        wait_for(lambda: len(events()) >= 2)
        server.stop()
        wait_for(lambda: " gives no" in err.read_text())
        server.start()
        wait_for(lambda: err.read_text().splitlines()[-1].startswith("listening to pulse"))
        server.play(wav)
        wait_for(lambda: len(events()) >= 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait(WAIT_S)
    assert events() == ["low", "high"] * 2
    assert re.match(r"4 events in .*: low 2, high 2; it failed and was opened again", err.read_text().splitlines()[-1])
