"""The addition in C is that of onnxruntime for every pair of codes, in every block of the shipped models."""

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tinyhark.app.model import Model
from tinyhark.app.session import open_session
from tinyhark.export.c_export import export_c

PROBE = """
#include "hark_model.c"
void probe(int block, uint8_t sums[65536]);
void probe(int block, uint8_t sums[65536])
{
    int i;
    for (i = 0; i < 65536; i++) {
        sums[i] = (uint8_t)(added(&hark_blocks[block].add, i / 256 - 128, i % 256 - 128) + 128);
    }
}
"""
Codes = NDArray[np.uint8]


def fuses() -> bool:
    """Whether onnxruntime multiplies and adds in one here: then C is equal to the last bit."""
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and cpuinfo.exists() and " fma " in cpuinfo.read_text()


def additions(network: onnx.ModelProto) -> Iterator[list[Any]]:
    """Scale and zero point of both terms and of the sum, of each addition."""
    constants = {t.name: numpy_helper.to_array(t) for t in network.graph.initializer}
    maker = {name: node for node in network.graph.node for name in node.output}
    taker = {name: node for node in network.graph.node for name in node.input}
    for node in network.graph.node:
        if node.op_type == "Add":
            around = [*(maker[name] for name in node.input), taker[node.output[0]]]
            yield [constants[name] for one in around for name in one.input[1:]]


def by_onnxruntime(parameters: list[Any]) -> Codes:
    """All 65,536 sums: of term 0 and 0, 0 and 1, ..."""
    names = ["scale_a", "zero_a", "scale_b", "zero_b", "scale_c", "zero_c"]
    nodes = [
        helper.make_node("DequantizeLinear", ["a", "scale_a", "zero_a"], ["real_a"]),
        helper.make_node("DequantizeLinear", ["b", "scale_b", "zero_b"], ["real_b"]),
        helper.make_node("Add", ["real_a", "real_b"], ["real_c"]),
        helper.make_node("QuantizeLinear", ["real_c", "scale_c", "zero_c"], ["c"]),
    ]
    a, b, c = (helper.make_tensor_value_info(name, TensorProto.UINT8, [65536]) for name in "abc")
    constants = [numpy_helper.from_array(value, name) for name, value in zip(names, parameters, strict=True)]
    graph = helper.make_graph(nodes, "add", [a, b], [c], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    codes = np.arange(256, dtype=np.uint8)
    terms = {"a": codes.repeat(256), "b": np.tile(codes, 256)}
    sums: Codes = open_session(network.SerializeToString()).run(None, terms)[0]
    return sums


@pytest.mark.parametrize("name", ["commands", "commands-streaming", "wake"])
def test_every_pair_of_codes(name: str, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc here")
    model = Model.load(name)
    export_c(model, tmp_path)
    (tmp_path / "probe.c").write_text(PROBE)
    library = tmp_path / "probe.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, tmp_path / "probe.c"], check=True)
    probe = ctypes.CDLL(str(library)).probe
    blocks = list(additions(onnx.load(model.path)))
    assert len(blocks) == 7
    for block, parameters in enumerate(blocks):
        sums = np.empty(65536, np.uint8)
        probe(block, ctypes.c_void_p(sums.ctypes.data))
        difference = np.abs(sums.astype(int) - by_onnxruntime(parameters))
        assert difference.max() <= (0 if fuses() else 1)
        assert (difference > 0).sum() <= 10
