"""The daemon's loop: events out, a new configuration without a word lost, state, what systemd is told."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.daemon.counters import Counters, DayCounts, Histogram
from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.event import Event, State
from tinyhark.app.daemon.hearing import Hearing
from tinyhark.app.daemon.logs import JsonFormatter
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.output import Output
from tinyhark.app.daemon.setup import Setup, set_up
from tinyhark.app.errors import HarkError
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]

WAIT_S = 120
NOBODY = Notifier({})


class Collects(Output):
    """Keeps what it is given, and calls `at` after that many events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.states: list[State] = []
        self.calls: list[str] = []
        self.at: dict[int, Callable[[], None]] = {}

    def start(self) -> None:
        self.calls.append("start")

    def event(self, event: Event) -> None:
        self.events.append(event)
        if action := self.at.get(len(self.events)):
            action()

    def state(self, state: State) -> None:
        self.states.append(state)

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def sound(say: Callable[..., Sound]) -> Sound:
    return say(1.5, "low", 1.0, "high", 1.2, "low", 1.6, "high", 1.0, "low", 1.0)


@pytest.fixture
def write(tmp_path: Path, tiny_model: Path, sound: Sound) -> Callable[..., Path]:
    """`write(detection="...")`: a configuration that hears the tones in a file."""

    def make(more: str = "", name: str = "a.wav") -> Path:
        if not (tmp_path / name).exists():  # a daemon may be reading it
            soundfile.write(tmp_path / name, sound, 16_000)
        path = tmp_path / "hark.toml"
        path.write_text(f'[audio]\nsource = "file"\npath = "{name}"\n[model]\nname = "{tiny_model}"\n{more}')
        return path

    return make


def heard(path: Path, **times: Callable[[], datetime]) -> tuple[Daemon, Collects]:
    """A daemon that ran to the end of its sound, and what it told."""
    setup = set_up(path)
    setup.outputs["all"] = collects = Collects()
    daemon = Daemon(setup, lambda: set_up(path), NOBODY, **times)
    daemon.run()
    return daemon, collects


def test_the_daemon_hears_what_the_spotter_hears(write: Callable[..., Path], sound: Sound, tiny_model: Path) -> None:
    spotter = Spotter(tiny_model)
    plain = spotter.feed(sound) + spotter.finish()
    daemon, collects = heard(write())
    assert [event.detection for event in collects.events] == plain
    assert [d.keyword for d in plain] == ["low", "high", "low", "high", "low"]
    assert daemon.counters.events == {"low": 3, "high": 2}
    assert daemon.counters.heard_samples == len(sound)
    assert sum(daemon.counters.inference_s.counts) == -(-len(sound) // 3200)
    assert collects.states == [State("listening")]
    assert collects.calls == ["start", "stop"]


def test_an_event_has_the_time_of_its_last_sample(write: Callable[..., Path]) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    _, collects = heard(write(), now=lambda: now)
    for event in collects.events:
        assert timedelta(0) <= now - event.wall_time <= timedelta(seconds=1.4)  # what waits, and two blocks
        line = json.loads(event.to_json())
        assert datetime.fromisoformat(line["wall_time"]) - event.wall_time < timedelta(milliseconds=1)
        assert line["time_s"] == pytest.approx(event.detection.time_s, abs=1e-4)


def test_a_clock_that_is_set_changes_nothing_but_the_times_after(write: Callable[..., Path]) -> None:
    times = iter([datetime(1970, 1, 1, tzinfo=UTC)] * 20)
    daemon, collects = heard(write(), now=lambda: next(times, datetime(2026, 3, 1, tzinfo=UTC)))
    assert len(collects.events) == 5
    assert daemon._today.day == date(2026, 3, 1)


def test_a_new_spotter_takes_over_within_a_word(sound: Sound, tiny_model: Path) -> None:
    plain = Spotter(tiny_model).feed(sound)
    for at in range(16_000, len(sound), 15_013):  # wherever it comes, also within a word
        hearing = Hearing(Spotter(tiny_model), Histogram())
        out = []
        for first in range(0, len(sound), 1280):
            if first <= at < first + 1280:
                hearing.replace(Spotter(tiny_model))
            out += [d for _, d in hearing.trace(sound[first : first + 1280]) if d]
        assert out == plain, at


def test_a_new_configuration_is_taken_without_losing_a_word(write: Callable[..., Path]) -> None:
    path = write("[stdout]")
    setup = set_up(path)
    setup.outputs["stdout"] = collects = Collects()

    def load() -> Setup:
        path.write_text(path.read_text().replace("[stdout]", 'keywords = ["low"]\n[stdout]'))
        return set_up(path)

    daemon = Daemon(setup, load, NOBODY)
    collects.at = {1: daemon.reload, 2: lambda: wait_for_the_new(daemon)}
    daemon.run()
    words = [event.detection.keyword for event in collects.events]
    assert words in (["low", "high", "low", "low"], ["low", "low", "low"]), "the second word may find it loaded already"
    assert daemon.counters.reloads == 1
    assert daemon.counters.lost_samples == 0
    ends = [event.detection.end_sample for event in collects.events]
    assert ends == sorted(ends), "time goes on"


def test_an_output_is_replaced_where_a_section_that_it_depends_on_is_another(write: Callable[..., Path]) -> None:
    setup = set_up(write("[stdout]"))
    setup.outputs["stdout"] = old = Collects()
    old.sections, new = ("detection",), Collects()

    def load() -> Setup:
        changed = set_up(write("[detection]\ngate = true\n[stdout]"))
        changed.outputs["stdout"] = new
        return changed

    daemon = Daemon(setup, load, NOBODY)
    old.at = {1: daemon.reload, 2: lambda: wait_for_the_new(daemon)}
    daemon.run()
    assert old.calls == new.calls == ["start", "stop"]


def test_a_bad_configuration_changes_nothing(write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    path = write()
    setup = set_up(path)
    setup.outputs["all"] = collects = Collects()

    def load() -> Setup:
        raise HarkError("hark.toml: there is no section 'audoi'; did you mean audio?")

    daemon = Daemon(setup, load, NOBODY)
    collects.at = {1: daemon.reload}
    daemon.run()
    assert len(collects.events) == 5
    assert "the old configuration stays: hark.toml: there is no section 'audoi'; did you mean audio?" in caplog.messages


def test_another_source_is_opened_and_unchanged_outputs_stay(write: Callable[..., Path]) -> None:
    hook = '[exec]\nrun = { "*" = ["true"] }'
    setup = set_up(write(f"[stdout]\n{hook}"))
    kept, dropped, added = Collects(), Collects(), Collects()
    setup.outputs = {"stdout": kept, "exec": dropped}

    def load() -> Setup:
        new = set_up(write(f"[stdout]\n{hook}\nat_most = 2", name="b.wav"))
        new.outputs = {"stdout": Collects(), "exec": added}
        return new

    daemon = Daemon(setup, load, NOBODY)
    kept.at = {1: daemon.reload, 2: lambda: wait_for_the_new(daemon)}
    daemon.run()
    assert kept.calls == dropped.calls == added.calls == ["start", "stop"]
    assert [event.detection.keyword for event in added.events] == ["low", "high", "low", "high", "low"]
    assert kept.events == dropped.events + added.events
    assert added.states[0] == State("listening"), "who comes later is told how things stand"


def wait_for_the_new(daemon: Daemon) -> None:
    """Wait until the new configuration is loaded; it is taken over after the block, or was already."""
    due_s = time.monotonic() + WAIT_S
    while not (daemon._loaded or daemon._following or daemon.counters.reloads):
        assert time.monotonic() < due_s
        time.sleep(0.01)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(write: Callable[..., Path], tmp_path: Path, abstract: bool) -> None:
    name = f"tinyhark-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name if abstract else name)
        sock.settimeout(WAIT_S)
        environment = {"NOTIFY_SOCKET": "@" + name if abstract else name, "WATCHDOG_USEC": "1"}
        setup = set_up(write())
        told: list[str] = []
        reader = threading.Thread(target=lambda: told.extend(received(sock)))
        reader.start()
        Daemon(setup, lambda: setup, Notifier(environment)).run()
        reader.join(WAIT_S)
    assert told.count("READY=1") == 1
    assert told.count("WATCHDOG=1") > 40, "after each block"
    assert told[-1] == "STOPPING=1"
    status = [line for line in told if line.startswith("STATUS=")]
    assert status[0].endswith("a.wav; today: no events")
    assert status[-1].endswith("a.wav; today: low 3, high 2")


def received(sock: socket.socket) -> Iterator[str]:
    """What comes, to the end of the service or of the patience."""
    while True:
        try:
            message = sock.recv(4096).decode()
        except BlockingIOError:
            return
        yield message
        if message == "STOPPING=1":
            return


def test_a_watchdog_of_another_process_is_not_fed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
        Notifier(environment).alive()
        assert list(received(sock)) == []
        del environment["WATCHDOG_PID"]
        Notifier(environment).alive()
        assert list(received(sock)) == ["WATCHDOG=1"]
    Notifier(environment).ready()  # nobody is there; that harms nothing


def test_a_day_is_counted_by_keyword() -> None:
    days = DayCounts(date(2026, 3, 1))
    for keyword in ("on", "off", "on"):
        days.add(keyword)
    assert days.roll(datetime(2026, 3, 1, 23, 59)) is None
    over = days.roll(datetime(2026, 3, 2, 0, 0))
    assert over == (date(2026, 3, 1), {"on": 2, "off": 1})
    assert (days.day, dict(days.counts)) == (date(2026, 3, 2), {})


def test_a_histogram_counts_by_upper_bounds() -> None:
    histogram = Counters().inference_s
    for value in (0.0001, 0.0005, 0.003, 7.0):
        histogram.add(value)
    assert histogram.counts == [2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert histogram.total == pytest.approx(7.0036)


def test_a_record_is_a_line_of_json() -> None:
    record = logging.makeLogRecord({"levelname": "WARNING", "msg": "a %s\nb", "args": ("ü",), "facts": {"lost_s": 1.5}})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    assert datetime.fromisoformat(read.pop("time")).tzinfo is not None
    assert read == {"level": "warning", "message": "a ü\nb", "lost_s": 1.5}


def test_the_command_hears_reloads_and_stops(tmp_path: Path, tiny_model: Path, sound: Sound) -> None:
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\n[stdout]')
    with subprocess.Popen(
        [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(sound[:40_000].tobytes())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["keyword"] == "low"
        assert json.loads(process.stderr.readline())["message"] == "opened"
        assert json.loads(process.stderr.readline())["message"] == "listening"
        process.send_signal(signal.SIGHUP)
        assert json.loads(process.stderr.readline())["message"] == "the configuration was read again"
        process.stdin.write(sound[40_000:80_000].tobytes())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["keyword"] == "high"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        last = json.loads(process.stderr.read().splitlines()[-1])
        assert last["message"] == "stopped"
        assert last["events"]["high"] == 1
