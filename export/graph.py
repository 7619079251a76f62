"""A torch network as a list of operators: traced, batch normalisation folded, each ReLU merged into what it follows."""

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tinyhark.app.errors import HarkError

Pair = tuple[int, int]


@dataclass
class Operator:
    """One step: `kind` is input, unsqueeze, conv, add, cut, pool, flatten or linear; inputs name other operators.

    weight, bias: of conv [out, in / groups, height, width] and linear [out, in]; stride, padding, kernel: (height,
    time); axis: where unsqueeze puts its axis; cut: columns taken off both ends.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    relu: bool = False
    weight: Tensor | None = None
    bias: Tensor | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    kernel: Pair = (1, 1)
    groups: int = 1
    axis: int = 0
    cut: int = 0


def operators(network: nn.Module) -> list[Operator]:
    """The network's operators in the order they run; raises HarkError for one that an integer port could not do."""
    network = network.eval().cpu()
    modules = dict(network.named_modules())
    found: dict[str, Operator] = {}
    alias: dict[str, str] = {}  # nodes that were merged into the operator before them
    convs: dict[str, nn.Conv2d] = {}
    for node in fx.symbolic_trace(network).graph.nodes:
        inputs = tuple(alias.get(n.name, n.name) for n in node.all_input_nodes)
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, nn.ReLU):
            _require(_follows(node, found, inputs, ("conv", "add", "linear")), node, layer)
            found[inputs[0]].relu = True
            alias[node.name] = inputs[0]
        elif isinstance(layer, nn.BatchNorm2d):
            _require(_follows(node, found, inputs, ("conv",)) and not found[inputs[0]].relu, node, layer)
            conv = convs[inputs[0]] = fuse_conv_bn_eval(convs[inputs[0]], layer)
            assert conv.bias is not None
            found[inputs[0]].weight, found[inputs[0]].bias = conv.weight.detach(), conv.bias.detach()
            alias[node.name] = inputs[0]
        elif node.op != "output":
            if isinstance(layer, nn.Conv2d):
                convs[node.name] = layer
            found[node.name] = _operator(node, inputs, layer)
    return list(found.values())


def _follows(node: fx.Node, found: dict[str, Operator], inputs: tuple[str, ...], kinds: tuple[str, ...]) -> bool:
    """Whether `node` can be merged into the one before it: an operator of these kinds that nothing else reads."""
    return found[inputs[0]].kind in kinds and len(node.all_input_nodes[0].users) == 1


def _require(condition: bool, node: fx.Node, layer: nn.Module | None) -> None:
    if not condition:
        what = getattr(node.target, "__name__", node.target) if layer is None else " ".join(str(layer).split())
        raise HarkError(
            f"the network's {node.name} is {what}, which has no integer form here; use Conv2d, BatchNorm2d after it, "
            "ReLU after either or +, AvgPool2d without overlap, Flatten, Linear, unsqueeze(n), x[..., n:-n]"
        )


def _operator(node: fx.Node, inputs: tuple[str, ...], layer: nn.Module | None) -> Operator:
    name = node.name
    if node.op == "placeholder":
        return Operator("input", name, ())
    if isinstance(layer, nn.Conv2d):
        plain = _pair(layer.dilation) == (1, 1) and layer.padding_mode == "zeros"
        _require(plain and not isinstance(layer.padding, str), node, layer)
        bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
        return Operator(
            "conv",
            name,
            inputs,
            weight=layer.weight.detach(),
            bias=bias,
            stride=_pair(layer.stride),
            padding=_pair(layer.padding),
            kernel=_pair(layer.kernel_size),
            groups=layer.groups,
        )
    if isinstance(layer, nn.Linear):
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
        return Operator("linear", name, inputs, weight=layer.weight.detach(), bias=bias)
    if isinstance(layer, nn.AvgPool2d):
        whole = _pair(layer.stride) == _pair(layer.kernel_size) and _pair(layer.padding) == (0, 0)
        _require(whole and not layer.ceil_mode and layer.divisor_override is None, node, layer)
        return Operator("pool", name, inputs, kernel=_pair(layer.kernel_size))
    if isinstance(layer, nn.Flatten):
        _require((layer.start_dim, layer.end_dim) == (1, -1), node, layer)
        return Operator("flatten", name, inputs)
    if node.op == "call_method" and node.target == "unsqueeze" and isinstance(node.args[-1], int):
        return Operator("unsqueeze", name, inputs, axis=node.args[-1])
    if node.op == "call_function" and node.target is operator.add and len(inputs) == 2:
        return Operator("add", name, inputs)
    if node.op == "call_function" and node.target is operator.getitem:
        return Operator("cut", name, inputs, cut=_columns_cut(node.args[1]))
    _require(False, node, layer)
    raise AssertionError


def _pair(value: Any) -> Pair:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))


def _columns_cut(index: Any) -> int:
    """`x[..., n:-n]` -> n."""
    if isinstance(index, tuple) and len(index) == 2 and index[0] is Ellipsis and isinstance(index[1], slice):
        start, stop, step = index[1].start, index[1].stop, index[1].step
        if isinstance(start, int) and start > 0 and stop == -start and step is None:
            return start
    raise HarkError(f"the network cuts with {index}; only x[..., n:-n] can be exported")
