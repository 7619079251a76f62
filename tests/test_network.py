"""The network: shapes, depth, cost, and columns that a stream can use again when there is no padding in time."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from tinyhark.app.session import open_session  # noqa: E402
from tinyhark.export.onnx_graph import to_onnx  # noqa: E402
from tinyhark.training.cost import multiply_accumulates, stream_multiply_accumulates  # noqa: E402
from tinyhark.training.network import DSCNN  # noqa: E402
from tinyhark.training.recipe import NetworkSpec, Recipe  # noqa: E402

if TYPE_CHECKING:
    from tinyhark.export.quantization import QuantizedNetwork

SHAPES = [
    ({"kind": "1d", "padded": True}, 49),
    ({"kind": "1d", "padded": False}, 47 - 2 * 4),
    ({"kind": "2d", "padded": True}, 49),
    ({"kind": "2d", "padded": False}, 47 - 2 * 4),
]


@pytest.mark.parametrize(("shape", "columns"), SHAPES)
def test_shapes(network_of: Callable[..., DSCNN], shape: dict[str, object], columns: int) -> None:
    network = network_of(**shape)
    seen = []
    network.blocks.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.shape))
    assert network(torch.zeros(3, 40, 97)).shape == (3, 4)
    assert seen == [(3, 12, 1 if shape["kind"] == "1d" else 20, columns)]


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(("n_mfcc", "frames"), [(13, 97), (40, 49), (1, 98), (39, 165)])
def test_any_number_of_coefficients_and_frames(kind: str, padded: bool, n_mfcc: int, frames: int) -> None:
    spec = NetworkSpec(kind=kind, channels=8, blocks=2, kernel=3, padded=padded)
    network = DSCNN(spec, n_mfcc, frames, 5).eval()
    assert network(torch.randn(2, n_mfcc, frames)).shape == (2, 5)


def test_a_network_that_is_too_deep_is_refused() -> None:
    deepest = NetworkSpec(channels=4, blocks=6, kernel=9, stem_kernel=1, padded=False)
    assert deepest.columns(97) == 1
    DSCNN(deepest, 40, 97, 3)
    with pytest.raises(ValueError, match="96 frames leave no column after 6 blocks of kernel 9"):
        DSCNN(deepest, 40, 96, 3)


def test_multiply_accumulates_by_hand() -> None:
    flat = DSCNN(NetworkSpec(channels=16, blocks=2, kernel=9, stem_kernel=5), 40, 97, 12)
    columns = 49
    stem, depthwise, pointwise = 40 * 5 * 16 * columns, 9 * 16 * columns, 16 * 16 * columns
    assert multiply_accumulates(flat, 40, 97) == stem + 2 * (depthwise + pointwise) + 16 * 12
    square = DSCNN(NetworkSpec(kind="2d", channels=8, blocks=1, kernel=5, stem_kernel=3, padded=False), 40, 97, 3)
    stem = 9 * 8 * 20 * 48
    block = (3 * 5 * 8 + 8 * 8) * 20 * 44
    assert multiply_accumulates(square, 40, 97) == stem + block + 8 * 3


def test_a_stream_without_padding_computes_each_column_once(recipe: Recipe) -> None:
    spec = NetworkSpec(channels=16, blocks=2, kernel=9, stem_kernel=5, padded=False)
    made = replace(recipe, network=spec, detection=replace(recipe.detection, stride_frames=4))
    network = DSCNN(spec, 40, 97, 4)
    anew, reused = stream_multiply_accumulates(network, made)
    assert anew == 25 * multiply_accumulates(network, 40, 97)
    column = 40 * 5 * 16 + 2 * (9 * 16 + 16 * 16)
    assert reused == 25 * (2 * column + 16 * 4), "two new columns every 40 ms, and the classifier"


def test_a_stream_with_padding_computes_the_edges_again(recipe: Recipe) -> None:
    spec = NetworkSpec(channels=16, blocks=1, kernel=9, stem_kernel=5)
    made = replace(recipe, network=spec, detection=replace(recipe.detection, stride_frames=2))
    anew, reused = stream_multiply_accumulates(DSCNN(spec, 40, 97, 4), made)
    assert reused == 50 * (3 * 40 * 5 * 16 + (2 * 5 + 1) * (9 * 16 + 16 * 16) + 16 * 4)
    assert anew == 50 * (49 * (40 * 5 * 16 + 9 * 16 + 16 * 16) + 16 * 4)


def test_a_longer_stride_makes_fewer_columns(recipe: Recipe) -> None:
    spec = NetworkSpec(channels=16, blocks=1, kernel=5, stem_kernel=5, stride=4)
    made = replace(recipe, network=spec, detection=replace(recipe.detection, stride_frames=4))
    assert spec.columns(97) == 25
    anew, reused = stream_multiply_accumulates(DSCNN(spec, 40, 97, 4), made)
    assert anew == 25 * (25 * (40 * 5 * 16 + 5 * 16 + 16 * 16) + 16 * 4)
    assert reused == 25 * (3 * 40 * 5 * 16 + (2 * 3 + 1) * (5 * 16 + 16 * 16) + 16 * 4)


def test_counting_leaves_the_network_alone() -> None:
    network = DSCNN(NetworkSpec(channels=4, blocks=1), 40, 97, 3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_accumulates(network, 40, 97)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())


def test_an_answer_does_not_depend_on_the_batch(network_of: Callable[..., DSCNN]) -> None:
    network, x = network_of(), torch.randn(5, 40, 97)
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(one[None]) for one in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def stream(frames: int) -> NDArray[np.int8]:
    """[40, frames] int8 features."""
    return np.random.default_rng(4).integers(-128, 128, (40, frames)).astype(np.int8)


def last_columns(network: "QuantizedNetwork") -> Callable[[NDArray[np.int8]], NDArray[np.uint8]]:
    """A function from an int8 window to the codes that the pool averages, [channels, ..., columns], by onnxruntime."""
    model = to_onnx(network, 40, 97, 4, "columns")
    producer = {node.output[0]: node for node in model.graph.node}
    pool = next(node for node in model.graph.node if node.op_type == "AveragePool")
    codes = producer[pool.input[0]].input[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(codes, onnx.TensorProto.UINT8, None))
    session = open_session(model.SerializeToString())
    return lambda window: session.run([codes], {"features": np.ascontiguousarray(window)[None]})[0][0]


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("padded", [True, False])
def test_columns_without_padding_can_be_used_again(
    quantized_of: "Callable[..., QuantizedNetwork]", kind: str, padded: bool
) -> None:
    columns_of = last_columns(quantized_of(kind=kind, padded=padded))
    sound = stream(97 + 20)
    reused = []
    for start in range(0, 20, 2):
        now, later = columns_of(sound[:, start : start + 97]), columns_of(sound[:, start + 2 : start + 99])
        assert now.max() > now.min()
        reused.append(np.array_equal(now[..., 1:], later[..., :-1]))
    assert all(reused) if not padded else not any(reused)


def test_padding_spoils_no_more_columns_than_the_cost_says(
    quantized_of: "Callable[..., QuantizedNetwork]",
) -> None:
    columns_of = last_columns(quantized_of(blocks=2, kernel=5))
    sound = stream(101)
    now, later = columns_of(sound[:, :97]), columns_of(sound[:, 4:])
    differ = np.flatnonzero((now[..., 2:] != later[..., :-2]).reshape(-1, 47).any(axis=0))
    edge = 1 + 2 * (5 // 2)
    assert differ.size
    assert ((differ < edge) | (differ >= 47 - edge)).all()


@pytest.mark.parametrize("kind", ["1d", "2d"])
def test_columns_without_padding_are_the_same_in_the_simulation(
    quantized_of: "Callable[..., QuantizedNetwork]", kind: str
) -> None:
    network = quantized_of(kind=kind, padded=False)
    last = next(o for o in network.operators if o.kind == "pool").inputs[0]
    scale, zero = network.scale_of(last)
    sound = torch.from_numpy(stream(101).astype(np.float32))[None] / 32
    with torch.no_grad():
        now, later = (network._run(sound[..., s : s + 97])[last] / scale + zero for s in (0, 4))
    assert torch.equal(now[..., 2:].round(), later[..., :-2].round())
