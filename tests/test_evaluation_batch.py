"""Many windows a call of the network: the codes of one by one, or one by one where the network is made so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tinyhark.app.evaluation.batch import WINDOWS, Batch, widened
from tinyhark.app.model import Model
from tinyhark.app.session import open_session


def codes_one_by_one(model: Model, columns: np.ndarray) -> list[np.ndarray]:
    m = model.metadata
    starts = range(0, columns.shape[1] - m.window_frames + 1, m.stride_frames)
    return [model.infer(columns[:, start : start + m.window_frames]) for start in starts]


def columns_of(model: Model, steps: int, more: int = 0) -> np.ndarray:
    m = model.metadata
    frames = m.window_frames + (steps - 1) * m.stride_frames + more
    return np.random.default_rng(steps).integers(-128, 128, (m.front_end.n_mfcc, frames), np.int8)


@pytest.mark.parametrize("steps", [1, WINDOWS - 1, WINDOWS, WINDOWS + 1, 3 * WINDOWS + 5])
def test_codes_are_those_of_one_window_a_call(tiny_model: Path, steps: int) -> None:
    model = Model.load(tiny_model)
    batch = Batch(model)
    assert batch.windows == WINDOWS
    for more in (0, model.metadata.stride_frames - 1):
        columns = columns_of(model, steps, more)
        np.testing.assert_array_equal(batch.codes(columns), codes_one_by_one(model, columns))


@pytest.mark.parametrize("name", ["commands", "commands-streaming", "wake"])
def test_shipped_models_take_many_windows(name: str) -> None:
    model = Model.load(name)
    batch = Batch(model)
    assert batch.windows == WINDOWS
    columns = columns_of(model, WINDOWS + 3)
    np.testing.assert_array_equal(batch.codes(columns), codes_one_by_one(model, columns))


def test_a_network_made_for_one_window_takes_one(
    tiny_network: onnx.ModelProto, model_with: Callable[..., Path]
) -> None:
    network = onnx.ModelProto()
    network.CopyFrom(tiny_network)
    (flatten,) = [node for node in network.graph.node if node.op_type == "Flatten"]
    n_mfcc = network.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    network.graph.initializer.append(numpy_helper.from_array(np.array([1, n_mfcc]), "one"))
    flatten.CopyFrom(helper.make_node("Reshape", [flatten.input[0], "one"], flatten.output))
    model = Model.load(model_with(network=network))
    batch = Batch(model)
    assert batch.windows == 1
    columns = columns_of(model, 5)
    np.testing.assert_array_equal(batch.codes(columns), codes_one_by_one(model, columns))


def test_a_widened_file_differs_in_two_bytes(tiny_model: Path) -> None:
    data = tiny_model.read_bytes()
    wide = widened(data, 7)
    assert sum(a != b for a, b in zip(data, wide, strict=True)) == 2  # the input's size and the output's
    session = open_session(wide)
    assert [end.shape[0] for end in (*session.get_inputs(), *session.get_outputs())] == [7, 7]
    for model, windows in ((data, 128), (data, 0), (wide, 2)):
        with pytest.raises(ValueError, match="windows a call"):
            widened(model, windows)
