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
            found[inputs[0]].relu = True
            alias[node.name] = inputs[0]
        elif isinstance(layer, nn.BatchNorm2d):
            conv = convs[inputs[0]] = fuse_conv_bn_eval(convs[inputs[0]], layer)
            assert conv.bias is not None
            found[inputs[0]].weight, found[inputs[0]].bias = conv.weight.detach(), conv.bias.detach()
            alias[node.name] = inputs[0]
        elif node.op != "output":
            if isinstance(layer, nn.Conv2d):
                convs[node.name] = layer
            found[node.name] = _operator(node, inputs, layer)
    return list(found.values())


def _operator(node: fx.Node, inputs: tuple[str, ...], layer: nn.Module | None) -> Operator:
    name = node.name
    if node.op == "placeholder":
        return Operator("input", name, ())
    if isinstance(layer, nn.Conv2d):
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
        return Operator("linear", name, inputs, weight=layer.weight.detach(), bias=layer.bias.detach())
    if isinstance(layer, nn.AvgPool2d):
        return Operator("pool", name, inputs, kernel=_pair(layer.kernel_size))
    if isinstance(layer, nn.Flatten):
        return Operator("flatten", name, inputs)
    if node.op == "call_method" and node.target == "unsqueeze" and isinstance(node.args[1], int):
        return Operator("unsqueeze", name, inputs, axis=node.args[1])
    if node.op == "call_function" and node.target is operator.add and len(inputs) == 2:
        return Operator("add", name, inputs)
    if node.op == "call_function" and node.target is operator.getitem:
        return Operator("cut", name, inputs, cut=_columns_cut(node.args[1]))
    what = type(layer).__name__ if layer is not None else str(node.target)
    raise HarkError(
        f"the network's {name} is {what}, which has no integer form here; "
        "use Conv2d, BatchNorm2d, ReLU, +, AvgPool2d, Flatten, Linear"
    )


def _pair(value: Any) -> Pair:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))


def _columns_cut(index: Any) -> int:
    """`x[..., n:-n]` -> n."""
    last = index[-1] if isinstance(index, tuple) else index
    if isinstance(last, slice) and last.step is None and last.stop == -last.start:
        return int(last.start)
    raise HarkError(f"the network cuts with {index}; only x[..., n:-n] can be exported")
