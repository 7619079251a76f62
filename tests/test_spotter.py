"""The spotter: words to detections, the same for every chunking, with silence at both ends and after a gap."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.detection import Detection
from tinyhark.app.errors import HarkError
from tinyhark.app.model import Model
from tinyhark.app.parameters import threshold_at
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.decision import Decision
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.posterior import posteriors
from tinyhark.dsp.quantize import quantize

Sound = NDArray[np.int16]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.3)


def hear(spotter: Spotter, sound: Sound, chunk: int) -> list[Detection]:
    out = []
    for first in range(0, len(sound), chunk):
        out += spotter.feed(sound[first : first + chunk])
    return out + spotter.finish()


def words(detections: list[Detection]) -> list[str]:
    return [detection.keyword for detection in detections]


def by_the_book(model: Model, sound: Sound) -> Iterator[Detection]:
    """Section by section of the design, on the whole recording, without a ring or a stream."""
    m = model.metadata
    hop, frames, stride = m.front_end.hop, m.window_frames, m.stride_frames
    features = quantize(FrontEnd(hop, m.front_end.n_mfcc).mfcc(sound), np.array(m.offset), np.array(m.multiplier))
    silence = quantize(np.zeros((frames, 40), np.int32), np.array(m.offset), np.array(m.multiplier))
    padded = np.concatenate((silence, features, silence))
    parameters = [m.keywords[keyword].parameters() for keyword in model.keywords]
    decision = Decision(parameters, stride * hop, m.exclusion_ms)
    for count in range(stride, len(features) + frames + 1, stride):
        codes = model.infer(np.ascontiguousarray(padded[count : count + frames].T))
        end = (count - 1) * hop + 512
        step = decision.step(posteriors(codes, np.array(m.posterior_table))[2:], end)
        if step.fired is not None:
            start = max(0, end - (512 + (frames - 1) * hop))
            yield Detection(model.keywords[step.fired], float(step.scores[step.fired]), start, end, model.name)


def test_hears_each_word_once(model: Model, sound: Sound) -> None:
    heard = hear(Spotter(model), sound, len(sound))
    assert words(heard) == ["low", "high", "low"]
    starts = [0.7, 2.1, 4.5]
    for detection, start in zip(heard, starts, strict=True):
        assert start < detection.time_s < start + 0.9
        assert detection.end_sample - detection.start_sample <= model.metadata.window_samples
        assert detection.score >= 0.8


@pytest.mark.parametrize("chunk", [1, 7, 160, 1000, 16000, 1 << 20])
def test_every_chunking_equals_the_whole_recording_by_the_book(model: Model, sound: Sound, chunk: int) -> None:
    assert hear(Spotter(model), sound, chunk) == list(by_the_book(model, sound))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(0, 80_000))
def test_random_chunks_and_lengths(model: Model, sound: Sound, seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    part = sound[:length]
    cuts = np.sort(rng.integers(0, length + 1, rng.integers(0, 40)))
    spotter = Spotter(model)
    heard = [d for piece in np.split(part, cuts) for d in spotter.feed(piece)] + spotter.finish()
    assert heard == list(by_the_book(model, part))


def test_a_word_at_the_very_end_is_heard_by_finish(model: Model, say: Callable[..., Sound]) -> None:
    spotter = Spotter(model)
    sound = say(1.0, "low")[: -round(0.06 * 16000)]
    assert words(spotter.feed(sound)) == []
    assert words(spotter.finish()) == ["low"]


def test_finish_and_reset_leave_the_spotter_as_new(model: Model, sound: Sound) -> None:
    spotter = Spotter(model)
    first = hear(spotter, sound, 4000)
    assert hear(spotter, sound, 999) == first
    spotter.feed(sound[:30_000])
    spotter.reset()
    assert hear(spotter, sound, 4000) == first


def test_skip_moves_time_and_starts_afresh(model: Model, sound: Sound) -> None:
    spotter = Spotter(model)
    spotter.feed(sound[:10_001])
    spotter.skip(5_000)
    assert spotter.position_samples == 15_001
    heard = spotter.feed(sound) + spotter.finish()
    expected = hear(Spotter(model), sound, len(sound))
    assert [(d.keyword, d.end_sample - 15_001, d.score) for d in heard] == [
        (d.keyword, d.end_sample, d.score) for d in expected
    ]


def test_start_sample_is_never_before_the_stream(model: Model, say: Callable[..., Sound]) -> None:
    heard = hear(Spotter(model), say("low", 1.0), 512)
    assert words(heard) == ["low"]
    assert heard[0].start_sample == 0


def test_only_the_chosen_keywords_are_reported(model: Model, sound: Sound) -> None:
    assert words(hear(Spotter(model, keywords=["high"]), sound, 4000)) == ["high"]


def test_trace_gives_every_step(model: Model, sound: Sound) -> None:
    spotter = Spotter(model)
    steps = [*spotter.trace(sound), *spotter.trace_end()]
    ends = [step.end_sample for step, _ in steps]
    assert ends[0] == 3 * 160 + 512
    assert set(np.diff(ends)) == {4 * 160}
    assert [d for _, d in steps if d] == hear(Spotter(model), sound, 4000)


def test_lower_threshold_fires_earlier(model: Model, sound: Sound) -> None:
    usual = hear(Spotter(model), sound, 4000)
    eager = hear(Spotter(model, threshold={"low": 0.2}), sound, 4000)
    assert eager[0].end_sample < usual[0].end_sample
    assert eager[1] == usual[1]


def test_overrides_reach_the_decision(model: Model) -> None:
    spotter = Spotter(model, threshold=0.3, smoothing_ms=40, rearm=0.25, refractory_ms=7)
    assert {(p.threshold, p.smoothing_ms, p.rearm, p.refractory_ms) for p in spotter.parameters} == {(0.3, 40, 0.25, 7)}


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_sensitivity_is_monotone_and_keeps_the_models_thresholds(a: float, b: float, threshold: float) -> None:
    low, high = sorted((a, b))
    assert threshold_at(low, threshold) >= threshold_at(high, threshold) - 1e-12
    assert threshold_at(0.5, threshold) == threshold
    assert 0 < threshold_at(high, threshold) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensitivity": 1.5}, "sensitivity is 1.5"),
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"threshold": {"loud": 0.5}}, "no keyword 'loud'; there are: low, high"),
        ({"keywords": ["loud"]}, "no keyword 'loud'"),
        ({"smoothing_ms": -1.0}, "smoothing_ms"),
        ({"exclusion_ms": float("nan")}, "exclusion_ms"),
    ],
)
def test_values_out_of_range_are_refused(model: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(HarkError, match=message):
        Spotter(model, **options)


@pytest.mark.parametrize("sound", [np.zeros(100), np.zeros((100, 2), np.int16), np.zeros(10, np.float32)])
def test_other_sound_is_refused(model: Model, sound: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="must be int16"):
        Spotter(model).feed(sound)
