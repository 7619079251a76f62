"""The ONNX file's network: integers throughout once onnxruntime has fused it, and small."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")

import onnxruntime  # noqa: E402

from tinyhark.app.session import open_session  # noqa: E402
from tinyhark.export.onnx_graph import to_onnx  # noqa: E402
from tinyhark.export.quantization import QuantizedNetwork  # noqa: E402

Make = Callable[..., QuantizedNetwork]

KINDS = [{"kind": kind, "padded": padded} for kind in ("1d", "2d") for padded in (True, False)]
INT8 = "session.qdqisint8allowed"
FLOAT_OPERATORS = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "Add", "AveragePool", "Relu", "ReduceMean"}


def optimized(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """What onnxruntime runs: the graph after its own fusions, opened with the options of `open_session`."""
    used = open_session(model.SerializeToString()).get_session_options()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry(INT8, used.get_session_config_entry(INT8))
    options.graph_optimization_level = used.graph_optimization_level
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def operators_of(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("shape", KINDS)
def test_nothing_is_left_in_float(quantized_of: Make, tmp_path: Path, shape: dict[str, object]) -> None:
    network = quantized_of(**shape, blocks=3)
    found = operators_of(optimized(to_onnx(network, 40, 97, 4, "net"), tmp_path / "fused.onnx"))
    assert not FLOAT_OPERATORS & found.keys(), found
    assert found["QLinearConv"] == 1 + 2 * 3 + 1, "the stem, two in each block, and the classifier"
    assert found["QLinearAdd"] == 3
    assert found["QLinearAveragePool"] == 1
    # int8 to uint8 at the entrance and back at the exit is all that is converted
    assert found["QuantizeLinear"] <= 2
    assert found["DequantizeLinear"] <= 2


def test_the_fused_view_would_show_float(quantized_of: Make, tmp_path: Path) -> None:
    model = to_onnx(quantized_of(), 40, 97, 4, "net")
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    quantizer = next(node for node in nodes if nodes[at].output[0] in node.input)
    nodes.insert(at + 1, onnx.helper.make_node("Sin", [nodes[at].output[0]], ["sine"]))
    quantizer.input[0] = "sine"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    found = operators_of(optimized(model, tmp_path / "fused.onnx"))
    assert FLOAT_OPERATORS & found.keys()


@pytest.mark.parametrize("shape", KINDS)
def test_ends_are_int8_and_named(quantized_of: Make, shape: dict[str, object]) -> None:
    session = open_session(to_onnx(quantized_of(**shape), 40, 97, 4, "net").SerializeToString())
    [entry], [leave] = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == ("features", "tensor(int8)", [1, 40, 97])
    assert (leave.name, leave.type, leave.shape) == ("logits", "tensor(int8)", [1, 4])


def test_weights_are_those_of_the_simulation(quantized_of: Make) -> None:
    network = quantized_of(kind="2d")
    model = to_onnx(network, 40, 97, 4, "net")
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    producer = {node.output[0]: node for node in model.graph.node}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    wanted = [o for o in network.operators if o.weight is not None]
    for node, operator in zip(convs, wanted, strict=True):
        weight, bias = (producer[name] for name in node.input[1:3])
        codes, scale, zero = (values[name] for name in weight.input)
        assert codes.dtype == np.uint8
        assert (zero == 128).all()
        real, real_bias = (value.detach().numpy() for value in network._weight_and_bias(operator))
        got = (codes.astype(np.float32) - 128) * scale.reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(got.reshape(real.shape), real, rtol=1e-5, atol=1e-8)
        integers, step = (values[name] for name in bias.input[:2])
        assert integers.dtype == np.int32
        np.testing.assert_allclose(integers * step, real_bias, rtol=1e-5, atol=float(step.max()) / 100)


def test_the_file_is_hardly_more_than_its_weights(quantized_of: Make) -> None:
    network = quantized_of(channels=64, blocks=7, kernel=9)
    weights = sum(p.numel() for p in network.weights.values())
    assert weights == 40 * 5 * 64 + 7 * (9 * 64 + 64 * 64) + 64 * 4
    size = len(to_onnx(network, 40, 97, 4, "net").SerializeToString())
    channels = 64 * (1 + 2 * 7) + 4
    assert size < weights + channels * (4 + 4 + 4 + 1) + 12_000


def test_the_same_network_gives_the_same_bytes(quantized_of: Make) -> None:
    one, two = (to_onnx(quantized_of(), 40, 97, 4, "net").SerializeToString() for _ in range(2))
    assert one == two


def test_constants_are_kept_once(quantized_of: Make) -> None:
    tensors = to_onnx(quantized_of(), 40, 97, 4, "net").graph.initializer
    content = [(t.data_type, tuple(t.dims), t.raw_data) for t in tensors]
    assert len(set(content)) == len(content)
