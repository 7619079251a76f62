"""A model file to C: it compiles without a warning, passes its own test, and computes what onnxruntime does."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tinyhark.app import model_file
from tinyhark.app.cli import hark
from tinyhark.app.errors import ModelError
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.export import c_tables
from tinyhark.export.c_export import TEMPLATES, export_c
from tinyhark.export.c_host import CProject, heard_by_python
from tinyhark.export.c_network import multiplier, read_network
from tinyhark.export.commands import export

LABELS = 4
SHAPES: dict[str, dict[str, Any]] = {
    "unpadded": {"padded": False},
    "padded": {"padded": True},
    "unpadded, window no multiple of the stride": {
        "padded": False,
        "frames": 98,
        "stride": 4,
        "stem": 7,
        "channels": 7,
    },
    "padded, window no multiple of the stride": {"padded": True, "frames": 50, "stride": 4, "stem": 3, "channels": 6},
    "a column to pool": {"padded": False, "frames": 13, "stride": 1, "channels": 5, "kernel": 3, "stem": 9},
    "scales above a quarter": {"padded": False, "coarse": 1.7},
    "no blocks": {"padded": False, "frames": 20, "stride": 2, "stem": 1, "blocks": 0},
}


class Writer:
    """A network of random weights in the form that tinyhark's model files have."""

    def __init__(self, seed: int, coarse: float) -> None:
        self.coarse = coarse
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, dtype: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"t{len(self.nodes)}"], **attributes))
        return f"t{len(self.nodes) - 1}"

    def real(self, codes: str, scale: float, zero: int, dtype: Any = np.uint8) -> str:
        return self.node("DequantizeLinear", [codes, self.constant(scale, np.float32), self.constant(zero, dtype)])

    def codes(self, real: str, scale: float, zero: int, dtype: Any = np.uint8) -> str:
        return self.node("QuantizeLinear", [real, self.constant(scale, np.float32), self.constant(zero, dtype)])

    def conv(self, x: str, scale: float, shape: tuple[int, ...], **attributes: Any) -> str:
        """Sums of a standard deviation of 1 where the input's is 1; coarse: the first channel is one input, scaled."""
        weights = self.rng.integers(-127, 128, shape)
        steps = self.rng.uniform(0.5, 1.5, shape[0]) / (73 * np.sqrt(weights[0].size))
        if self.coarse:
            weights[0] = 0
            weights[0].flat[weights[0].size // 2] = -1
            steps[0] = self.coarse * 0.011 / scale
        zeros = self.constant(np.full(shape[0], 128), np.uint8)
        w = [self.constant(weights + 128, np.uint8), self.constant(steps, np.float32), zeros]
        biases = self.rng.normal(0, 0.3, shape[0]) / (steps * scale)
        b = [self.constant(np.rint(biases), np.int32), self.constant(steps * scale, np.float32)]
        inputs = [x, self.node("DequantizeLinear", w, axis=0), self.node("DequantizeLinear", b, axis=0)]
        kernel = [shape[2]]
        return self.node("Conv", inputs, kernel_shape=kernel, **attributes)


def network(
    padded: bool,
    frames: int = 97,
    stride: int = 2,
    stem: int = 5,
    channels: int = 12,
    blocks: int = 2,
    kernel: int = 5,
    coarse: float = 0,
) -> onnx.ModelProto:
    w = Writer(frames + channels, coarse)
    edge = kernel // 2
    value = w.codes(w.real("features", 1 / 32, 0, np.int8), 1 / 32, 128)
    pads = [stem // 2] * 2 if padded else [0, 0]
    conv = w.conv(w.real(value, 1 / 32, 128), 1 / 32, (channels, 40, stem), strides=[stride], pads=pads)
    scale = 0.011
    value = w.codes(conv, scale, 0)
    columns = (frames + sum(pads) - stem) // stride + 1
    for _ in range(blocks):
        pads = [edge] * 2 if padded else [0, 0]
        conv = w.conv(w.real(value, scale, 0), scale, (channels, 1, kernel), pads=pads, group=channels)
        middle = w.codes(conv, 0.013, 0)
        second = w.codes(w.conv(w.real(middle, 0.013, 0), 0.013, (channels, channels, 1)), 0.02, 117)
        if not padded:
            ends = [w.constant([edge], np.int64), w.constant([-edge], np.int64), w.constant([2], np.int64)]
            value = w.node("Slice", [value, *ends])
            columns -= 2 * edge
        value = w.codes(w.node("Add", [w.real(value, scale, 0), w.real(second, 0.02, 117)]), scale * 1.3, 0)
        scale *= 1.3
    mean = w.codes(w.node("AveragePool", [w.real(value, scale, 0)], kernel_shape=[columns]), scale / 2, 0)
    logits = w.codes(w.conv(w.real(mean, scale / 2, 0), scale / 2, (LABELS, channels, 1)), 0.02, 128)
    flat = w.node("Flatten", [w.real(logits, 0.02, 128)], axis=1)
    w.codes(flat, 0.02, 0, np.int8)
    w.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        w.nodes,
        "net",
        [helper.make_tensor_value_info("features", TensorProto.INT8, [1, 40, frames])],
        [helper.make_tensor_value_info("logits", TensorProto.INT8, [1, LABELS])],
        w.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def made(model_with: Callable[..., Path], tiny_metadata: model_file.Metadata) -> Callable[..., Model]:
    """`made(padded=True)`: a model with a random network, whose golden input has the right answer."""

    def make(stride_frames: int = 4, threshold: float = 0.8, **shape: Any) -> Model:
        net, frames = network(**shape), shape.get("frames", 97)
        keyword = {"threshold": threshold, "rearm": 0.98, "refractory_ms": 0, "operating_points": []}
        keywords = {"low": {**keyword, "smoothing_ms": 40}, "high": {**keyword, "smoothing_ms": 80}}
        changes: dict[str, Any] = {"window_frames": frames, "stride_frames": stride_frames, "keywords": keywords}
        model = Model.load(model_with(network=net, **changes))
        window = model.window_of(model_file.decode_golden(tiny_metadata.golden.samples))
        golden = {
            "samples": tiny_metadata.golden.samples,
            "features_sha256": model_file.window_digest(window),
            "logits": model.infer(window).tolist(),
        }
        model = Model.load(model_with(network=net, golden=golden, **changes))
        model.verify()
        return model

    return make


def windows_of(model: Model, count: int) -> NDArray[np.int8]:
    """Noise of all levels, and steps, that reach the ends of the codes."""
    rng = np.random.default_rng(4)
    shape = (count, model.metadata.front_end.n_mfcc, model.metadata.window_frames)
    noise = rng.normal(0, rng.choice([3, 20, 60], (count, 1, 1)), shape) + rng.normal(0, 30, (count, shape[1], 1))
    return np.clip(np.rint(noise), -128, 127).astype(np.int8)


def compiler_or_skip(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    return name


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_logits_are_those_of_onnxruntime(made: Callable[..., Model], tmp_path: Path, shape: dict[str, Any]) -> None:
    model = made(**shape)
    export_c(model, tmp_path / "c")
    project = CProject(tmp_path / "c", model.metadata, compiler_or_skip("gcc"), ["-O1"])
    windows = windows_of(model, 300)
    wanted = np.stack([model.infer(window) for window in windows]).astype(int)
    difference = np.abs(project.logits(windows) - wanted)
    assert len(np.unique(wanted)) > 60
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_events_are_those_of_python_from_the_first_window_on(
    made: Callable[..., Model], tmp_path: Path, shape: dict[str, Any]
) -> None:
    rng = np.random.default_rng(5)
    level = 2.0 ** rng.uniform(3, 14, 20).repeat(2400)
    sound = np.rint(rng.standard_normal(len(level)) * level / 4).clip(-32768, 32767).astype(np.int16)
    scores = [step.scores for step, _ in Spotter(made(**shape)).trace(sound)]
    model = made(threshold=float(np.median(scores, axis=0).max()), **shape)
    export_c(model, tmp_path / "c")
    project = CProject(tmp_path / "c", model.metadata, compiler_or_skip("gcc"), ["-O1"])
    parts: list[NDArray[np.int16] | int] = [sound[:5000], sound[5000:5001], sound[5001:20000], 777, sound[20000:]]
    heard = heard_by_python(model, parts)
    assert len(heard) >= 2
    got, wanted = ([(h.keyword, h.start_sample, h.end_sample) for h in some] for some in (project.spot(parts), heard))
    assert got == wanted


def test_all_sums_are_shifted_where_a_scale_is_a_quarter_or_more() -> None:
    assert read_network(network(padded=False)).sum_bits == 0
    assert read_network(network(padded=False, coarse=1.7)).sum_bits == 3
    with pytest.raises(ModelError, match="a scale of"):
        read_network(network(padded=False, coarse=5.0))


@pytest.mark.parametrize("name", ["commands", "commands-streaming", "wake"])
def test_every_shipped_model_can_be_exported(name: str, tmp_path: Path) -> None:
    model = Model.load(name)
    assert len(export_c(model, tmp_path).network.blocks) == 7


def test_the_tables_in_c_are_those_of_python() -> None:
    """Written by `c_tables.front_end_tables`; one file for microcontrollers and for Python's own module."""
    assert (TEMPLATES / "hark_tables.h").read_text(encoding="utf-8") == c_tables.front_end_tables()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_command_writes_a_project_that_passes_its_test(
    made: Callable[..., Model], tmp_path: Path, compiler: str
) -> None:
    model = made(padded=False)
    out = tmp_path / "project"
    result = CliRunner().invoke(export, ["c", str(model.path), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "each column once" in result.output
    flags = "CFLAGS=-O1 -Werror"
    command = ["make", "-C", str(out), f"CC={compiler_or_skip(compiler)}", flags, "all", "test"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("ok  ") == 4


def test_the_projects_own_test_can_fail(made: Callable[..., Model], tmp_path: Path) -> None:
    compiler_or_skip("gcc")
    export_c(made(padded=False), tmp_path)
    for name, old, new in (
        ("hark_weights.h", "#define HARK_POOL_ZERO_OUT (-128)", "#define HARK_POOL_ZERO_OUT (-96)"),
        ("hark_tables.h", "#define HARK_COS_3 ", "#define HARK_COS_3 1 + "),
        ("hark_decision.h", "#define HARK_EXCLUSION_SAMPLES ", "#define HARK_EXCLUSION_SAMPLES 40000 + "),
    ):
        text = (tmp_path / name).read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
    run = subprocess.run(["make", "-C", str(tmp_path), "CC=gcc", "test"], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert run.stdout.count("FAIL") == 3


def test_hark_finds_the_command() -> None:
    result = CliRunner().invoke(hark, ["export", "c", "--help"])
    assert result.exit_code == 0
    assert "--out" in result.output


def test_a_network_of_another_form_is_refused_in_one_line(tiny_model: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(hark, ["export", "c", str(tiny_model), "--out", str(tmp_path / "c")])
    assert result.exit_code == 2
    assert result.output.startswith(f"hark: {tiny_model}: its network ")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_a_file_in_the_way_is_named(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("")
    result = CliRunner().invoke(hark, ["export", "c", str(tiny_model), "--out", str(tmp_path / "c")])
    assert result.exit_code == 2
    assert result.output == f"hark: {tmp_path / 'c'}: is a file; --out names a folder\n"


def test_windows_between_columns_are_refused(made: Callable[..., Model], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="windows are 3 frames apart"):
        export_c(made(padded=False, stride_frames=3), tmp_path)


@pytest.mark.parametrize("scale", [0.2499, 0.01, 1e-3, 3e-7])
def test_a_multiplier_is_its_scale(scale: float) -> None:
    exact = float(np.float32(scale))
    m, shift = multiplier(exact)
    assert m / 2 ** (32 + shift) == exact
    assert m < 2**31
    assert 1 <= shift <= 17
