"""The level gate: what counts as quiet, and that a spotter with it hears what one without it hears."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.gate import Gate
from tinyhark.dsp.quantize import to_int16

Sound = NDArray[np.int16]

UNIT = 1 << 16  # one log2 unit, 3 dB, in Q16


def frames(*levels: float) -> NDArray[np.int32]:
    """A frame for each level, in log2 units, all bands alike."""
    return np.repeat(np.array([round(level * UNIT) for level in levels], np.int32)[:, None], 40, axis=1)


def test_digital_silence_is_quiet_from_the_start_on() -> None:
    assert min(Gate(160).feed(frames(*[0.0] * 5))) > 10**6


def test_sound_is_not_quiet_until_the_floor_has_risen_to_it() -> None:
    runs = Gate(160).feed(frames(*[6.0] * 1150))
    assert runs[:1049] == [0] * 1049  # 5.25 units at half a unit a second, up to the margin of three quarters
    assert runs[-90:] == list(range(runs[-90], runs[-90] + 90))
    assert runs[-1] == pytest.approx(100, abs=1)


def test_hop_320_rises_at_the_same_rate() -> None:
    assert Gate(320).feed(frames(*[6.0] * 575))[-1] == pytest.approx(50, abs=1)


@pytest.mark.parametrize(("rise", "is_quiet"), [(0.7, True), (0.8, False), (20.0, False)])
def test_a_frame_is_quiet_within_three_quarters_of_a_unit_of_the_floor(rise: float, is_quiet: bool) -> None:
    gate = Gate(160)
    gate.feed(frames(*[3.0] * 1000))
    assert (gate.feed(frames(3.0 + rise))[0] > 0) == is_quiet


def test_the_floor_falls_at_once() -> None:
    gate = Gate(160)
    gate.feed(frames(*[3.0] * 1000))
    before, after = gate.feed(frames(1.0, 2.5))
    assert before > 0
    assert after == 0


def test_another_hop_is_refused() -> None:
    with pytest.raises(ValueError, match="hop is 100"):
        Gate(100)


@settings(derandomize=True, deadline=None)
@given(
    levels=st.lists(st.integers(0, 40), min_size=1, max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_chunks_reset_and_counting(levels: list[int], cuts: list[int]) -> None:
    log_mel = frames(*(level / 4 for level in levels))
    whole = Gate(160).feed(log_mel)
    used = Gate(160)
    used.feed(frames(9.0, 0.0, 3.0))
    used.reset()
    parts = np.split(log_mel, sorted(cuts))
    assert [run for part in parts for run in used.feed(part)] == whole
    for before, run in zip([1 << 40, *whole], whole, strict=False):
        assert run in (0, before + 1)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.mark.parametrize("chunk", [100, 640, 1 << 20])
def test_a_gated_spotter_hears_the_same(model: Model, say: Callable[..., Sound], chunk: int) -> None:
    pause = np.zeros(3 * 16_000, np.int16)
    sound = np.concatenate([say(1.0, "low", 1.5, "high", 0.6), pause, say("low", 1.0, "other", 2.0), pause])
    gated = Spotter(model, gate=True)
    heard = [d for first in range(0, len(sound), chunk) for d in gated.feed(sound[first : first + chunk])]
    assert [d.keyword for d in heard] == ["low", "high", "low"]
    assert heard == Spotter(model).feed(sound)
    gated.reset()
    assert gated.feed(sound) == heard  # nothing of the stream before is left


def test_a_skipped_window_gives_no_keyword_any_posterior(model: Model) -> None:
    rng = np.random.default_rng(5)
    sound = to_int16(0.0005 * rng.standard_normal(25 * 16_000))
    plain = np.array([step.scores for step, _ in Spotter(model).trace(sound)])
    gated = np.array([step.scores for step, _ in Spotter(model, gate=True).trace(sound)])
    runs = Gate(160).feed(FrontEnd().log_mel(sound))
    skipped = np.array(runs[3::4]) >= model.metadata.window_frames
    assert 0.1 < skipped.mean() < 0.9
    assert plain.min() > 0
    settled = np.convolve(skipped, np.ones(3), "full")[: len(skipped)] == 3  # three posteriors make a score
    np.testing.assert_array_equal(gated[settled], 0)
    asked = np.convolve(~skipped, np.ones(3), "full")[: len(skipped)] == 3
    np.testing.assert_array_equal(gated[asked], plain[asked])


def test_the_gate_forgets_the_room_across_a_gap(model: Model) -> None:
    rng = np.random.default_rng(5)
    sound = to_int16(0.0005 * rng.standard_normal(25 * 16_000))
    spotter = Spotter(model, gate=True)
    list(spotter.trace(sound))
    spotter.skip(16_000)
    after = np.array([step.scores for step, _ in spotter.trace(sound[:32_000])])
    np.testing.assert_array_equal(after, [step.scores for step, _ in Spotter(model).trace(sound[:32_000])])
