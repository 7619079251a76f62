"""The network in int8, as torch computes it: weights per channel, activations per tensor, biases in int32.

It is both the simulation that the exported file must agree with and the network that fine-tuning trains.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .graph import Operator

QUANTIZED = ("conv", "add", "pool", "linear")  # operators whose output gets a scale of its own
LOW, HIGH = -128, 127  # activations
WEIGHT_LIMIT = 127  # weights are symmetric: -127..127


class QuantizedNetwork(nn.Module):
    """[batch, n_mfcc, frames] features -> [batch, labels] logits that are multiples of `logit_scale`.

    input_scale: what one step of the int8 features is worth. calibrate() comes before the first use.
    """

    def __init__(self, operators: list[Operator], input_scale: float) -> None:
        super().__init__()
        self.operators = operators
        self.weights = nn.ParameterDict(
            {o.name: nn.Parameter(o.weight.clone()) for o in operators if o.weight is not None}
        )
        self.biases = nn.ParameterDict({o.name: nn.Parameter(o.bias.clone()) for o in operators if o.bias is not None})
        self.scales: dict[str, tuple[float, int]] = {"": (input_scale, 0)}  # by operator: scale, zero point
        self.quantize = True

    @property
    def logit_scale(self) -> float:
        """What one step of the output codes is worth."""
        return self.scales[self.operators[-1].name][0]

    def scale_of(self, name: str) -> tuple[float, int]:
        """Scale and zero point of the tensor `name`, through operators that do not compute."""
        by_name = {o.name: o for o in self.operators}
        while name not in self.scales:
            inputs = by_name[name].inputs
            name = inputs[0] if inputs else ""
        return self.scales[name]

    def weight_scale(self, name: str) -> Tensor:
        """[out] float32 steps of the weights of `name`."""
        weight: Tensor = self.weights[name].detach()
        return weight.abs().flatten(1).amax(1).clamp(min=1e-8) / WEIGHT_LIMIT

    def weight_codes(self, name: str) -> Tensor:
        """Weights of `name` in steps of their scale: whole numbers, -127..127, as they stand in the file."""
        weight: Tensor = self.weights[name].detach()
        scale = self.weight_scale(name).reshape(-1, *[1] * (weight.ndim - 1))
        return (weight / scale).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)

    def bias_codes(self, name: str, of_input: str) -> Tensor:
        """Biases of `name`, which takes the output of `of_input`, in steps of its products: whole numbers."""
        step = self.weight_scale(name) * self.scale_of(of_input)[0]
        codes: Tensor = (self.biases[name].detach() / step).round()
        return codes

    @torch.no_grad()
    def exact(self) -> "QuantizedNetwork":
        """A copy that computes in float64 with the numbers of the file: the integer arithmetic as it is meant.

        In float32 the errors of torch's sums flip a rounding here and there, and what follows makes more of it.
        """
        copied = copy.deepcopy(self).double()
        for operator in self.operators:
            if operator.weight is None:
                continue
            name, (of_input,) = operator.name, operator.inputs
            codes, scale = self.weight_codes(name).double(), self.weight_scale(name).double()
            copied.weights[name].copy_(codes * scale.reshape(-1, *[1] * (codes.ndim - 1)))
            copied.biases[name].copy_(self.bias_codes(name, of_input).double() * scale * self.scale_of(of_input)[0])
        return copied

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Choose each activation's range: the one whose clipping and rounding together cost least (mean square)."""
        seen: dict[str, list[Tensor]] = {}
        self.quantize = False
        for batch in batches:
            values = self._run(batch)
            for operator in self.operators:
                if operator.kind in QUANTIZED:
                    seen.setdefault(operator.name, []).append(_sample(values[operator.name]))
        self.quantize = True
        for operator in self.operators:
            if operator.kind in QUANTIZED:
                final = operator is self.operators[-1]
                self.scales[operator.name] = _best_range(torch.cat(seen[operator.name]), operator.relu, final)

    def forward(self, x: Tensor) -> Tensor:
        """-> [batch, labels]."""
        return self._run(x)[self.operators[-1].name]

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """-> [batch, labels] int8 logit codes."""
        scale, zero = self.scales[self.operators[-1].name]
        logits: Tensor = self(x)
        return (logits / scale + zero).round().clamp(LOW, HIGH).to(torch.int8)

    def _run(self, x: Tensor) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        for operator in self.operators:
            value = self._compute(operator, [values[name] for name in operator.inputs] or [x])
            if operator.relu:
                value = F.relu(value)
            if self.quantize and operator.kind in QUANTIZED:
                scale, zero = self.scales[operator.name]
                value = torch.fake_quantize_per_tensor_affine(value, scale, zero, LOW, HIGH)
            values[operator.name] = value
        return values

    def _compute(self, operator: Operator, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        if operator.kind == "conv":
            weight, bias = self._weight_and_bias(operator)
            return F.conv2d(x, weight, bias, operator.stride, operator.padding, 1, operator.groups)
        if operator.kind == "linear":
            return F.linear(x, *self._weight_and_bias(operator))
        if operator.kind == "add":
            return x + inputs[1]
        if operator.kind == "pool":
            return F.avg_pool2d(x, operator.kernel)
        if operator.kind == "unsqueeze":
            return x.unsqueeze(operator.axis)
        if operator.kind == "flatten":
            return x.flatten(1)
        if operator.kind == "cut":
            return x[..., operator.cut : -operator.cut]
        return x

    def _weight_and_bias(self, operator: Operator) -> tuple[Tensor, Tensor]:
        weight, bias = self.weights[operator.name], self.biases[operator.name]
        if not self.quantize:
            return weight, bias
        scale = self.weight_scale(operator.name)
        zeros = torch.zeros(len(scale), dtype=torch.int32, device=scale.device)
        weight = torch.fake_quantize_per_channel_affine(weight, scale.float(), zeros, 0, -WEIGHT_LIMIT, WEIGHT_LIMIT)
        step = scale * self.scale_of(operator.inputs[0])[0]
        return weight, bias + ((bias / step).round() * step - bias).detach()  # int32 at the scale of the products


def _sample(values: Tensor, count: int = 100_000) -> Tensor:
    flat = values.detach().flatten()
    return flat[:: max(1, len(flat) // count)]


def _best_range(values: Tensor, relu: bool, final: bool) -> tuple[float, int]:
    """(scale, zero point); logits and pooled sums are not clipped: their extremes are what decides."""
    low, high = float(values.min().clamp(max=0)), float(values.max().clamp(min=1e-6))
    if relu:
        low = 0.0
    best, chosen = float("inf"), (1.0, 0)
    for share in (1.0,) if final else torch.linspace(1.0, 0.3, 36).tolist():
        scale = max((high - low) * share, 1e-6) / (HIGH - LOW)
        zero = max(LOW, min(HIGH, round(LOW - low * share / scale)))
        error = torch.fake_quantize_per_tensor_affine(values, scale, zero, LOW, HIGH) - values
        cost = float(error.square().mean())
        if cost < best:
            best, chosen = cost, (scale, zero)
    return chosen
