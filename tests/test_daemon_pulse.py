"""The daemon on a real sound server: a PulseAudio null sink is the microphone, taken away and given back."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from waiting import free_port

pytest.importorskip("wyoming", reason="the extra `daemon` is not installed")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.ping import Ping, Pong
from wyoming.wake import Detection

from tinyhark.app.audio.files import read_sound
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]

WAIT_S = 90
DEMO_S = 20

pytestmark = pytest.mark.slow


class Daemon:
    """The command, its events and its log as they come, in files."""

    def __init__(self, folder: Path, configuration: str, environment: dict[str, str]) -> None:
        self._folder = folder
        (folder / "hark.toml").write_text(configuration)
        with self.out.open("w") as out, self.log.open("w") as log:
            command = [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(folder / "hark.toml")]
            self.process = subprocess.Popen(command, stdout=out, stderr=log, env=environment)

    @property
    def out(self) -> Path:
        return self._folder / "out.jsonl"

    @property
    def log(self) -> Path:
        return self._folder / "log.jsonl"

    def messages(self) -> list[str]:
        return [line["message"] for line in lines(self.log)]

    def wait_for_microphone(self, times: int) -> None:
        """Until it was opened so often, and a little more: a sound server gives its first sound late."""
        self.wait_for(lambda: self.messages().count("opened") >= times)
        time.sleep(1)

    def wait_for(self, ready: Callable[[], object]) -> None:
        due_s = time.monotonic() + WAIT_S
        while not ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < due_s, self.log.read_text()
            time.sleep(0.1)


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of JSON in a file that may still be written."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


@pytest.fixture
def started(tmp_path: Path, sound_server: Callable[[int], Any]) -> Iterator[Callable[[str, int], tuple[Any, Daemon]]]:
    """`started(audio, rate_hz)`: sound server and daemon, which end with the test."""
    running: list[Daemon] = []

    def start(configuration: str, rate_hz: int) -> tuple[Any, Daemon]:
        server = sound_server(rate_hz)
        running.append(Daemon(tmp_path, configuration, server.environment))
        return server, running[-1]

    yield start
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait(WAIT_S)


SOURCES = {
    44_100: '[audio]\ndevice = "pulse"\n',
    48_000: '[audio]\nsource = "arecord"\nrate_hz = 48000\nchannels = 2\n',
}


@pytest.mark.parametrize("rate_hz", SOURCES)
def test_a_microphone_is_heard_taken_away_and_heard_again(
    rate_hz: int,
    started: Callable[[str, int], tuple[Any, Daemon]],
    say: Callable[..., Sound],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    wav, hook = tmp_path / "words.wav", tmp_path / "hook.jsonl"
    words = ["low", "high", "low"]
    soundfile.write(wav, say(4.0, "low", 1.0, "high", 1.2, "low", 2.0), 16_000)
    run = json.dumps(["sh", "-c", f"cat >> '{hook}'"])
    server, daemon = started(
        f'{SOURCES[rate_hz]}[model]\nname = "{tiny_model}"\n[stdout]\n[exec]\nrun = {{ "*" = {run} }}\n', rate_hz
    )
    daemon.wait_for_microphone(1)
    server.play(wav)
    daemon.wait_for(lambda: len(lines(daemon.out)) >= 3)
    assert "listening" in daemon.messages()

    server.stop()
    daemon.wait_for(lambda: daemon.messages()[-1].startswith("degraded: "))
    server.start()
    daemon.wait_for_microphone(2)
    server.play(wav)
    daemon.wait_for(lambda: len(lines(daemon.out)) >= 6)

    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(WAIT_S) == 0
    events = lines(daemon.out)
    assert [event["keyword"] for event in events] == words * 2
    assert sorted(map(str, lines(hook))) == sorted(map(str, events))
    samples = [event["end_sample"] for event in events]
    assert samples == sorted(samples)
    gap_s = (samples[3] - samples[2]) / 16_000
    third, fourth = (datetime.fromisoformat(event["wall_time"]) for event in events[2:4])
    assert abs(gap_s - (fourth - third).total_seconds()) < 1.0, (
        "the sample index kept to the clock while the microphone was away"
    )


class Stream:
    """Reads /events of the daemon as a browser does, and connects again."""

    def __init__(self, port: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._port = port
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self._port}/events", timeout=2 * WAIT_S) as answer:
            kind = ""
            for line in answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                kind = value if name == "event" else kind
                if name == "data" and kind == "detection":
                    self.events.append(json.loads(value))


async def by_wyoming(port: int, sound: Sound) -> list[str]:
    """What a client of the Wyoming service is told."""
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(AudioStart(16_000, 2, 1).event())
        for chunk in np.array_split(sound, 50):
            await client.write_event(AudioChunk(16_000, 2, 1, chunk.tobytes()).event())
        await client.write_event(AudioStop().event())
        await client.write_event(Ping().event())
        names = []
        while (event := await client.read_event()) and not Pong.is_type(event.type):
            names.append(Detection.from_event(event).name or "")
        return names


def test_all_outputs_at_once_while_microphone_and_broker_come_and_go(
    started: Callable[[str, int], tuple[Any, Daemon]],
    broker: Any,
    listener: Any,
    say: Callable[..., Sound],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    wav, hook = tmp_path / "words.wav", tmp_path / "hook.jsonl"
    sound = say(4.0, "low", 1.0, "high", 1.2, "low", 2.0)
    soundfile.write(wav, sound, 16_000)
    run, http, wyoming = json.dumps(["sh", "-c", f"cat >> '{hook}'"]), free_port(), free_port()
    server, daemon = started(
        f'''{SOURCES[48_000]}
        [model]
        name = "{tiny_model}"
        [stdout]
        [exec]
        run = {{ "*" = {run} }}
        [mqtt]
        port = {broker.port}
        [http]
        port = {http}
        [wyoming]
        uri = "tcp://127.0.0.1:{wyoming}"
        ''',
        48_000,
    )
    daemon.wait_for_microphone(1)
    stream = Stream(http)
    published = "tinyhark/event/"

    def heard(times: int) -> bool:
        by_mqtt = [topic for topic, _ in listener.heard if topic.startswith(published)]
        counts = (len(lines(daemon.out)), len(lines(hook)), len(by_mqtt), len(stream.events))
        return min(counts) >= 3 * times

    server.play(wav)
    daemon.wait_for(lambda: heard(1))
    assert asyncio.run(by_wyoming(wyoming, sound)) == ["low", "high", "low"]

    broker.kill()
    server.play(wav)  # nobody to publish it to
    daemon.wait_for(lambda: len(lines(daemon.out)) >= 6)
    broker.start()
    daemon.wait_for(lambda: heard(2))

    server.stop()
    daemon.wait_for(lambda: daemon.messages()[-1].startswith("degraded: "))
    with pytest.raises(HTTPError, match="503"):
        urlopen(f"http://127.0.0.1:{http}/health", timeout=WAIT_S)
    assert asyncio.run(by_wyoming(wyoming, sound)) == ["low", "high", "low"], "others are served without a microphone"
    server.start()
    daemon.wait_for_microphone(2)
    server.play(wav)
    daemon.wait_for(lambda: heard(3))

    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(WAIT_S) == 0
    words = ["low", "high", "low"] * 3
    events = lines(daemon.out)
    assert [event["keyword"] for event in events] == words
    assert stream.events == events
    assert sorted(map(str, lines(hook))) == sorted(map(str, events))
    by_mqtt = {payload: json.loads(payload) for topic, payload in listener.heard if topic.startswith(published)}
    assert [{k: v for k, v in one.items() if k != "event_type"} for one in by_mqtt.values()] == events


def test_the_words_of_the_demo_are_heard(started: Callable[[str, int], tuple[Any, Daemon]], tmp_path: Path) -> None:
    demo = read_sound(Path(__file__).parents[1] / "app" / "demo" / "demo.opus", DEMO_S * 16_000)
    sound = np.concatenate([np.random.default_rng(1).integers(-20, 20, 32_000).astype(np.int16), demo])
    soundfile.write(tmp_path / "demo.wav", sound, 16_000)
    plain = [detection.keyword for detection in Spotter().feed(sound)]
    server, daemon = started(f"{SOURCES[44_100]}[stdout]\n", 44_100)
    daemon.wait_for_microphone(1)
    server.play(tmp_path / "demo.wav")
    assert len(plain) >= 4

    def heard() -> bool:
        """All of them, in order; a resampler more or less may bring or cost a score at the threshold."""
        words = iter(event["keyword"] for event in lines(daemon.out))
        return all(word in words for word in plain)

    daemon.wait_for(heard)
