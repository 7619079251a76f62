"""The live run: pacing, lost sound, and that watching changes no detection and a stopped terminal holds up nothing."""

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from tinyhark.app.detection import Detection
from tinyhark.app.live import Block, Playback, Watcher, run
from tinyhark.app.live_state import LiveState
from tinyhark.app.live_view import LiveView
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.app.usage import ProcessUsage, resident_mb
from tinyhark.app.watchers import LiveTerminal, can_show_live
from tinyhark.dsp.decision import Step

Sound = NDArray[np.int16]


class FakeClock:
    """A clock that goes on by sleeping, which always takes a little too long, and by working."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.0007


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.3)


def blocks_of(sound: Sound, size: int = 640) -> list[Sound]:
    return [sound[first : first + size] for first in range(0, len(sound), size)]


def test_a_paced_playback_never_drifts() -> None:
    clock = FakeClock()
    playback = Playback([np.zeros(640, np.int16)] * 500, paced=True, clock=clock, sleep=clock.sleep)
    for count, _ in enumerate(playback.blocks(), 1):
        assert 0 <= clock.now - (100.0 + count * 0.04) < 0.001
        clock.now += 0.013
        assert 0.012 < playback.lag_s() < 0.015
    assert playback.samples == 320_000


def test_a_playback_that_was_held_up_catches_up() -> None:
    clock = FakeClock()
    playback = Playback([np.zeros(640, np.int16)] * 20, paced=True, clock=clock, sleep=clock.sleep)
    for count, _ in enumerate(playback.blocks(), 1):
        clock.now += 0.2 if count == 5 else 0.001
    assert playback.lag_s() == pytest.approx(0.001, abs=0.001)


def test_a_playback_that_is_not_paced_waits_for_nothing() -> None:
    clock = FakeClock()
    played: list[Sound] = []
    playback = Playback(blocks_of(np.arange(2000, dtype=np.int16)), paced=False, play=played.append, clock=clock)
    assert [len(block.samples) for block in playback.blocks()] == [640, 640, 640, 80]
    assert (clock.now, playback.lag_s()) == (100.0, 0.0)
    np.testing.assert_array_equal(np.concatenate(played), np.arange(2000))


def test_paced_and_at_once_and_watched_and_plain_give_the_same_detections(model: Model, sound: Sound) -> None:
    plain = Spotter(model).feed(sound)
    heard = []
    for paced, watched in ((False, False), (True, False), (False, True), (True, True)):
        clock = FakeClock()
        playback = Playback(blocks_of(sound), paced=paced, clock=clock, sleep=clock.sleep)
        spotter = Spotter(model)
        watcher = terminal(spotter, io.StringIO()) if watched else Watcher()
        with watcher:
            heard.append(list(run(spotter, playback, watcher)))
    assert [d.keyword for d in plain] == ["low", "high", "low"]
    assert heard == [plain] * 4


def terminal(spotter: Spotter, file: io.StringIO) -> LiveTerminal:
    state = LiveState(spotter.keywords, [parameters.threshold for parameters in spotter.parameters])
    console = Console(file=file, force_terminal=True, width=80, height=24)
    return LiveTerminal(LiveView(state, spotter.model.name, lambda: "test"), console)


def test_a_terminal_that_is_stopped_does_not_hold_up_the_sound(model: Model, sound: Sound) -> None:
    stopped, released = threading.Event(), threading.Event()

    class Stopped(io.StringIO):
        """Takes the first screen, then nothing until released."""

        def write(self, text: str) -> int:
            if threading.current_thread() is not threading.main_thread():
                stopped.set()
                released.wait(30)
            return super().write(text)

    spotter, file = Spotter(model), Stopped()
    watcher = terminal(spotter, file)
    with watcher:
        assert stopped.wait(10)
        heard = list(run(spotter, Playback(blocks_of(sound), paced=False), watcher))
        released.set()
    assert [d.keyword for d in heard] == ["low", "high", "low"]


def test_the_terminal_is_left_as_it_was(model: Model, sound: Sound) -> None:
    spotter, file = Spotter(model), io.StringIO()
    watcher = terminal(spotter, file)
    with watcher:
        list(run(spotter, Playback(blocks_of(sound), paced=False), watcher))
    written = file.getvalue()
    assert written.startswith(("\x1b[?1049h", "\x1b[?25l"))
    assert written.index("\x1b[?1049h") < written.index("tinyhark") < written.index("\x1b[?1049l")
    assert "\x1b[?25h" in written
    assert "\x1b[2J" not in written  # a screen that is cleared ten times a second flickers


def test_lost_sound_is_skipped_and_told() -> None:
    told: list[tuple[int, int]] = []

    class Skips:
        def trace(self, chunk: Sound) -> list[tuple[Step, Detection | None]]:
            told.append((0, len(chunk)))
            return []

        def trace_end(self) -> list[tuple[Step, Detection | None]]:
            return []

        def skip(self, samples: int) -> None:
            told.append((samples, 0))

    class Lossy:
        def blocks(self) -> Iterator[Block]:
            yield Block(np.zeros(10, np.int16))
            yield Block(np.zeros(20, np.int16), lost_samples=500)

        def lag_s(self) -> float:
            return 0.25

    class Ends(Watcher):
        def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
            told.append((-end_sample, block.lost_samples))
            assert lag_s == 0.25

    assert list(run(Skips(), Lossy(), Ends())) == []
    assert told == [(0, 10), (-10, 0), (500, 0), (0, 20), (-530, 500)]


def test_usage_is_of_the_last_second() -> None:
    clock, cpu = FakeClock(), FakeClock()
    usage = ProcessUsage(clock, cpu)
    assert usage.cpu_percent() is None
    clock.now += 0.5
    assert usage.cpu_percent() is None
    clock.now += 1.5
    cpu.now += 0.1
    assert usage.cpu_percent() == pytest.approx(5.0)
    clock.now += 0.9
    cpu.now += 0.9
    assert usage.cpu_percent() == pytest.approx(5.0)


def test_resident_memory_is_plausible() -> None:
    assert 20 < resident_mb() < 5000


def test_live_only_on_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert can_show_live(Terminal())
    assert not can_show_live(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_show_live(Terminal())
