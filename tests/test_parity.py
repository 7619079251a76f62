"""Parity: the count of it, the gate, and that torch and onnxruntime do agree on all kinds of windows and networks."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.app.errors import ModelError

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from tinyhark.export.model_export import codes_of  # noqa: E402
from tinyhark.export.onnx_graph import to_onnx  # noqa: E402
from tinyhark.export.parity import Parity, compare, require  # noqa: E402
from tinyhark.export.quantization import QuantizedNetwork  # noqa: E402


def rows(*values: list[int]) -> NDArray[np.int8]:
    return np.array(values, np.int8)


def test_codes_may_differ_by_one() -> None:
    got = compare(rows([0, 10, -5], [7, 7, 7]), rows([1, 9, -5], [7, 5, 7]))
    assert (got.windows, got.within_one) == (2, 5 / 6)


def test_the_winner_may_be_any_of_those_that_tie() -> None:
    assert compare(rows([5, 5, 1]), rows([4, 5, 1])).same_winner == 1
    assert compare(rows([5, 4, 1]), rows([4, 5, 1])).same_winner == 0
    assert compare(rows([5, 4, 1], [1, 2, 3]), rows([4, 5, 1], [1, 2, 3])).same_winner == 0.5


def test_extreme_codes_do_not_wrap() -> None:
    got = compare(rows([-128, 127]), rows([127, -128]))
    assert (got.within_one, got.same_winner) == (0, 0)


@pytest.mark.parametrize(
    ("within_one", "same_winner", "passes"),
    [(1, 1, True), (0.999, 0.995, True), (0.9989, 1, False), (1, 0.9949, False), (0, 0, False)],
)
def test_the_gate(within_one: float, same_winner: float, passes: bool) -> None:
    parity = Parity(1000, within_one, same_winner)
    if passes:
        require(parity, "net")
    else:
        with pytest.raises(ModelError, match=r"^net: .*1000 windows.*nothing was written$"):
            require(parity, "net")


KINDS = [{"kind": kind, "padded": padded} for kind in ("1d", "2d") for padded in (True, False)]


@pytest.mark.parametrize("shape", KINDS)
def test_torch_and_onnxruntime_agree(
    quantized_of: Callable[..., QuantizedNetwork], windows: Tensor, shape: dict[str, object]
) -> None:
    network = quantized_of(**shape, blocks=3, kernel=9)
    noise = np.random.default_rng(11).integers(-128, 128, (60, 40, 97)).astype(np.float32)
    everything = torch.cat([windows, torch.from_numpy(noise) / 32])
    body = to_onnx(network, 40, 97, 4, "net").SerializeToString()
    wanted = network.codes(everything).numpy().astype(int)
    got = codes_of(body, (everything * 32).to(torch.int8).numpy()).astype(int)
    assert np.ptp(wanted) > 100, "the windows move the logits through their range"
    assert np.abs(wanted - got).max() <= 1
    assert (wanted == got).mean() > 0.97
    require(compare(wanted.astype(np.int8), got.astype(np.int8)), "net")


def test_a_network_of_other_weights_fails(quantized_of: Callable[..., QuantizedNetwork], windows: Tensor) -> None:
    body = to_onnx(quantized_of(seed=6), 40, 97, 4, "net").SerializeToString()
    got = codes_of(body, (windows * 32).to(torch.int8).numpy())
    with pytest.raises(ModelError):
        require(compare(quantized_of().codes(windows).numpy(), got), "net")
