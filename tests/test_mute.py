"""Muting: no event leaves, time goes on, and what was said meanwhile never fires."""

import fcntl
import json
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from waiting import until

from tinyhark.app.daemon.counters import Histogram
from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.event import Event
from tinyhark.app.daemon.hearing import Hearing
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.output import Output
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]
BLOCK = 1280


def test_what_is_said_while_muted_does_not_fire(say: Callable[..., Sound], tiny_model: Path) -> None:
    sound = say(1.5, "low", 1.5, "high", 1.5, "low", 1.5)
    plain = Spotter(tiny_model).feed(sound)
    assert [d.keyword for d in plain] == ["low", "high", "low"]
    high = plain[1].end_sample
    for unmuted in range(high - 16_000, high + 16_000, 3_200):  # also within the word
        hearing = Hearing(Spotter(tiny_model), Histogram())
        heard = []
        for first in range(0, len(sound), BLOCK):
            if first >= unmuted and hearing._deaf_until == np.inf:
                hearing.unmute(max(0, high - first))  # what waits was said while muted, too
            elif high - 24_000 <= first < high - 24_000 + BLOCK:
                hearing.mute()
            heard += [d for _, d in hearing.trace(sound[first : first + BLOCK]) if d]
        assert [d.keyword for d in heard if d.end_sample < high] == ["low"]
        assert heard[-1].keyword == "low"
        assert abs(heard[-1].end_sample - plain[2].end_sample) <= 640, "time went on"
        assert hearing.position_samples == len(sound)


class Told(Output):
    """Keeps what it is told; mutes after the first event."""

    def __init__(self, after_first: Callable[[], None]) -> None:
        self.events: list[Event] = []
        self.mutes: list[bool] = []
        self._after_first = after_first

    def event(self, event: Event) -> None:
        self.events.append(event)
        self._after_first()

    def muted(self, is_muted: bool) -> None:
        self.mutes.append(is_muted)


def test_a_muted_daemon_counts_sound_and_tells_no_event(
    say: Callable[..., Sound], tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound = say(1.5, "low", 1.5, "high", 1.5, "low", 1.5)
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "file"\npath = "a.wav"\n[model]\nname = "{tiny_model}"\n')
    caplog.set_level("INFO")
    setup = set_up(path)
    setup.outputs["told"] = told = Told(setup.control.toggle)
    daemon = Daemon(setup, lambda: setup, Notifier({}))
    daemon.run()
    assert [event.detection.keyword for event in told.events] == ["low"]
    assert told.mutes == [True]
    assert daemon.counters.events == {"low": 1}
    assert daemon.counters.heard_samples == len(sound)
    assert daemon._status().startswith("muted, ")
    assert "muted" in caplog.messages


def test_a_signal_mutes_and_unmutes_the_command(say: Callable[..., Sound], tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\n[stdout]')
    command = [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(say(1.0, "low", 1.0).tobytes())
        assert json.loads(process.stdout.readline())["keyword"] == "low"
        for word, said in (("high", "muted"), ("low", "unmuted")):
            process.send_signal(signal.SIGUSR1)
            while json.loads(process.stderr.readline())["message"] != said:
                pass
            # The daemon may have taken three seconds of the pipe that it has not heard yet.
            process.stdin.write(say(1.0, word, 4.0).tobytes())
            until(lambda: not any(fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))))
        assert json.loads(process.stdout.readline())["keyword"] == "low", "high was said while it was muted"
        assert process.communicate()[0] == b""
        assert process.returncode == 0
