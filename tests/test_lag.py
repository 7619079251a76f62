"""How old sound is: what grew too old while it waited anywhere is dropped, and no event comes of it."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from waiting import until

from tinyhark.app.audio.backlog import NO_SOUND, Backlog
from tinyhark.app.audio.intake import Intake
from tinyhark.app.audio.loss_clock import LossClock
from tinyhark.app.audio.source import Pcm
from tinyhark.app.audio.timing import LATE_S, clock_s
from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.live import Block
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]

RATE_HZ = 16_000
BLOCK = 2560
BLOCK_S = BLOCK / RATE_HZ


def ages_s(reads: list[tuple[float, float]]) -> list[float]:
    """How old the last frame of each block is, by the clock; each read: when, and how many blocks waited behind it."""
    clock = LossClock(RATE_HZ)
    ages = []
    for now_s, waiting in reads:
        clock.lost_frames(now_s, BLOCK, round(waiting * BLOCK), overflowed=False)
        ages.append(round(now_s - clock.heard_s, 3))
    return ages


def on_time(count: int, first: int = 1) -> list[tuple[float, float]]:
    return [(BLOCK_S * n, 0.0) for n in range(first, first + count)]


def test_sound_that_is_waited_for_is_new() -> None:
    assert max(ages_s(on_time(50))) == 0
    late = [(now_s + (0.1 if n % 3 else 0), 0.0) for n, (now_s, _) in enumerate(on_time(50))]
    assert set(ages_s(late)[10:]) == {0.0, 0.1}, "a read that is late finds sound that is a little older"


def test_what_waited_while_its_reader_was_stopped_is_old() -> None:
    stopped_s = 30 * BLOCK_S  # then all that came meanwhile is read at once
    reads = [*on_time(20), *[(20 * BLOCK_S + stopped_s, 29.0 - n) for n in range(30)], *on_time(9, 51)]
    ages = ages_s(reads)
    np.testing.assert_allclose(ages[20:50], [BLOCK_S * (29 - n) for n in range(30)], atol=0.01)
    assert max(ages[50:]) < 0.01


def test_sound_that_goes_on_after_a_pause_is_new_from_the_second_block_on() -> None:
    ages = ages_s([*on_time(20), *[(now_s + 3.0, 0.0) for now_s, _ in on_time(20, 21)]])
    assert ages[20] == pytest.approx(3.0, abs=0.01)
    assert max(ages[21:]) < 0.05


def test_a_first_read_that_was_late_makes_nothing_younger_for_long() -> None:
    stopped = [(now_s + 1.0, 5.0) for now_s, _ in on_time(1, 42)]
    ages = ages_s([(BLOCK_S + 0.5, 0.0), *on_time(40, 2), *stopped])
    assert ages[-1] == pytest.approx(1.0, abs=0.02)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.floats(0, 1.5), st.integers(0, 3), st.floats(0, 1.2)), max_size=30))
def test_no_block_is_given_that_is_too_old_and_no_time_is_lost(steps: list[tuple[float, int, float]]) -> None:
    clock = Clock()
    backlog = Backlog(drops=True, clock=clock)
    put = got = 0

    def take() -> bool:
        nonlocal got
        block = backlog.get(0)
        assert block is not None
        assert block is NO_SOUND or clock.now_s - block.heard_s <= LATE_S
        got += len(block.samples) + block.lost_samples
        return block is not NO_SOUND

    for age_s, takes, took_s in steps:
        backlog.put(Block(np.zeros(BLOCK, np.int16), heard_s=clock.now_s - age_s))
        put += BLOCK
        for _ in range(takes):
            take()
            clock.now_s += took_s
    backlog.put(Block(np.zeros(BLOCK, np.int16), heard_s=clock.now_s))
    while take():
        pass
    assert got == put + BLOCK
    assert backlog.waiting_samples == 0


def test_time_that_blocks_take_is_reckoned_with() -> None:
    clock = Clock()
    backlog = Backlog(drops=True, clock=clock)
    given_s = []
    for n in range(60):  # each takes 0.6 s, so that sound comes four times too quick
        heard_s = 100.0 + BLOCK_S * n
        clock.now_s = max(clock.now_s, heard_s)
        backlog.put(Block(np.zeros(BLOCK, np.int16), heard_s=heard_s))
        if clock.now_s - heard_s < BLOCK_S and (block := backlog.get(0)) and len(block.samples):
            clock.now_s += 0.6
            given_s.append(clock.now_s - block.heard_s)
    assert len(given_s) > 10
    assert max(given_s[2:]) <= LATE_S, "the first two teach it"
    assert backlog.dropped_samples > 30 * BLOCK


class Held:
    """A microphone with sound of five seconds ago, then of now."""

    live, name, rate_hz, channels = True, "Mic", 48_000, 1

    def __init__(self) -> None:
        ages = [5.0 - 0.16 * n for n in range(10)] + [0.0] * 3
        self._reads = iter([Pcm(np.ones((7680, 1), np.int16), heard_s=clock_s() - age_s) for age_s in ages])

    def open(self) -> "Held":
        return self

    def read(self) -> Pcm | None:
        return next(self._reads, None)

    def close(self) -> None:
        pass


def test_sound_that_is_old_when_it_is_fetched_is_dropped_and_counted() -> None:
    with Intake(Held()) as intake:
        blocks = [block for block in intake.blocks() if len(block.samples)]
        assert intake.dropped_samples == 10 * BLOCK
        assert intake.counts.lost_samples == 0
        assert intake.counts.heard_samples == sum(len(block.samples) for block in blocks)
    assert [block.lost_samples for block in blocks if block.lost_samples] == [10 * BLOCK]
    assert abs(intake.counts.heard_samples - 3 * BLOCK) <= 3


@pytest.fixture
def served(tmp_path: Path, tiny_model: Path) -> Iterator[Callable[[Sound], tuple[Path, list[float]]]]:
    """`served(sound)`: a configuration that hears it in real time, and the time when it began (monotonic)."""
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def send(sound: Sound, began_s: list[float]) -> None:
        with server, server.accept()[0] as peer, suppress(OSError):  # the daemon ends before its sound does
            began_s.append(time.monotonic())
            for first in range(0, len(sound), 1280):
                block = sound[first : first + 1280]
                time.sleep(max(0.0, began_s[0] + (first + len(block)) / RATE_HZ - time.monotonic()))
                peer.sendall(block.tobytes())
            ended.wait()

    def serve(sound: Sound) -> tuple[Path, list[float]]:
        began_s: list[float] = []
        threading.Thread(target=send, args=(sound, began_s), daemon=True).start()
        path, address = tmp_path / "hark.toml", f"127.0.0.1:{server.getsockname()[1]}"
        path.write_text(f'[audio]\nsource = "tcp"\naddress = "{address}"\n[model]\nname = "{tiny_model}"\n[stdout]')
        return path, began_s

    yield serve
    ended.set()


class Sleeper(Spotter):
    """Is stopped for a second just when it hears something."""

    def trace(self, chunk: Sound) -> Iterator[Any]:
        """As a spotter."""
        for step, detection in super().trace(chunk):
            if detection:
                time.sleep(1.0)
            yield step, detection


def test_an_event_that_comes_too_late_is_not_told(
    served: Callable[[Sound], tuple[Path, list[float]]],
    say: Callable[..., Sound],
    tiny_model: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = set_up(served(say(0.5, "low", 0.6))[0])
    setup.spotter = Sleeper(tiny_model)
    daemon = Daemon(setup, lambda: setup, Notifier({}))
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    until(lambda: "an event came too late" in caplog.messages)
    daemon.stop()
    thread.join(60)
    assert daemon.counters.events == {}
    (record,) = [record for record in caplog.records if record.getMessage() == "an event came too late"]
    assert record.__dict__["facts"]["keyword"] == "low"
    assert 1.0 <= record.__dict__["facts"]["late_s"] < 60


@pytest.mark.slow
def test_a_daemon_that_was_stopped_tells_nothing_of_long_ago(
    served: Callable[[Sound], tuple[Path, list[float]]], say: Callable[..., Sound]
) -> None:
    # Stopped within each of the first words, so that the sound which completes it waits in the socket meanwhile.
    path, began_s = served(say(1.0, *["low", 2.6] * 5))
    stops_s = [1.0 + 3.0 * n + 0.15 + 0.05 * n for n in range(4)]
    command = [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(path)]
    events: list[tuple[float, float]] = []  # how long after its last sample, and when that was
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        assert process.stderr

        def read(lines: Any) -> None:
            for line in lines:
                event = json.loads(line)
                events.append((time.monotonic() - began_s[0] - event["time_s"], event["time_s"]))

        reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
        reader.start()
        until(lambda: began_s)
        signals = [one for at_s in stops_s for one in ((at_s, signal.SIGSTOP), (at_s + 1.7, signal.SIGCONT))]
        for at_s, number in [*signals, (15.5, signal.SIGTERM)]:
            time.sleep(max(0.0, began_s[0] + at_s - time.monotonic()))
            process.send_signal(number)
        log = [json.loads(line) for line in process.stderr]
        reader.join(60)
    assert max(delay_s for delay_s, _ in events) < 1
    assert events[-1][1] > 13.0, "the last word, within which it was not stopped"
    (lost,) = [line for line in log if line["message"] == "sound was lost"]
    assert lost["dropped_s_in_all"] > 0.5
