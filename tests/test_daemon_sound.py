"""Sound around a detection, for programs and as feedback; the tone on wake."""

import io
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from waiting import until

from tinyhark.app.daemon import config as c
from tinyhark.app.daemon.chime import Chime
from tinyhark.app.daemon.chime_player import play, tone
from tinyhark.app.daemon.control import Control
from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.event import Event
from tinyhark.app.daemon.feedback import Feedback
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.recent import Recent
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.detection import Detection
from tinyhark.app.evaluation.scenario import Scenario

Sound = NDArray[np.int16]
WAIT_S = 60
BLOCK = 640
RAMP = np.arange(16_000, dtype=np.int16)


def fed(recent: Recent, sound: Sound, origin: int = 0) -> None:
    for first in range(0, len(sound), BLOCK):
        block = sound[first : first + BLOCK]
        recent.feed(block, origin + first + len(block))


def test_sound_is_what_it_was_and_silence_where_there_is_none() -> None:
    recent = Recent()
    recent.wanted = True
    fed(recent, RAMP[:3200])
    fed(recent, RAMP[6400:9600], 6400)  # what lay between was lost
    whole = np.concatenate(list(recent.read(-100, 9000)))
    expected = np.concatenate([np.zeros(100, np.int16), RAMP[:9000]])
    expected[3300:6500] = 0
    assert np.array_equal(whole, expected)


def test_sound_that_is_still_to_come_is_waited_for() -> None:
    recent = Recent()
    recent.wanted = True
    fed(recent, RAMP[:1280])
    read: list[Sound] = []
    reader = threading.Thread(target=lambda: read.extend(recent.read(640, 4000)))
    reader.start()
    fed(recent, RAMP[1280:6400], 1280)
    reader.join(WAIT_S)
    assert np.array_equal(np.concatenate(read), RAMP[640:4000])


def test_a_stream_that_begins_again_ends_the_old_one() -> None:
    recent = Recent()
    recent.wanted = True
    fed(recent, RAMP[:6400])
    rest = recent.read(3200, 9600)
    first = next(rest)
    fed(recent, RAMP[9600:12_800])
    assert not np.concatenate(list(rest)).any()
    assert first[0] == RAMP[3200]


def test_only_the_last_half_minute_is_kept_and_nothing_where_nobody_wants_it() -> None:
    recent = Recent()
    recent.wanted = True
    for second in range(100):
        recent.feed(np.ones(16_000, np.int16), (second + 1) * 16_000)
    assert sum(len(block) for _, block in recent._blocks) <= 31 * 16_000
    recent.wanted = False
    recent.feed(np.ones(640, np.int16), 101 * 16_000)
    assert not recent._blocks


@pytest.fixture
def configured(say: Callable[..., Sound], tiny_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    """`configured(sections)`: a configuration that hears two words in a file."""

    def make(sections: str) -> Path:
        soundfile.write(tmp_path / "a.wav", say(1.5, "low", 1.5, "high", 2.5), 16_000)
        path = tmp_path / "hark.toml"
        path.write_text(f'[audio]\nsource = "file"\npath = "a.wav"\n[model]\nname = "{tiny_model}"\n{sections}')
        return path

    return make


def test_a_program_reads_the_sound_around_its_word(configured: Callable[[str], Path], tmp_path: Path) -> None:
    run = f'["sh", "-c", "cd {tmp_path}; cat $HARK_SOUND > part; mv part heard.wav"]'
    setup = set_up(configured(f"[exec.run]\nlow = {run}\n[preroll]\nbefore_s = 1\nafter_s = 0.5\n"))
    hook = setup.outputs["exec"]
    ends: list[int] = []
    tell = hook.event
    hook.event = lambda event: (ends.append(event.detection.end_sample), tell(event))[1]  # type: ignore[method-assign]
    hook.stop = lambda: None  # type: ignore[method-assign]  # the sound ends before the program does
    Daemon(setup, lambda: setup, Notifier({})).run()
    until((tmp_path / "heard.wav").exists)
    sound, rate_hz = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    whole, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate_hz == 16_000
    assert np.array_equal(sound, whole[ends[0] - 16_000 : ends[0] + 8_000])


def test_without_the_section_there_is_no_sound() -> None:
    control = Control()
    control.settle(c.Config())
    assert control.sound_of(Detection("on", 0.5, 0, 16_000, "tones")) is None
    assert not control.recent.wanted


@pytest.fixture
def control() -> Control:
    one = Control()
    one.settle(c.Config(feedback=c.Feedback(folder="x")))
    fed(one.recent, RAMP)
    return one


@pytest.fixture
def feedback(control: Control, tmp_path: Path) -> Iterator[Feedback]:
    one = Feedback(tmp_path / "false", 1.0, 70_000, control)
    one.start()
    yield one
    one.stop()


def event_at(seconds: int, keyword: str = "on") -> Event:
    time = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return Event(Detection(keyword, 0.7, 0, 8000, "tones"), time)


def test_a_false_wake_is_kept_for_hark_tune(feedback: Feedback, control: Control, tmp_path: Path) -> None:
    feedback.event(event_at(0, "../hey you"))
    assert control.false_wake()
    until(lambda: list(tmp_path.glob("false/*.wav")))
    (path,) = (tmp_path / "false").iterdir()
    assert path.name == "false-wake-20260301T000000000-___hey_you.wav"
    assert path.stat().st_mode & 0o777 == 0o600
    with wave.open(io.BytesIO(path.read_bytes())) as file:  # type: ignore[arg-type]
        assert np.array_equal(np.frombuffer(file.readframes(20_000), "<i2"), RAMP)
    (stream,) = Scenario(negatives=(tmp_path / "false",)).streams(["on"])
    assert stream.is_life


def test_the_oldest_of_its_own_files_make_room(feedback: Feedback, control: Control, tmp_path: Path) -> None:
    folder = tmp_path / "false"
    folder.mkdir()
    (folder / "mine.wav").write_bytes(b"x" * 100_000)
    for second in range(4):  # two of 32 kB fit
        feedback.event(event_at(second))
        control.false_wake()
    until(lambda: (folder / "false-wake-20260301T000003000-on.wav").exists())
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == ["false-wake-20260301T000002000-on.wav", "false-wake-20260301T000003000-on.wav", "mine.wav"]


def test_without_a_detection_nothing_is_kept(
    feedback: Feedback, control: Control, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control.false_wake()
    until(lambda: "there was no detection" in caplog.text)
    assert not (tmp_path / "false").exists()
    feedback.stop()
    assert not control.false_wake()


def test_a_folder_that_cannot_be_written_is_one_line(
    control: Control, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    feedback = Feedback(tmp_path / "file" / "folder", 1.0, 70_000, control)
    feedback.start()
    feedback.event(event_at(0))
    control.false_wake()
    until(lambda: "cannot be written" in caplog.text)
    feedback.stop()


def test_the_tone_is_short_and_begins_and_ends_in_silence() -> None:
    samples = np.array(tone())
    assert 0.1 < len(samples) / 48_000 < 0.3
    assert max(abs(samples[:3])) < 50 > max(abs(samples[-3:]))
    assert 5000 < max(samples) < 20_000


class Portaudio:
    """A device that takes everything, or an error."""

    class PortAudioError(Exception):
        pass

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.written = error, b""

    def RawOutputStream(self, **_: object) -> "Portaudio":  # noqa: N802
        if self.error:
            raise self.error
        return self

    def __enter__(self) -> "Portaudio":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written += data


def test_it_is_played_or_says_why_not() -> None:
    device = Portaudio()
    assert play(device, None) == "played"
    assert device.written == tone().tobytes()
    assert play(Portaudio(Portaudio.PortAudioError("Device\nunavailable")), None) == "Device unavailable"
    assert play(Portaudio(ValueError("No output device matching 'x'")), "x") == "No output device matching 'x'"


def test_a_tone_that_cannot_be_played_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    chime = Chime("no such device at all")
    chime.start()
    for _ in range(3):
        chime.event(event_at(0))
        until(chime._asked.empty)
        until(lambda: chime._failed)
    chime.stop()
    assert len([line for line in caplog.messages if line.startswith("chime: cannot be played: ")]) == 1


NO_EXECUTABLE_MEMORY = """
import ctypes, runpy, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, as systemd's MemoryDenyWriteExecute
    sys.exit(77)
sys.argv[1:] = []
runpy.run_module("tinyhark.app.daemon.chime_player", run_name="__main__")
"""


@pytest.mark.slow
def test_it_plays_where_no_memory_is_executable(sound_server: Callable[[int], "object"]) -> None:
    environment: dict[str, str] = sound_server(48_000).environment  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", NO_EXECUTABLE_MEMORY],
        input=b"\n\n",
        capture_output=True,
        env=os.environ | environment,
        timeout=WAIT_S,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert done.stdout == b"played\nplayed\n", done.stderr
