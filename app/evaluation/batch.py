"""A model's network over many windows a call: the same codes as one by one, for a third less."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..model import Binding, Codes, Model
from ..session import open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WINDOWS = 16  # more bring nothing

# Fields of ONNX: model.graph.input and .output; from these on, type.tensor_type.shape.dim.
_ENDS, _DIMENSIONS = ((7, 11), (7, 12)), (2, 1, 2, 1)
_ONE = b"\x08\x01"  # a dimension: its field 1, the size, is 1


class Batch:
    """A network that hears many windows a call; one thread at a time."""

    def __init__(self, model: Model) -> None:
        session, self.windows = _session_of(model)
        self._binding = Binding(session, model.metadata, self.windows)
        self._window_frames, self._stride_frames = model.metadata.window_frames, model.metadata.stride_frames

    def codes(self, columns: NDArray[np.int8]) -> Codes:
        """[n_mfcc, frames] int8, a window or more -> [steps, labels] codes: the first window, then each stride on."""
        windows = np.lib.stride_tricks.sliding_window_view(columns, self._window_frames, axis=1)
        windows = windows[:, :: self._stride_frames].swapaxes(0, 1)
        codes = np.empty((len(windows), self._binding.outputs.shape[1]), np.int8)
        for first in range(0, len(windows), self.windows):
            some = windows[first : first + self.windows]
            self._binding.inputs[: len(some)] = some
            self._binding.run()
            codes[first : first + len(some)] = self._binding.outputs[: len(some)]
        return codes


@lru_cache(maxsize=1)
def _session_of(model: Model) -> "tuple[InferenceSession, int]":
    """A session of the model's network and how many windows it takes: one, where more do not give the same codes."""
    data = model.path.read_bytes()
    m = model.metadata
    some = np.random.default_rng(0).integers(-128, 128, (WINDOWS, m.front_end.n_mfcc, m.window_frames), np.int8)
    try:
        session = open_session(widened(data, WINDOWS))
        codes = session.run(None, {session.get_inputs()[0].name: some})[0]
        if np.array_equal(codes, [model.infer(window) for window in some]):
            return session, WINDOWS
    except Exception:  # a network that is made for one window; onnxruntime's errors share no base class
        pass
    return open_session(data), 1


def widened(model: bytes, windows: int) -> bytes:
    """An ONNX file whose inputs and outputs are one window, for `windows` of them, at most 127; else ValueError.

    What lies between them must follow from its input, as convolutions do. The file keeps its length: a size below 128
    is one byte.
    """
    out = bytearray(model)
    for end in _ENDS:
        for span in _find(model, end, 0, len(model)):
            first, last = next(_find(model, _DIMENSIONS, *span), (0, 0))
            if model[first:last] != _ONE or not 1 <= windows <= 127:
                raise ValueError(f"{windows} windows a call: the model does not take one, or they are not 1 to 127")
            out[last - 1] = windows
    return bytes(out)


def _find(data: bytes, path: tuple[int, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the messages at a path of field numbers lie in a protobuf message."""
    if not path:
        yield start, end
        return
    while start < end:
        key, start = _number(data, start)
        size = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 in (0, 2):  # a number, or what is as long as it says
            number, start = _number(data, start)
            size = number if key & 7 == 2 else 0
        if key == path[0] << 3 | 2:
            yield from _find(data, path[1:], start, start + size)
        start += size


def _number(data: bytes, start: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 127) << shift
        start, shift = start + 1, shift + 7
        if byte < 128:
            return value, start
