"""The live view: levels, scores and events on screens of any size."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult

from tinyhark.app.audio.health import FAINT
from tinyhark.app.detection import Detection
from tinyhark.app.labels import Said
from tinyhark.app.live_drawing import ASCII, UNICODE, bar, clock, meter, sparkline
from tinyhark.app.live_line import Line
from tinyhark.app.live_state import SILENCE_DBFS, Level, LevelMeter, LiveState, rolling_peaks
from tinyhark.app.live_view import LiveView
from tinyhark.app.watchers import LiveTerminal
from tinyhark.dsp.decision import Decision, KeywordParameters, Step
from tinyhark.dsp.matching import Label

WORDS = ["yes", "no", "left", "right"]
STRIDE_SAMPLES = 640


def blocks_of(sound: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return [sound[first : first + 640] for first in range(0, len(sound), 640)]


def steps(scores: list[list[float]]) -> Iterator[Step]:
    """Steps 40 ms apart with these scores."""
    keywords = [KeywordParameters(0.8, 0, 0.5, 500)] * len(scores[0])
    decision = Decision(keywords, STRIDE_SAMPLES, 0)
    for count, row in enumerate(scores):
        yield decision.step((np.array(row) * 32768).astype(np.int32), (count + 1) * STRIDE_SAMPLES)


def state_of(scores: list[list[float]], words: list[str] | None = None) -> LiveState:
    words = words or WORDS[: len(scores[0])]
    state = LiveState(words, [0.8] * len(words))
    for step in steps(scores):
        state.step(step)
        state.sound(np.full(STRIDE_SAMPLES, 3276, np.int16), step.end_sample, 0, 0.012)
    return state


def view_of(
    state: LiveState, said: list[Said] | None = None, source: str = "demo.opus", complaint: str | None = None
) -> LiveView:
    total_samples = 70 * 16_000 if said is not None else None
    return LiveView(state, "commands", lambda: source, lambda: complaint, said, total_samples)


def screen(view: LiveView, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain for line in view.lines(view.state.snapshot(), width, height)]


def test_level_of_a_sine() -> None:
    levels = LevelMeter()
    t = np.arange(16_000) / 16_000
    sine = (16384 * np.sin(2 * np.pi * 250 * t)).astype(np.int16)  # peak -6.02 dBFS, RMS 3.01 dB below
    for block in blocks_of(sine):
        levels.feed(block)
    assert levels.level.rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert levels.level.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert not levels.level.clipped


def test_a_peak_is_held_and_then_falls_and_clipping_is_marked() -> None:
    levels = LevelMeter()
    assert levels.level == Level()
    levels.feed(np.array([-32768], np.int16))
    silence = np.zeros(640, np.int16)
    for _ in range(37):  # 1.48 s
        levels.feed(silence)
    assert levels.level.clipped
    assert levels.level.peak_dbfs == pytest.approx(0, abs=0.01)
    for _ in range(26):  # to 2.52 s: a second of falling
        levels.feed(silence)
    assert not levels.level.clipped
    assert levels.level.peak_dbfs == pytest.approx(-20, abs=1)
    for _ in range(200):
        levels.feed(silence)
    assert levels.level.peak_dbfs == SILENCE_DBFS


def test_a_peak_keeps_its_height_and_its_grid_while_it_moves() -> None:
    scores = [[0.0]] * 125
    scores[60] = [0.9]
    seen: list[int] = []
    for length in range(62, 126):
        peaks, column_samples = rolling_peaks(state_of(scores[:length]).snapshot(), 30)
        assert peaks.shape == (1, 30)
        assert column_samples == 2667
        assert peaks.max() == pytest.approx(0.9, abs=1e-4)
        assert (peaks > 0).sum() == 1
        seen.append(int(peaks[0].argmax()))
    assert seen[0] >= 28
    assert set(np.diff(seen)) == {0, -1}


def test_history_is_five_seconds() -> None:
    snapshot = state_of([[0.5]] * 400).snapshot()
    assert len(snapshot.history) == 125
    assert snapshot.history_end_samples[0] == 276 * 640


def test_a_snapshot_stands_still() -> None:
    state = state_of([[0.5]] * 10)
    before = state.snapshot()
    for step in steps([[1.0]] * 20):
        state.step(step)
    state.event(Detection("yes", 0.9, 0, 6400, "m"))
    assert len(before.history) == 10
    assert before.events == []


def test_the_screen_shows_all_there_is() -> None:
    state = state_of([[0.0, 0.1, 0.93, 0.0]] * 100)
    state.event(Detection("left", 0.93, 0, 63_000, "commands"))
    lines = screen(view_of(state))
    assert len(lines) == 24
    assert lines[0].split() == ["tinyhark", "commands", "4", "words", "demo.opus", "1", "event"]
    assert lines[1].split()[0] == "level"
    assert lines[1].rstrip().endswith("-20 dBFS")
    left = next(line for line in lines if line.startswith(" left"))
    assert "┃" in left
    assert "0.93" in left
    assert left.rstrip().endswith("██")
    assert lines[8].split() == ["0:03.9", "left", "0.93"]
    assert lines[-1].split()[0] == "0:04.0"
    assert "lag  12 ms" in lines[-1]
    assert "memory" in lines[-1]


def test_the_screen_shows_what_was_said_when_it_is_said() -> None:
    said = [
        Said(Label(10_000, 16_000, "left")),
        Said(Label(20_000, 30_000, ""), "never a command"),
        Said(Label(32_000, 40_000, "no")),
        Said(Label(60_000, 63_000, "yes")),
        Said(Label(64_100, 65_000, "right")),
    ]
    state = state_of([[0.0] * 4] * 100)  # 64,000 samples
    state.event(Detection("left", 0.91, 0, 17_600, "commands"))
    state.event(Detection("right", 0.83, 0, 50_000, "commands"))
    lines = [" ".join(line.split()) for line in screen(view_of(state, said))]
    assert lines[0].endswith("heard 1 of 2 · 1 false")
    assert lines[8:13] == [
        "0:00.6 left left 0.91 +100 ms",
        "0:01.2 never a command",
        "0:02.0 no missed",
        "0:03.1 right 0.83 false",
        "0:03.7 yes …",
    ]
    assert lines[13] == ""
    assert lines[-1].startswith("0:04.0 / 1:10.0")


def test_clipping_and_lost_sound_are_marked() -> None:
    state = state_of([[0.0]] * 10)
    state.sound(np.full(640, 32767, np.int16), 7040, 1600, 0.0)
    lines = screen(view_of(state))
    assert lines[1].rstrip().endswith("CLIP")
    assert "0.10 s lost" in lines[-1]


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(10, 200),
    height=st.integers(4, 60),
    words=st.integers(1, 40),
    recorded=st.booleans(),
    ascii_only=st.booleans(),
    complaint=st.sampled_from([None, "", "語" * 30, "microphone\tUSB: gives\nno more sound: " + "x" * 500]),
)
def test_the_screen_fits_every_terminal(
    width: int, height: int, words: int, recorded: bool, ascii_only: bool, complaint: str | None
) -> None:
    names = [f"word number {i}" if i % 3 else f"дом{i}語" for i in range(words)]
    state = state_of([[0.99] * words] * 30, names)
    said = [Said(Label(100 * i, 100 * i + 50, names[0]), "ein längerer Satz " * 5) for i in range(30)]
    for i in range(20):
        state.event(Detection(names[i % words], 0.9, 0, 900 * i, "commands"))
    view = view_of(state, said if recorded else None, "дом語 " * 20, complaint)
    lines = view.lines(state.snapshot(), width, height, ASCII if ascii_only else UNICODE)
    assert len(lines) == height
    assert max(cell_len(line.plain) for line in lines) <= width
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii" if ascii_only else "utf-8")
    Console(file=file, width=width, height=height).print(view)  # raises where a character cannot be written


def test_what_is_wrong_with_the_sound_stands_below_the_level_and_moves_the_rest_down() -> None:
    state = state_of([[0.1, 0.2]] * 10)
    state.event(Detection("no", 0.93, 0, 6000, "commands"))
    well = screen(view_of(state, source="48 kHz USB Headset"))
    ill = screen(view_of(state, source="48 kHz USB Headset", complaint=f"{FAINT}."))
    assert well[0].split()[4:8] == ["48", "kHz", "USB", "Headset"]
    assert " ".join(line.strip() for line in ill[2:4]) == f"{FAINT}."
    assert [*ill[:2], *ill[4:-1]] == [*well[:-3]]
    assert ill[-1].split()[0] == well[-1].split()[0] == "0:00.4"


def test_a_long_name_of_a_device_is_cut_to_what_is_left() -> None:
    view = view_of(state_of([[0.1]]), source="44.1 kHz USB Audio Device with a name beyond measure: Mono (hw:3,0)")
    title = screen(view)[0]
    assert title.split()[4:8] == ["44.1", "kHz", "USB", "Audio"]
    assert title.endswith("  0 events ")
    assert len(title) == 80


def test_of_too_many_words_the_liveliest_are_shown() -> None:
    words = [f"w{i:02d}" for i in range(30)]
    state = state_of([[0.9 if i in (3, 28) else 0.0 for i in range(30)]] * 5, words)
    lines = screen(view_of(state), height=12)
    shown = [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in words]
    assert shown == ["w00", "w01", "w03", "w28"]


def test_narrow_screens_drop_the_sparkline_then_the_source() -> None:
    state = state_of([[0.5, 0.0]] * 50)
    assert "last 5 s" in "".join(screen(view_of(state), width=60))
    narrow = screen(view_of(state), width=30)
    assert "last 5 s" not in "".join(narrow)
    assert "0.50" in narrow[3]
    assert "demo.opus" not in narrow[0]


def test_nothing_that_is_shown_can_command_the_terminal() -> None:
    state = state_of([[0.0]] * 60)
    view = view_of(state, [Said(Label(0, 100, ""), "red \x1b[31m and \a bell \u202e")])
    file = io.StringIO()
    Console(file=file, width=80, height=24).print(view)
    assert not {"\x1b", "\a", "\u202e"} & set(file.getvalue())


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "──────┃─"), (0.5, "━━━━──┃─"), (0.06, "╸─────┃─"), (1.0, "━━━━━━┃━")]
)
def test_bar(value: float, expected: str) -> None:
    assert bar(value, 0.8, 8, UNICODE).plain == expected


@pytest.mark.parametrize(("rms", "peak", "expected"), [(-90, -90, "──────"), (-30, -10, "━━━─┃─"), (0, 0, "━━━━━┃")])
def test_meter(rms: float, peak: float, expected: str) -> None:
    assert meter(Level(rms, peak), 6, UNICODE).plain == expected


def test_sparkline() -> None:
    assert sparkline([0, 0.13, 0.5, 0.99, 1.0], 0.8, [3], UNICODE).plain == "▁▂▅██"
    assert sparkline([0, 1.0], 0.8, [], ASCII).plain == "_#"


def test_clock() -> None:
    assert [clock(s) for s in (0, 15_999, 16_000 * 61, 16_000 * 3661)] == ["0:00.0", "0:00.9", "1:01.0", "1:01:01.0"]


def test_a_line_joins_runs_of_one_style_and_cuts_wide_characters() -> None:
    line = Line(("ab", ""), ("cd", ""), ("語語", "bold"))
    assert [segment.text for segment in line.segments()] == ["abcd", "語語"]
    assert line.columns == 8
    assert line.cut(7).plain == "abcd語 "
    assert line.ascii().plain == "abcd??"


def test_an_end_while_it_starts_gives_the_terminal_back() -> None:
    class Stopped(LiveView):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            raise KeyboardInterrupt

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    with (
        pytest.raises(KeyboardInterrupt),
        LiveTerminal(Stopped(state_of([[0.1]]), "m", lambda: "s"), console),
    ):
        pass
    assert screen.getvalue().index("\x1b[?1049h") < screen.getvalue().index("\x1b[?1049l")
    assert screen.getvalue().index("\x1b[?25l") < screen.getvalue().rindex("\x1b[?25h")
