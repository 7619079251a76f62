"""A torch network as operators: batch norm folded, ReLU merged, and nothing taken for what it is not."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tinyhark.app.errors import HarkError  # noqa: E402
from tinyhark.export.graph import operators  # noqa: E402
from tinyhark.export.quantization import QuantizedNetwork  # noqa: E402
from tinyhark.training.network import DSCNN  # noqa: E402

KINDS = [{"kind": kind, "padded": padded} for kind in ("1d", "2d") for padded in (True, False)]


def folded(network: nn.Module) -> QuantizedNetwork:
    """The operators as torch runs them, without rounding."""
    made = QuantizedNetwork(operators(network), 1 / 32)
    made.quantize = False
    return made


@pytest.mark.parametrize("shape", KINDS)
def test_the_folded_network_is_the_network(
    network_of: Callable[..., DSCNN], windows: Tensor, shape: dict[str, object]
) -> None:
    network = network_of(**shape)
    with torch.no_grad():
        wanted, got = network(windows), folded(network)(windows)
    assert wanted.std() > 0.05
    assert (got - wanted).abs().max() <= 1e-5 * max(1.0, float(wanted.abs().max()))


def test_operators_of_a_padded_network(network_of: Callable[..., DSCNN]) -> None:
    found = operators(network_of(blocks=1))
    assert [o.kind for o in found] == [
        "input", "unsqueeze", "conv", "conv", "conv", "add", "pool", "flatten", "linear",
    ]  # fmt: skip
    assert [o.kind for o in found if o.relu] == ["conv", "conv", "add"]
    assert [o.groups for o in found if o.kind == "conv"] == [1, 12, 1]
    assert all(o.weight is not None and o.bias is not None for o in found if o.kind in ("conv", "linear"))
    assert {name for o in found for name in o.inputs} <= {o.name for o in found}


def test_an_unpadded_network_cuts_what_it_adds(network_of: Callable[..., DSCNN]) -> None:
    assert [o.cut for o in operators(network_of(blocks=2, kernel=5, padded=False)) if o.kind == "cut"] == [2, 2]


def test_the_network_is_left_as_it_was(network_of: Callable[..., DSCNN]) -> None:
    network = network_of()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    operators(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


class Net(nn.Module):
    """A convolution, then whatever a test asks for."""

    def __init__(self, then: Callable[["Net", Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self, self.conv(x))


def layered(layer: nn.Module) -> Net:
    return Net(lambda net, x: net.layer(x), layer=layer)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv1d(4, 4, 3),
        nn.BatchNorm1d(4),
        nn.Dropout(0.5),
        nn.GELU(),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.AvgPool2d(3, stride=1),
        nn.AvgPool2d(3, padding=1),
        nn.AvgPool2d(3, ceil_mode=True),
        nn.AvgPool2d(3, divisor_override=2),
        nn.Flatten(0),
    ],
    ids=lambda layer: " ".join(str(layer).split()),
)
def test_a_layer_without_an_integer_form_is_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(HarkError, match="no integer form") as caught:
        operators(layered(layer))
    assert type(layer).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("then", "name"),
    [
        (lambda _, x: F.relu(x), "relu"),
        (lambda _, x: torch.sigmoid(x), "sigmoid"),
        (lambda _, x: x * 2, "mul"),
        (lambda _, x: x + 1, "add"),
        (lambda _, x: x + x, "add"),
        (lambda _, x: x.mean(3), "mean"),
        (lambda _, x: x[..., 1:], "cuts"),
        (lambda _, x: x[..., 2:-1], "cuts"),
        (lambda _, x: x[..., :-1], "cuts"),
        (lambda _, x: x[:, 1:-1], "cuts"),
        (lambda _, x: x[:, :, 1:-1], "cuts"),
        (lambda _, x: x[..., 1:-1, 1:-1], "cuts"),
        (lambda _, x: x[..., 1:-1:2], "cuts"),
        (lambda _, x: x[0], "cuts"),
    ],
)
def test_a_function_without_an_integer_form_is_refused_by_name(
    then: Callable[[Net, Tensor], Tensor], name: str
) -> None:
    with pytest.raises(HarkError) as caught:
        operators(Net(then))
    assert name in str(caught.value)
    assert "0x" not in str(caught.value)


def test_relu_is_merged_only_where_nobody_reads_what_comes_before() -> None:
    with pytest.raises(HarkError, match="ReLU"):
        operators(Net(lambda net, x: net.relu(x) + x, relu=nn.ReLU()))
    with pytest.raises(HarkError, match="ReLU"):
        operators(nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3)))
    with pytest.raises(HarkError, match="ReLU"):
        operators(Net(lambda net, x: net.relu(net.pool(x)), pool=nn.AvgPool2d(2), relu=nn.ReLU()))


def test_batch_norm_is_folded_only_into_its_convolution() -> None:
    with pytest.raises(HarkError, match="BatchNorm2d"):
        operators(Net(lambda net, x: net.norm(x) + x, norm=nn.BatchNorm2d(4)))
    with pytest.raises(HarkError, match="BatchNorm2d"):
        operators(Net(lambda net, x: net.norm(net.relu(x)), norm=nn.BatchNorm2d(4), relu=nn.ReLU()))
    with pytest.raises(HarkError, match="BatchNorm2d"):
        operators(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)))


def test_a_linear_layer_needs_no_bias() -> None:
    network = Net(
        lambda net, x: net.linear(net.flatten(net.pool(x))),
        pool=nn.AvgPool2d(4),
        flatten=nn.Flatten(),
        linear=nn.Linear(4, 3, bias=False),
    )
    x = torch.randn(2, 4, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(folded(network)(x), network(x))
