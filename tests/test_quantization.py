"""The network in int8 as torch simulates it: codes, ranges, biases, and gradients that reach the weights."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tinyhark.export.graph import operators  # noqa: E402
from tinyhark.export.quantization import QUANTIZED, QuantizedNetwork, _best_range  # noqa: E402
from tinyhark.training.network import DSCNN  # noqa: E402

Make = Callable[..., QuantizedNetwork]

KINDS = [{"kind": kind, "padded": padded} for kind in ("1d", "2d") for padded in (True, False)]


def codes(value: Tensor, scale: float, zero: int) -> Tensor:
    """The codes of a tensor that must lie on the grid of `scale` and `zero`."""
    exact = value.double() / scale + zero
    assert (exact - exact.round()).abs().max() < 1e-3
    return exact.round()


@pytest.mark.parametrize("shape", KINDS)
def test_every_activation_is_int8(quantized_of: Make, windows: Tensor, shape: dict[str, object]) -> None:
    network = quantized_of(**shape)
    with torch.no_grad():
        values = network._run(windows)
    for operator in network.operators:
        got = codes(values[operator.name], *network.scale_of(operator.name))
        assert got.min() >= -128
        assert got.max() <= 127
        if operator.kind in QUANTIZED:
            assert got.unique().numel() > 30


def test_codes_are_the_logits(quantized_of: Make, windows: Tensor) -> None:
    network = quantized_of()
    with torch.no_grad():
        logits, got = network(windows), network.codes(windows)
    zero = network.scale_of(network.operators[-1].name)[1]
    assert got.dtype == torch.int8
    assert got.shape == (len(windows), 4)
    torch.testing.assert_close((got.float() - zero) * network.logit_scale, logits)
    assert network.logit_scale > 0


def test_relu_outputs_begin_at_the_lowest_code(quantized_of: Make) -> None:
    network = quantized_of()
    zeros = {o.kind + "+relu" * o.relu: network.scales[o.name][1] for o in network.operators if o.kind in QUANTIZED}
    assert zeros["conv+relu"] == zeros["add+relu"] == -128
    assert -128 < zeros["conv"] < 127
    assert network.scales[""] == (1 / 32, 0)
    assert network.scale_of("x") == (1 / 32, 0), "what does not compute has the scale of its input"


@pytest.mark.parametrize("shape", KINDS)
def test_weights_and_biases_are_integers(quantized_of: Make, shape: dict[str, object]) -> None:
    network = quantized_of(**shape)
    for operator in network.operators:
        if operator.kind not in ("conv", "linear"):
            continue
        weight, bias = network._weight_and_bias(operator)
        scale = network.weight_scale(operator.name)
        assert scale.shape == (len(weight),)
        steps = (weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).detach()
        assert (steps - steps.round()).abs().max() < 1e-4
        assert steps.round().abs().flatten(1).amax(1).eq(127).all(), "each channel uses the whole range"
        in_steps = (bias.double() / (scale.double() * network.scale_of(operator.inputs[0])[0])).detach()
        assert (in_steps - in_steps.round()).abs().max() < 0.02  # float32 holds it to 2**-24 of its size
        assert in_steps.abs().max() < 2**31
        original = network.biases[operator.name]
        step = scale * network.scale_of(operator.inputs[0])[0]
        assert ((bias - original).abs() <= 0.501 * step).all()


@pytest.mark.parametrize("shape", KINDS)
def test_int8_answers_nearly_as_float_does(
    network_of: Callable[..., DSCNN], quantized_of: Make, windows: Tensor, shape: dict[str, object]
) -> None:
    with torch.no_grad():
        wanted, got = network_of(**shape)(windows), quantized_of(**shape)(windows)
    assert (got - wanted).square().mean().sqrt() < 0.1 * wanted.std()


def test_logits_are_never_clipped(quantized_of: Make, windows: Tensor, network_of: Callable[..., DSCNN]) -> None:
    network = quantized_of()
    scale, zero = network.scale_of(network.operators[-1].name)
    with torch.no_grad():
        logits = network_of()(windows)
    assert logits.max() <= (127.5 - zero) * scale * 1.02
    assert logits.min() >= (-128.5 - zero) * scale * 1.02


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=30), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_ranges_hold_zero_and_cost_no_more_than_the_whole(values: list[float], relu: bool, final: bool) -> None:
    tensor = torch.tensor(values).clamp(min=0 if relu else -100)
    scale, zero = _best_range(tensor, relu, final)
    assert scale > 0
    assert -128 <= zero <= 127
    if relu:
        assert zero == -128

    def cost(scale: float, zero: int) -> float:
        fake = torch.fake_quantize_per_tensor_affine(tensor, scale, zero, -128, 127)
        return float((fake - tensor).square().mean())

    low, high = min(0.0, *tensor.tolist()), max(1e-6, *tensor.tolist())
    whole = (high - low) / 255
    assert cost(scale, zero) <= cost(whole, max(-128, min(127, round(-128 - low / whole)))) + 1e-9


def test_an_outlier_is_clipped_but_not_among_the_logits() -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(np.append(rng.normal(0, 1, 200_000), 9.0).astype(np.float32))
    assert _best_range(values, relu=False, final=False)[0] < 0.9 * _best_range(values, relu=False, final=True)[0]


def test_calibration_depends_on_the_windows_alone(network_of: Callable[..., DSCNN], windows: Tensor) -> None:
    one, two = (QuantizedNetwork(operators(network_of()), 1 / 32) for _ in range(2))
    one.calibrate([windows])
    two.calibrate(torch.split(windows, 7))
    assert one.scales.keys() == two.scales.keys()
    for name, (scale, zero) in one.scales.items():
        assert two.scales[name] == (pytest.approx(scale, rel=0.05), pytest.approx(zero, abs=8))
    again = QuantizedNetwork(operators(network_of()), 1 / 32)
    again.calibrate([windows])
    assert again.scales == one.scales


def test_fine_tuning_reaches_every_parameter(quantized_of: Make, windows: Tensor) -> None:
    network = quantized_of().train()
    network(windows).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_step_against_the_gradient_helps(
    quantized_of: Make, windows: Tensor, network_of: Callable[..., DSCNN]
) -> None:
    network = quantized_of()
    with torch.no_grad():
        wanted = network_of()(windows)
        for weight in network.weights.values():
            weight.mul_(1 + 0.05 * torch.sin(torch.arange(weight.numel()).float()).reshape(weight.shape))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(windows), wanted)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
