"""Several models in one spotter: each hears what it hears alone, in time order, and they share the front end."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from rich.console import Console

from tinyhark.app import model_file
from tinyhark.app.cli import hark
from tinyhark.app.detection import Detection
from tinyhark.app.errors import HarkError
from tinyhark.app.live_state import LiveState
from tinyhark.app.live_view import LiveView
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.decision import Verdict
from tinyhark.dsp.front_end import FrontEnd

Sound = NDArray[np.int16]

N_MFCC, WINDOW_FRAMES = 20, 60


@pytest.fixture(scope="module")
def tones(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def pitch_file(
    tmp_path_factory: pytest.TempPathFactory, tiny_network: onnx.ModelProto, tiny_metadata: model_file.Metadata
) -> Path:
    """`tiny_model` with fewer coefficients, a shorter window, another stride, other decisions, "low" and "bright"."""
    net = onnx.ModelProto()
    net.CopyFrom(tiny_network)
    shape = net.graph.input[0].type.tensor_type.shape.dim
    shape[1].dim_value, shape[2].dim_value = N_MFCC, WINDOW_FRAMES
    next(node for node in net.graph.node if node.op_type == "AveragePool").attribute[0].ints[:] = [WINDOW_FRAMES]
    weight = next(one for one in net.graph.initializer if one.name == "weight")
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(weight)[:, :N_MFCC]), "weight"))
    m = tiny_metadata
    other = msgspec.structs.replace(
        m,
        labels=["_silence_", "_unknown_", "low", "bright"],
        front_end=msgspec.structs.replace(m.front_end, n_mfcc=N_MFCC),
        offset=m.offset[:N_MFCC],
        multiplier=m.multiplier[:N_MFCC],
        window_frames=WINDOW_FRAMES,
        stride_frames=5,
        exclusion_ms=100.0,
        keywords={word: model_file.KeywordSpec(0.6, 200.0, 0.7, 300.0, []) for word in ("low", "bright")},
    )
    helper.set_model_props(net, {model_file.METADATA_KEY: model_file.encode(other)})
    path = tmp_path_factory.mktemp("model") / "pitch.onnx"
    path.write_bytes(net.SerializeToString())
    return path


@pytest.fixture(scope="module")
def pitch(pitch_file: Path) -> Model:
    return Model.load(pitch_file)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.1)


def hear(spotter: Spotter, sound: Sound, chunk: int = 1 << 20) -> list[Detection]:
    heard = [d for first in range(0, len(sound), chunk) for d in spotter.feed(sound[first : first + chunk])]
    return heard + spotter.finish()


def alone(models: list[Model], sound: Sound) -> list[Detection]:
    """What each hears by itself, by time, at equal times in the order of the models."""
    return sorted((d for model in models for d in hear(Spotter(model), sound)), key=lambda d: d.end_sample)


def test_fewer_coefficients_are_the_first_ones(sound: Sound) -> None:
    log_mel = FrontEnd().log_mel(sound)
    whole = FrontEnd().cepstrum(log_mel)
    for n_mfcc in (1, 13, N_MFCC, 39):
        np.testing.assert_array_equal(FrontEnd(n_mfcc=n_mfcc).cepstrum(log_mel), whole[:, :n_mfcc])


@pytest.mark.parametrize("chunk", [160, 997, 16_000, 1 << 20])
def test_each_hears_what_it_hears_alone(tones: Model, pitch: Model, sound: Sound, chunk: int) -> None:
    for models in ([tones, pitch], [pitch, tones]):
        heard = hear(Spotter(models), sound, chunk)
        assert heard == alone(models, sound)
        assert {(d.model, d.keyword) for d in heard} == {
            ("tones", "low"),
            ("tones", "high"),
            ("pitch", "low"),
            ("pitch", "bright"),
        }


@settings(max_examples=10, deadline=None, derandomize=True)
@given(cuts=st.lists(st.integers(0, 90_000), max_size=20), length=st.integers(0, 90_000), gate=st.booleans())
def test_chunking_never_changes_the_trace(
    tones: Model, pitch: Model, sound: Sound, cuts: list[int], length: int, gate: bool
) -> None:
    part = sound[:length]
    cut, whole = Spotter([tones, pitch], gate=gate), Spotter([tones, pitch], gate=gate)

    def trace(spotter: Spotter, chunks: list[Sound]) -> list[tuple[object, ...]]:
        steps = [pair for chunk in chunks for pair in spotter.trace(chunk)] + list(spotter.trace_end())
        return [(s.end_sample, s.fired, s.scores.tolist(), s.verdicts(), d) for s, d in steps]

    assert trace(cut, np.split(part, sorted(cuts))) == trace(whole, [part])


def test_trace_gives_the_steps_of_all_by_time(tones: Model, pitch: Model, sound: Sound) -> None:
    spotter = Spotter([tones, pitch])
    assert spotter.keywords == ["low", "high", "low", "bright"]
    assert [p.threshold for p in spotter.parameters] == [0.8, 0.8, 0.6, 0.6]
    assert (spotter.name, spotter.model, spotter.models) == ("tones + pitch", tones, [tones, pitch])
    steps = list(spotter.trace(sound))
    ends = [step.end_sample for step, _ in steps]
    assert ends == sorted(ends)
    newest = {}
    for model in (tones, pitch):
        newest[model.name] = {step.end_sample: step for step, _ in Spotter(model).trace(sound)}
    assert len(steps) == sum(map(len, newest.values()))
    for step, detection in steps:
        if detection:
            assert step.fired is not None
            assert spotter.keywords[step.fired] == detection.keyword
            assert step.scores[step.fired] == detection.score
            assert step.verdicts()[step.fired] == (Verdict.FIRED, None)
    last = steps[-1][0]
    both = [single[max(single)] for single in newest.values()]
    np.testing.assert_array_equal(last.scores, np.concatenate([step.scores for step in both]))
    assert [verdict for verdict, _ in last.verdicts()] == [verdict for step in both for verdict, _ in step.verdicts()]


def test_rivals_are_counted_among_the_keywords_of_all(tones: Model, pitch: Model, sound: Sound) -> None:
    spotter = Spotter([tones, pitch], threshold=0.0001, exclusion_ms=500)
    rivals = {
        (keyword, other)
        for step, _ in spotter.trace(sound)
        for keyword, (_, other) in enumerate(step.verdicts())
        if other is not None
    }
    assert rivals  # some are held back ...
    assert all((keyword < 2) == (other < 2) for keyword, other in rivals)  # ... by words of the same model alone
    assert any(keyword >= 2 for keyword, _ in rivals)


def test_skip_and_finish_start_all_afresh(tones: Model, pitch: Model, sound: Sound) -> None:
    spotter = Spotter([tones, pitch])
    spotter.feed(sound[:10_001])
    spotter.skip(5_000)
    assert spotter.position_samples == 15_001
    heard = hear(spotter, sound, 4_000)
    expected = alone([tones, pitch], sound)
    assert [(d.keyword, d.model, d.end_sample - 15_001) for d in heard] == [
        (d.keyword, d.model, d.end_sample) for d in expected
    ]
    assert hear(spotter, sound, 640) == expected


def test_what_is_set_for_a_keyword_holds_in_every_model_that_has_it(tones: Model, pitch: Model) -> None:
    spotter = Spotter(
        [tones, pitch],
        threshold={"low": 0.3, "bright": 0.4},
        smoothing_ms={"high": 40},
        rearm={"bright": 0.25},
        refractory_ms=7,
    )
    assert [(p.threshold, p.smoothing_ms, p.rearm, p.refractory_ms) for p in spotter.parameters] == [
        (0.3, 120.0, 0.5, 7),
        (0.8, 40, 0.5, 7),
        (0.3, 200.0, 0.7, 7),
        (0.4, 200.0, 0.25, 7),
    ]


def test_only_chosen_keywords_are_reported(tones: Model, pitch: Model, sound: Sound) -> None:
    heard = hear(Spotter([tones, pitch], keywords=["bright"]), sound)
    assert heard == [d for d in alone([tones, pitch], sound) if d.keyword == "bright"]


def test_what_does_not_go_together_is_refused_in_a_line(tones: Model, model_with: Callable[..., Path]) -> None:
    spec = msgspec.to_builtins(tones.metadata.front_end) | {"hop": 320}
    wide = Model.load(model_with(front_end=spec))
    with pytest.raises(HarkError, match="model changed has a hop of 320 samples and tones one of 160"):
        Spotter([tones, wide])
    with pytest.raises(HarkError, match="there is no model"):
        Spotter([])
    with pytest.raises(HarkError, match=r"tones \+ tones has no keyword 'bright'; did you mean high\?"):
        Spotter([tones, tones], smoothing_ms={"bright": 40})


def test_the_live_view_shows_the_words_of_all(tones: Model, pitch: Model, sound: Sound) -> None:
    spotter = Spotter([tones, pitch])
    state = LiveState(spotter.keywords, [p.threshold for p in spotter.parameters])
    for step, detection in spotter.trace(sound[: 2 * 16_000]):
        state.step(step)
        if detection:
            state.event(detection)
    console = Console(file=io.StringIO(), width=80, height=24, record=True)
    console.print(LiveView(state, spotter.name, lambda: "test"))
    shown = console.export_text()
    assert "tones + pitch" in shown
    assert [line.split()[0] for line in shown.splitlines()[3:7]] == ["low", "high", "low", "bright"]


def test_detect_with_several_models(tiny_model: Path, pitch_file: Path, tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    command = ["detect", "--json", "--model", tiny_model, "--model", pitch_file, "--threshold", "bright=0.5"]
    result = CliRunner().invoke(hark, [*map(str, command), str(tmp_path / "said.wav")], catch_exceptions=False)
    models = [Model.load(tiny_model), Model.load(pitch_file)]
    expected = hear(Spotter(models, threshold={"bright": 0.5}), sound)
    got = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(e["model"], e["keyword"], e["end_sample"]) for e in got] == [
        (d.model, d.keyword, d.end_sample) for d in expected
    ]
    assert {e["model"] for e in got} == {"tones", "pitch"}


def test_bench_with_several_models(tiny_model: Path, pitch_file: Path, tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "said.wav", sound, 16_000)
    command = ["bench", "--json", "--repeats", "1", "--gate", "--model", tiny_model, "--model", pitch_file]
    result = CliRunner().invoke(hark, [*map(str, command), str(tmp_path / "said.wav")], catch_exceptions=False)
    got = json.loads(result.stdout)
    assert (got["model"], got["keywords"]) == ("tones + pitch", 4)
    assert min(got[f"{part}_cpu_ms_per_s"] for part in ("total", "front_end", "network", "decision")) > 0
