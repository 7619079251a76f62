"""An exported C project compiled for this machine and called from Python: for comparisons, not for spotting."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.app.model import Model
from tinyhark.app.model_file import Metadata
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.front_end import Frames, Samples, frame_count
from tinyhark.dsp.posterior import POSTERIOR_BITS
from tinyhark.dsp.tables import BANDS

from .c_export import TEMPLATES

SOURCES = ("hark_frontend.c", "hark_model.c", "hark_spotter.c")
FLAGS = ("-std=c99", "-O3", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")


class Heard(NamedTuple):
    """A detection: keyword's index, score Q15, samples."""

    keyword: int
    score: int
    start_sample: int
    end_sample: int


class _Detection(ctypes.Structure):
    _fields_ = (
        ("start_sample", ctypes.c_uint64),
        ("end_sample", ctypes.c_uint64),
        ("score", ctypes.c_uint32),
        ("keyword", ctypes.c_uint32),
    )


def compile_c(
    folder: Path, out: Path, compiler: str = "cc", flags: Iterable[str] = (), sources: Iterable[str] = ()
) -> Path:
    """Compile the project in `folder` and further `sources` to `out`; raises HarkError with the first complaint."""
    if shutil.which(compiler) is None:
        raise HarkError(f"{compiler}: no such C compiler")
    paths = [*(folder / name for name in SOURCES), *sources]
    command = [
        compiler,
        *FLAGS,
        *flags,
        "-I",
        str(folder),
        "-I",
        str(folder / "test"),
        "-o",
        str(out),
        *map(str, paths),
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise HarkError(f"{folder}: {compiler} fails: {next(iter(made.stderr.splitlines()), '')}")
    return out


class CProject:
    """The project in `folder`, compiled into it as a shared library; one at a time uses its one spotter."""

    def __init__(self, folder: Path, metadata: Metadata, compiler: str = "cc", flags: Iterable[str] = ()) -> None:
        host = str(TEMPLATES / "host" / "hark_host.c")
        library = folder / f"libhark-{compiler}.so"
        self.library = ctypes.CDLL(str(compile_c(folder, library, compiler, ("-shared", "-fPIC", *flags), [host])))
        for name in ("host_state_bytes", "host_feed", "host_finish", "host_decide"):
            getattr(self.library, name).restype = ctypes.c_size_t
        self._metadata = metadata

    @property
    def state_bytes(self) -> int:
        """Size of the struct that holds all state, on this machine."""
        return int(self.library.host_state_bytes())

    def features(self, sound: Samples) -> tuple[Frames, Frames]:
        """[n] int16 -> log-mel [frames, 40] and MFCC [frames, n_mfcc], Q16."""
        spec = self._metadata.front_end
        frames = frame_count(len(sound), spec.hop)
        log_mel, mfcc = np.empty((frames, BANDS), np.int32), np.empty((frames, spec.n_mfcc), np.int32)
        self.library.host_frames(
            _of(sound), ctypes.c_size_t(len(sound)), ctypes.c_size_t(spec.hop), _of(log_mel), _of(mfcc)
        )
        return log_mel, mfcc

    def logits(self, windows: NDArray[np.int8]) -> NDArray[np.int8]:
        """[n, n_mfcc, window_frames] -> [n, labels] codes."""
        frames = np.ascontiguousarray(windows.transpose(0, 2, 1))
        out = np.empty((len(windows), len(self._metadata.labels)), np.int8)
        self.library.host_logits(_of(frames), ctypes.c_size_t(len(frames)), _of(out))
        return out

    def decide(self, logits: NDArray[np.int8]) -> list[Heard]:
        """[steps, labels] codes of a stream's windows, the first one first -> what was heard."""
        room = (_Detection * max(1, len(logits)))()
        return _heard(
            room, self.library.host_decide(_of(np.ascontiguousarray(logits)), ctypes.c_size_t(len(logits)), room)
        )

    def spot(self, parts: Iterable[Samples | int]) -> list[Heard]:
        """A whole stream of chunks of sound, and of numbers of samples that were lost -> what was heard."""
        self.library.host_reset()
        heard: list[Heard] = []
        for part in parts:
            if isinstance(part, int):
                self.library.host_skip(ctypes.c_uint64(part))
                continue
            room = (_Detection * (1 + len(part) // self._metadata.front_end.hop))()
            heard += _heard(
                room, self.library.host_feed(_of(np.ascontiguousarray(part)), ctypes.c_size_t(len(part)), room)
            )
        room = (_Detection * (1 + self._metadata.window_frames))()
        return heard + _heard(room, self.library.host_finish(room))


def heard_by_python(model: Model, parts: Iterable[Samples | int]) -> list[Heard]:
    """What a Spotter hears where `CProject.spot` hears the same parts."""
    spotter = Spotter(model)
    detections = []
    for part in parts:
        if isinstance(part, int):
            spotter.skip(part)
        else:
            detections += spotter.feed(part)
    return [
        Heard(model.keywords.index(d.keyword), int(d.score * (1 << POSTERIOR_BITS)), d.start_sample, d.end_sample)
        for d in [*detections, *spotter.finish()]
    ]


def _heard(room: Any, count: int) -> list[Heard]:
    return [Heard(d.keyword, d.score, d.start_sample, d.end_sample) for d in room[:count]]


def _of(values: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)
