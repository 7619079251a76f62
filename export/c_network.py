"""An int8 QDQ graph of ours as the layers that the C port computes, with every scale as an integer multiplier."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tinyhark.app.errors import ModelError

Codes = NDArray[np.int8]
Integers = NDArray[np.int64]

_OFFSET = 128  # uint8 code = int8 code + 128
_SUM_LIMIT = 2**31
_ADD_BITS = 31  # of the larger multiplier of an addition
_MOST_SHIFT = 17  # `requantized` in hark_model.c
_LARGEST_SCALE = 4  # of channels with few and large steps
_POOL_BITS = 8  # that a sum of pooled codes is shifted up by, so that means over few columns have a multiplier, too
SHAPE = "a 1d network as `hark train` writes it: a stem, blocks of depthwise, pointwise and add, a pool, a classifier"


@dataclass(frozen=True)
class Layer:
    """A convolution in time: code = clip(round((weights . inputs + biases) * scales) + zero).

    weights: [out, taps, in / groups] int8; biases: [out], with the input's zero point; scales: [out]; bound: no sum is
    as large.
    """

    weights: Codes
    biases: Integers
    scales: NDArray[np.float64]
    zero_in: int
    zero: int
    stride: int
    padding: int
    depthwise: bool
    bound: int

    @property
    def taps(self) -> int:
        """Columns that an output sees."""
        return int(self.weights.shape[1])

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.weights.shape[0])

    @property
    def multiply_accumulates(self) -> int:
        """Of one column."""
        return self.weights.size


@dataclass(frozen=True)
class Add:
    """code + 128 = clip(round((first * (x + 128) + second * (y + 128) + fixed) / 2**shift))."""

    first: int
    second: int
    fixed: int
    shift: int


@dataclass(frozen=True)
class Block:
    """x + pointwise(depthwise(x)); without padding x is cut to its middle."""

    depthwise: Layer
    pointwise: Layer
    add: Add


@dataclass(frozen=True)
class Network:
    """The whole network; pooled: columns that the mean is over; pool: (multiplier, shift, zero in, zero out)."""

    stem: Layer
    blocks: tuple[Block, ...]
    pooled: int
    pool: tuple[int, int, int, int]
    classifier: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All convolutions, in their order."""
        inner = (layer for block in self.blocks for layer in (block.depthwise, block.pointwise))
        return (self.stem, *inner, self.classifier)

    @property
    def sum_bits(self) -> int:
        """That all sums but the pool's are shifted up by, so that the largest scale has a multiplier; mostly 0."""
        largest = max(float(layer.scales.max()) for layer in self.layers)
        return max(0, math.frexp(largest)[1] + 2)

    @property
    def padded(self) -> bool:
        """Whether columns near the window's ends depend on where it ends."""
        return any(layer.padding for layer in (self.stem, *(b.depthwise for b in self.blocks)))


@dataclass(frozen=True)
class _Value:
    """A tensor: what made it, and the scale and the int8 zero point of its codes; cut: columns taken off both ends."""

    made: Any
    scale: np.float32
    zero: int
    cut: int = 0


class _Reader:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.values: dict[str, _Value] = {}
        self.real: dict[str, Any] = {}  # what a float tensor is: a _Value that was dequantized, or a node
        self.weights: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {}

    def read(self, node: onnx.NodeProto) -> None:
        kind, source, out = node.op_type, node.input[0], node.output[0]
        if kind == "DequantizeLinear" and source in self.constants:
            codes, steps, *zeros = (self.constants[name] for name in node.input)
            _require(all((zero == _OFFSET).all() for zero in zeros), "weights that are not symmetric")
            self.weights[out] = codes, steps
        elif kind == "DequantizeLinear":
            if source not in self.values:  # the features
                self.values[source] = _Value(None, *self.parameters(node))
            self.real[out] = self.values[source]
        elif kind == "QuantizeLinear":
            self.values[out] = self.quantized(self.real[source], *self.parameters(node))
        elif kind in ("Conv", "Add", "AveragePool"):
            self.real[out] = node
        elif kind == "Flatten":
            self.real[out] = self.real[source]
        elif kind == "Slice" and self.values[source].cut == 0:
            start, end = (int(self.constants[name].item()) for name in node.input[1:3])
            _require(start == -end > 0, "a slice that is not of both ends alike")
            self.values[out] = replace(self.values[source], cut=start)
        else:
            _require(False, f"an operator {kind}")

    def parameters(self, node: onnx.NodeProto) -> tuple[np.float32, int]:
        """Scale and int8 zero point of a node that quantizes or dequantizes."""
        scale, zero = (self.constants[name] for name in node.input[1:])
        return np.float32(scale), int(zero) - (_OFFSET if zero.dtype == np.uint8 else 0)

    def quantized(self, real: Any, scale: np.float32, zero: int) -> _Value:
        if isinstance(real, _Value):  # only the type of the codes changes
            _require((real.scale, real.zero) == (scale, zero), "codes that change their scale")
            return real
        made = {"Conv": self.convolution, "Add": self.addition, "AveragePool": self.pool}[real.op_type]
        return _Value(made(real, scale, zero), scale, zero)

    def convolution(self, node: onnx.NodeProto, scale: np.float32, zero: int) -> "_Made":
        x = self.real[node.input[0]]
        codes, steps = self.weights[node.input[1]]
        biases = self.weights[node.input[2]][0].astype(np.int64)
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        _require(codes.ndim == 3 and codes.dtype == np.uint8, f"weights {codes.dtype} of {codes.ndim} dimensions")
        pads, group = attributes.get("pads", [0, 0]), attributes.get("group", 1)
        _require(pads[0] == pads[1] and group in (1, codes.shape[0]), "uneven padding, or groups")
        weights = (codes.astype(np.int16) - _OFFSET).astype(np.int8).transpose(0, 2, 1)
        wide = weights.astype(np.int64)
        biases = biases - x.zero * wide.sum(axis=(1, 2))
        bound = int((np.abs(wide).sum(axis=(1, 2)) * 128 + np.abs(biases)).max())
        scales = (x.scale * steps / scale).astype(np.float64)
        stride = attributes.get("strides", [1])[0]
        layer = Layer(
            weights,
            biases,
            scales,
            x.zero,
            zero,
            stride,
            pads[0],
            group > 1,
            bound,
        )
        return _Made(layer, (x,))

    def addition(self, node: onnx.NodeProto, scale: np.float32, zero: int) -> "_Made":
        first, second = (self.real[name] for name in node.input)
        ratios = [first.scale / scale, second.scale / scale]
        shift = _ADD_BITS - math.frexp(max(ratios))[1]
        _require(20 <= shift <= 40, f"an addition whose scales differ by {max(ratios):.3g}")
        a, b = (min(_SUM_LIMIT - 1, round(float(ratio) * 2**shift)) for ratio in ratios)
        zeros = [np.float32(value.zero + _OFFSET) for value in (first, second)]
        # In float32, as onnxruntime has it.
        fixed = np.float32(zero + _OFFSET) - (ratios[0] * zeros[0] + ratios[1] * zeros[1])
        return _Made(Add(a, b, round(float(fixed) * 2**shift), shift), (first, second))

    def pool(self, node: onnx.NodeProto, scale: np.float32, zero: int) -> "_Made":
        x = self.real[node.input[0]]
        columns = int(next(helper.get_attribute_value(a)[0] for a in node.attribute if a.name == "kernel_shape"))
        _require(255 * columns << _POOL_BITS < _SUM_LIMIT, f"a pool over {columns} columns")
        return _Made(
            (columns, *multiplier(float(x.scale) / float(scale) / columns / 2**_POOL_BITS), x.zero, zero), (x,)
        )


@dataclass(frozen=True)
class _Made:
    """A layer and the values that it took."""

    layer: Any
    inputs: tuple[_Value, ...]


def multiplier(scale: float) -> tuple[int, int]:
    """A scale below 1/4 as (m, s), m below 2**31 and s 1 to 17, with scale = m / 2**(32 + s).

    Exact for a float32 of 2**-25 or more.
    """
    _require(0 < scale < 0.25, f"a scale of {scale:.3g} from sums to codes")
    shift = min(_MOST_SHIFT, -1 - math.frexp(scale)[1])
    return min(_SUM_LIMIT - 1, round(math.ldexp(scale, 32 + shift))), shift


def read_network(model: onnx.ModelProto) -> Network:
    """The layers of a model file's graph; raises ModelError with what the C port cannot compute."""
    reader = _Reader(model.graph)
    try:
        for node in model.graph.node:
            reader.read(node)
        network = _assembled(reader.values[model.graph.output[0].name])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"its network is not {SHAPE}") from error
    for layer in network.layers:
        smallest, largest = layer.scales.min(), layer.scales.max()
        wrong = smallest if smallest <= 0 else largest
        _require(smallest > 0 and largest < _LARGEST_SCALE, f"a scale of {wrong:.3g} from sums to codes")
        _require(layer.bound << network.sum_bits < _SUM_LIMIT, f"sums up to {layer.bound}, more than 32 bits hold")
    return network


def _assembled(logits: _Value) -> Network:
    """From the classifier back to the features."""
    classifier, pool = logits.made, logits.made.inputs[0].made
    pooled, *means = pool.layer
    blocks: list[Block] = []
    value = pool.inputs[0]
    while isinstance(value.made.layer, Add):
        skipped, inner = value.made.inputs
        pointwise, depthwise = inner.made, inner.made.inputs[0].made
        block = Block(depthwise.layer, pointwise.layer, value.made.layer)
        source = depthwise.inputs[0]
        missing = block.depthwise.taps - 1 - 2 * block.depthwise.padding
        _require(
            block.depthwise.depthwise
            and not block.pointwise.depthwise
            and (block.pointwise.taps, block.depthwise.stride, block.pointwise.stride) == (1, 1, 1)
            and skipped.made is source.made
            and (source.cut, 2 * skipped.cut, block.depthwise.taps % 2) == (0, missing, 1),
            "a block of another form",
        )
        blocks.insert(0, block)
        value = source
    stem = value.made
    _require(stem.inputs[0].made is None and classifier.layer.taps == 1, "another order of layers")
    return Network(stem.layer, tuple(blocks), pooled, (means[0], means[1], means[2], means[3]), classifier.layer)


def _require(condition: bool, found: str) -> None:
    if not condition:
        raise ModelError(f"its network has {found}; C can be written for {SHAPE}")
