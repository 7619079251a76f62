"""A model: one ONNX file, its network and its metadata, verified."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import FrontEnd, Samples

from . import catalog, model_file
from .errors import ModelError
from .loaded_code import drop_loaded_code
from .model_file import Metadata, Window
from .text import printable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DEFAULT_NAME = "commands"
CODE_TOLERANCE = 1  # the same network may round its codes by one elsewhere on another processor

Codes = NDArray[np.int8]


class Model:
    """A network with its metadata; `Model.load` makes one from a file.

    name: as detections and `hark models` show it; path: the file; size_bytes: the whole file.
    """

    def __init__(self, metadata: Metadata, session: "InferenceSession", path: Path, size_bytes: int) -> None:
        self.metadata = metadata
        self.path = path
        self.size_bytes = size_bytes
        self._session = session
        self._front_end: FrontEnd | None = None  # of `window_of`, made when it is first used
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name

    @classmethod
    def load(cls, model: str | os.PathLike[str] = DEFAULT_NAME) -> "Model":
        """Load a model by the name it is installed under, or by path.

        Raises ModelError, one line, for a file that is missing, no model, of another format or front end, or wrong.
        """
        path = catalog.find(model)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        from .session import open_session  # onnxruntime loads here, after what can fail without it

        try:
            session = open_session(data)
            text = session.get_modelmeta().custom_metadata_map.get(model_file.METADATA_KEY)
            if text is None:
                raise ModelError("is an ONNX file without tinyhark's metadata; `hark train` makes model files")
            metadata = model_file.decode(text)
            _check_shapes(session, metadata)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        drop_loaded_code()
        return cls(metadata, session, path, len(data))

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return printable(self.path.stem)

    @property
    def labels(self) -> list[str]:
        """What the network tells apart, in the order of its outputs."""
        return self.metadata.labels

    @property
    def keywords(self) -> list[str]:
        """The labels that can be detected, in the same order."""
        return self.metadata.keyword_names

    def infer(self, window: Window) -> Codes:
        """[n_mfcc, window_frames] int8 -> [labels] int8 logit codes."""
        codes: Codes = self._session.run([self._output], {self._input: window[None]})[0][0]
        return codes

    def bind(self) -> "Binding":
        """The network bound to buffers of its own: half the cost of a call, for one stream."""
        return Binding(self._session, self.metadata)

    def window_of(self, audio: Samples) -> Window:
        """[n] int16 clip -> [n_mfcc, window_frames] int8: zero-padded at its end or cut; one thread at a time."""
        m = self.metadata
        if self._front_end is None:
            self._front_end = FrontEnd(m.front_end.hop, m.front_end.n_mfcc)
        return model_file.clip_window(audio, m.front_end, m.offset, m.multiplier, m.window_frames, self._front_end)

    def verify(self) -> None:
        """Replay the golden input; raises ModelError where features or logit codes are not those of the file."""
        golden = self.metadata.golden
        window = self.window_of(model_file.decode_golden(golden.samples))
        digest = model_file.window_digest(window)
        if digest != golden.features_sha256:
            raise ModelError(
                f"{self.path}: the features of its golden input differ ({digest[:12]}, in the file "
                f"{golden.features_sha256[:12]}); the file is damaged or this numpy computes wrongly"
            )
        codes = self.infer(window).astype(int).tolist()
        worst = max(abs(code - expected) for code, expected in zip(codes, golden.logits, strict=True))
        if worst > CODE_TOLERANCE:
            raise ModelError(
                f"{self.path}: the network's answer to its golden input is off by {worst} codes (at most "
                f"{CODE_TOLERANCE}); the file is damaged or this onnxruntime computes wrongly"
            )


class Binding:
    """A network bound to two buffers: `run()` takes `input` [n_mfcc, window_frames] to `output` [labels], both int8.

    windows: how many the session takes at once, as `inputs` and `outputs`, of which `input` and `output` are the first.
    """

    def __init__(self, session: "InferenceSession", metadata: Metadata, windows: int = 1) -> None:
        self.inputs: Window = np.zeros((windows, metadata.front_end.n_mfcc, metadata.window_frames), np.int8)
        self.outputs: Codes = np.zeros((windows, len(metadata.labels)), np.int8)
        self.input: Window = self.inputs[0]
        self.output: Codes = self.outputs[0]
        self._session = session
        self._binding = session.io_binding()
        (taken,), (given,) = session.get_inputs(), session.get_outputs()
        self._binding.bind_input(taken.name, "cpu", 0, np.int8, self.inputs.shape, self.inputs.ctypes.data)
        self._binding.bind_output(given.name, "cpu", 0, np.int8, self.outputs.shape, self.outputs.ctypes.data)

    def run(self) -> Codes:
        """The codes of what is in `input`; the array is the same at every call."""
        self._session.run_with_iobinding(self._binding)
        return self.output


def _check_shapes(session: "InferenceSession", metadata: Metadata) -> None:
    _check_end("input", session.get_inputs(), [1, metadata.front_end.n_mfcc, metadata.window_frames])
    _check_end("output", session.get_outputs(), [1, len(metadata.labels)])


def _check_end(name: str, ends: list[Any], shape: list[int]) -> None:
    if len(ends) != 1 or ends[0].type != "tensor(int8)" or list(ends[0].shape) != shape:
        found = ", ".join(f"{end.type} {list(end.shape)}" for end in ends)
        raise ModelError(f"has the {name} {found or 'of no tensor'}; its metadata asks for one tensor(int8) {shape}")
