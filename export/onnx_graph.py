"""The quantized network as an ONNX graph of QuantizeLinear and DequantizeLinear around float operators (QDQ).

Its ends are int8. Inside, every int8 value q stands as the uint8 q + 128, weights too: the same integers in the form
that onnxruntime computes exactly and fast on every processor (docs/decisions/uint8-inside.md). ReLU needs no node: an
output whose zero point is the lowest code cannot be negative.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .graph import Operator, Pair
from .quantization import QuantizedNetwork

OFFSET = 128  # uint8 code = int8 code + OFFSET
OPSET = 13
IR_VERSION = 8


class _Writer:
    def __init__(self, network: QuantizedNetwork) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.short: dict[str, str] = {}  # operator -> its uint8 tensor; names count towards the size of the file
        # Where one axis is 1 throughout, it is left out: onnxruntime is faster at one-dimensional convolutions.
        self.flat = all(o.axis in (0, 2) and o.kernel[0] == 1 for o in network.operators)
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}  # equal ones are kept once
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, values: Any, dtype: Any) -> str:
        array: NDArray[Any] = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.name()
            self.initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or self.name()
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def axes(self, pair: Pair) -> tuple[int, ...]:
        return pair[1:] if self.flat else pair

    def dequantized(self, operator_name: str) -> str:
        scale, zero = self.network.scale_of(operator_name)
        inputs = [self.short[operator_name], self.constant(scale, np.float32), self.constant(zero + OFFSET, np.uint8)]
        return self.node("DequantizeLinear", inputs)

    def quantized(self, real: str, scale: float, zero: int) -> str:
        inputs = [real, self.constant(scale, np.float32), self.constant(zero + OFFSET, np.uint8)]
        return self.node("QuantizeLinear", inputs)

    def parameters(self, operator: Operator) -> list[str]:
        network, name = self.network, operator.name
        scale = network.weight_scale(name).cpu().numpy()
        codes = network.weight_codes(name).cpu().numpy()
        if operator.kind == "linear":
            codes = codes.reshape(*codes.shape, *[1] * len(self.axes((1, 1))))
        elif self.flat:
            codes = codes[:, :, 0]
        step = (scale * np.float32(network.scale_of(operator.inputs[0])[0])).astype(np.float32)
        bias = network.bias_codes(name, operator.inputs[0]).cpu().numpy()
        zeros = self.constant(np.full(len(scale), OFFSET), np.uint8)
        weights = [self.constant(codes + OFFSET, np.uint8), self.constant(scale, np.float32), zeros]
        biases = [self.constant(bias, np.int32), self.constant(step, np.float32)]
        return [self.node("DequantizeLinear", weights, axis=0), self.node("DequantizeLinear", biases, axis=0)]

    def write(self, operator: Operator) -> None:
        kind = operator.kind
        if kind == "input":
            scale, zero = self.network.scale_of(operator.name)
            codes = ["features", self.constant(scale, np.float32), self.constant(zero, np.int8)]
            self.short[operator.name] = self.quantized(self.node("DequantizeLinear", codes), scale, zero)
        elif kind == "flatten" or (kind == "unsqueeze" and self.flat):
            self.short[operator.name] = self.short[operator.inputs[0]]
        elif kind == "unsqueeze":
            axes = self.constant([operator.axis], np.int64)
            self.short[operator.name] = self.node("Unsqueeze", [self.short[operator.inputs[0]], axes])
        elif kind == "cut":
            ends = [self.constant([operator.cut], np.int64), self.constant([-operator.cut], np.int64)]
            axes = self.constant([2 if self.flat else 3], np.int64)
            self.short[operator.name] = self.node("Slice", [self.short[operator.inputs[0]], *ends, axes])
        else:
            self.compute(operator)

    def compute(self, operator: Operator) -> None:
        x = [self.dequantized(name) for name in operator.inputs]
        if operator.kind == "conv":
            y = self.node(
                "Conv",
                [*x, *self.parameters(operator)],
                kernel_shape=self.axes(operator.kernel),
                strides=self.axes(operator.stride),
                pads=[*self.axes(operator.padding), *self.axes(operator.padding)],
                group=operator.groups,
            )
        elif operator.kind == "linear":
            # A convolution of size 1 over what the pool left: a Gemm takes another path, with other types.
            y = self.node("Conv", [*x, *self.parameters(operator)], kernel_shape=self.axes((1, 1)))
        elif operator.kind == "add":
            y = self.node("Add", x)
        else:
            y = self.node("AveragePool", x, kernel_shape=self.axes(operator.kernel))
        self.short[operator.name] = self.quantized(y, *self.network.scales[operator.name])

    def finish(self) -> None:
        name = self.network.operators[-1].name
        scale, zero = self.network.scales[name]
        row = self.node("Flatten", [self.dequantized(name)], axis=1)
        codes = [row, self.constant(scale, np.float32), self.constant(zero, np.int8)]
        self.node("QuantizeLinear", codes, "logits")


def to_onnx(network: QuantizedNetwork, n_mfcc: int, frames: int, labels: int, name: str) -> onnx.ModelProto:
    """int8 [1, n_mfcc, frames] -> int8 [1, labels], checked by onnx's own checker."""
    writer = _Writer(network)
    for operator in network.operators:
        writer.write(operator)
    writer.finish()
    features = helper.make_tensor_value_info("features", TensorProto.INT8, [1, n_mfcc, frames])
    logits = helper.make_tensor_value_info("logits", TensorProto.INT8, [1, labels])
    graph = helper.make_graph(writer.nodes, name, [features], [logits], writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "tinyhark"
    onnx.checker.check_model(model, full_check=True)
    return model
