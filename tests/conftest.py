"""What the tests share: the data of other people, and a small model that takes tones for keywords."""

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tinyhark.app import model_file
from tinyhark.app.session import open_session
from tinyhark.dsp.front_end import DIGEST, FrontEnd
from tinyhark.dsp.posterior import posterior_table
from tinyhark.dsp.quantize import quantize, to_int16

Sound = NDArray[np.int16]

RATE_HZ = 16_000
HOP, N_MFCC, WINDOW_FRAMES, STRIDE_FRAMES = 160, 40, 97, 4
LABELS = ["_silence_", "_unknown_", "low", "high"]
TONES_HZ = {"low": 440.0, "high": 2500.0, "other": 1100.0}
OFFSET = np.zeros(N_MFCC, np.int64)
MULTIPLIER = np.array([128] + [256] * (N_MFCC - 1))
GAIN, WORD_BIAS = 12.0, 6.0  # logits: a word beats silence when its tone fills a quarter of the window
SCALE = 0.125  # logit units a code


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A job in the background ignores Ctrl-C, and so would all that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Recordings of other people: TINYHARK_DATA, or shared/data beside the checkout."""
    named = os.environ.get("TINYHARK_DATA")
    path = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no recordings in {path}; set TINYHARK_DATA")
    return path


def tone(word: str, seconds: float, level_db: float = -12.0) -> Sound:
    """A steady tone that the small model takes for `word`, faded in and out over 10 ms."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.01)
    return to_int16(10 ** (level_db / 20) * fade * np.sin(2 * np.pi * TONES_HZ[word] * t))


def hiss(seconds: float, level_db: float = -70.0, seed: int = 1) -> Sound:
    """White noise."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return to_int16(np.clip(noise * 10 ** (level_db / 20), -1, 1))


def speech(*parts: str | float) -> Sound:
    """Words as tones of 0.4 s and pauses of the given seconds, over a quiet hiss."""
    sound = np.concatenate(
        [np.zeros(round(p * RATE_HZ), np.int16) if isinstance(p, float) else tone(p, 0.4) for p in parts]
    )
    return sound + hiss(len(sound) / RATE_HZ)[: len(sound)]


@pytest.fixture(scope="session")
def say() -> Callable[..., Sound]:
    """`say(1.0, "low", 1.0)`: int16 sound in which the small model hears "low" once."""
    return speech


def frames_of(sound: Sound) -> NDArray[np.int8]:
    return quantize(FrontEnd(HOP, N_MFCC).mfcc(sound), OFFSET, MULTIPLIER)


def fit() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [4, 40] and bias [4]: ridge regression of the frames of silence, other sounds and the two tones."""
    levels = (-6.0, -12.0, -20.0, -30.0)
    sounds: list[tuple[int, Sound]] = [(0, np.zeros(RATE_HZ, np.int16))]
    sounds += [(0, hiss(1.0, db, seed=2)) for db in (-80.0, -70.0, -60.0)]
    sounds += [(1, hiss(1.0, db, seed=3)) for db in (-30.0, -20.0, -12.0)]
    for label, word in ((1, "other"), (2, "low"), (3, "high")):
        sounds += [(label, tone(word, 1.0, db) + hiss(1.0, -70.0, seed=4)) for db in levels]
    x = np.concatenate([frames_of(sound)[5:-5] for _, sound in sounds]).astype(np.float64)
    y = np.concatenate([np.eye(4)[[label]].repeat(len(frames_of(sound)) - 10, 0) for label, sound in sounds])
    x1 = np.concatenate([x, np.ones((len(x), 1))], 1)
    w = np.linalg.solve(x1.T @ x1 + 10.0 * np.eye(x1.shape[1]), x1.T @ y)
    return w[:-1].T * GAIN, w[-1] * GAIN + np.array([0, WORD_BIAS, WORD_BIAS, WORD_BIAS])


def network() -> onnx.ModelProto:
    """int8 [1, 40, 97] -> mean over time -> fully connected -> int8 [1, 4], as QDQ."""
    weights, bias = fit()
    steps = np.abs(weights).max(1) / 127
    constants: dict[str, NDArray[Any]] = {
        "input_scale": np.float32(1.0),
        "mean_scale": np.float32(0.5),
        "output_scale": np.float32(SCALE),
        "zero": np.int8(0),
        "weight": np.round(weights / steps[:, None]).astype(np.int8),
        "weight_scale": steps.astype(np.float32),
        "weight_zero": np.zeros(4, np.int8),
        "bias": np.round(bias / (steps * 0.5)).astype(np.int32),
        "bias_scale": (steps * 0.5).astype(np.float32),
        "bias_zero": np.zeros(4, np.int32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["window", "input_scale", "zero"], ["x"]),
        helper.make_node("AveragePool", ["x"], ["mean"], kernel_shape=[WINDOW_FRAMES]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("QuantizeLinear", ["flat", "mean_scale", "zero"], ["mean_q"]),
        helper.make_node("DequantizeLinear", ["mean_q", "mean_scale", "zero"], ["mean_d"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bias", "bias_scale", "bias_zero"], ["b"], axis=0),
        helper.make_node("Gemm", ["mean_d", "w", "b"], ["y"], transB=1),
        helper.make_node("QuantizeLinear", ["y", "output_scale", "zero"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tones",
        [helper.make_tensor_value_info("window", TensorProto.INT8, [1, N_MFCC, WINDOW_FRAMES])],
        [helper.make_tensor_value_info("logits", TensorProto.INT8, [1, len(LABELS)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def metadata_of(net: onnx.ModelProto) -> model_file.Metadata:
    spec = model_file.FrontEndSpec(hop=HOP, bands=40, n_mfcc=N_MFCC, digest=DIGEST)
    golden = tone("low", 0.25)
    window = model_file.clip_window(golden, spec, OFFSET, MULTIPLIER, WINDOW_FRAMES)
    codes = open_session(net.SerializeToString()).run(None, {"window": window[None]})[0][0]
    point = model_file.OperatingPoint(0.8, 0.5, 0.05, "tones", 2.0, 100, (0.02, 0.11))
    return model_file.Metadata(
        format=model_file.FORMAT,
        labels=LABELS,
        front_end=spec,
        offset=OFFSET.tolist(),
        multiplier=MULTIPLIER.tolist(),
        window_frames=WINDOW_FRAMES,
        stride_frames=STRIDE_FRAMES,
        posterior_table=posterior_table(SCALE).tolist(),
        exclusion_ms=200.0,
        keywords={word: model_file.KeywordSpec(0.8, 120.0, 0.5, 500.0, [point]) for word in ("low", "high")},
        provenance=model_file.Provenance(
            data=[model_file.DataSource("tones", "Apache-2.0", "made by the tests", 19)],
            recipe_digest="0" * 64,
            seed=0,
            versions={"numpy": np.__version__},
            metrics={"accuracy": 0.975, "accuracy_clips": 400},
        ),
        licence="Apache-2.0",
        golden=model_file.Golden(
            samples=model_file.encode_golden(golden),
            features_sha256=model_file.window_digest(window),
            logits=codes.tolist(),
        ),
    )


def write_model(path: Path, net: onnx.ModelProto, metadata: str | None) -> Path:
    copy = onnx.ModelProto()
    copy.CopyFrom(net)
    if metadata is not None:
        helper.set_model_props(copy, {model_file.METADATA_KEY: metadata})
    path.write_bytes(copy.SerializeToString())
    return path


@pytest.fixture(scope="session")
def tiny_network() -> onnx.ModelProto:
    """The network of `tiny_model`, without metadata."""
    return network()


@pytest.fixture(scope="session")
def tiny_metadata(tiny_network: onnx.ModelProto) -> model_file.Metadata:
    """The metadata of `tiny_model`."""
    return metadata_of(tiny_network)


@pytest.fixture(scope="session")
def tiny_model(
    tmp_path_factory: pytest.TempPathFactory, tiny_network: onnx.ModelProto, tiny_metadata: model_file.Metadata
) -> Path:
    """A small valid model file "tones.onnx": hears tones of 440 and 2500 Hz as the keywords "low" and "high"."""
    path = tmp_path_factory.mktemp("model") / "tones.onnx"
    return write_model(path, tiny_network, model_file.encode(tiny_metadata))


@pytest.fixture
def model_with(
    tmp_path: Path, tiny_network: onnx.ModelProto, tiny_metadata: model_file.Metadata
) -> Callable[..., Path]:
    """`model_with(labels=[...])`: a copy of `tiny_model` whose metadata differs; a value of None drops the key."""

    def make(*, network: onnx.ModelProto | None = None, text: str | None = None, **changes: Any) -> Path:
        fields = msgspec.to_builtins(tiny_metadata) | changes
        kept = {key: value for key, value in fields.items() if value is not None}
        metadata = text if text is not None else msgspec.json.encode(kept).decode()
        return write_model(tmp_path / "changed.onnx", network or tiny_network, metadata)

    return make


@pytest.fixture(scope="module", params=["numpy", "c"])
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """The front end computed by each implementation."""
    if request.param == "c" and not importlib.util.find_spec("tinyhark.dsp._front_end"):
        pytest.skip("the front end was not built in C")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYHARK_FRONT_END", request.param)
        yield request.param


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures that have files of their own."""
    names = ["training_fixtures", "sound_server", "mosquitto"]
    if importlib.util.find_spec("wyoming"):
        names.append("wyoming_peer")
    for name in names:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        config.pluginmanager.register(module, name)
