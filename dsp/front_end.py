"""The MFCC front end: int16 sound to log-mel and MFCC frames in fixed point, equal to the last bit everywhere.

Two implementations give the same numbers: the C of the microcontroller (export/c, `_front_end.c`), where the
installation could build it, and numpy (`numpy_front_end.py`). The environment variable TINYHARK_FRONT_END, "c" or
"numpy", forces one.
"""

import os
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .numpy_front_end import Frames as Frames
from .numpy_front_end import NumpyFrontEnd
from .numpy_front_end import Samples as Samples
from .tables import BANDS, FRAME_SAMPLES, HOP_SAMPLES

try:
    from . import _front_end
except ImportError:  # not built
    _front_end = None  # type: ignore[assignment]

_Integer = TypeVar("_Integer", bound=np.signedinteger)

HOPS_SAMPLES = (HOP_SAMPLES, 2 * HOP_SAMPLES)
IMPLEMENTATION = "TINYHARK_FRONT_END"

# SHA-256 over the MFCC (int32, little endian) of all golden vectors in the order of their names; a model file names the
# front end it was trained with by this digest.
DIGEST = "0bccdceca7b44b5c4819bcc35933ffc5c01e1643dbfca76099945f09a75e9b7d"


def frame_count(samples: int, hop: int = HOP_SAMPLES) -> int:
    """Frames in `samples` samples of sound: none below 512, else `1 + (samples - 512) // hop`."""
    return 0 if samples < FRAME_SAMPLES else 1 + (samples - FRAME_SAMPLES) // hop


def implementation() -> str:
    """What a FrontEnd made now computes with, "c" or "numpy"; raises ValueError where the environment asks in vain."""
    wanted = os.environ.get(IMPLEMENTATION, "")
    if wanted not in ("", "c", "numpy"):
        raise ValueError(f"{IMPLEMENTATION} is {wanted!r}; it must be c or numpy")
    if wanted == "c" and _front_end is None:
        raise ValueError(f"{IMPLEMENTATION} is c, but the front end was not built in C; it must be numpy, or nothing")
    return wanted or ("numpy" if _front_end is None else "c")


class FrontEnd:
    """Turns 16 kHz int16 sound into frames of 40 log-mel bands or `n_mfcc` coefficients, Q16, log2 units.

    `log_mel` and `mfcc` take a whole recording; `feed_log_mel` and `feed` take the next chunk of a stream and give the
    same frames. hop: 160 or 320 samples. Raises ValueError for another hop, for n_mfcc outside 1..40, for sound that is
    not [n] int16, for log-mel that is not [frames, 40] int32, and as `implementation` does.
    """

    def __init__(self, hop: int = HOP_SAMPLES, n_mfcc: int = BANDS) -> None:
        if hop not in HOPS_SAMPLES:
            raise ValueError(f"hop is {hop} samples; it must be one of {HOPS_SAMPLES}")
        if not 1 <= n_mfcc <= BANDS:
            raise ValueError(f"n_mfcc is {n_mfcc}; it must be 1 to {BANDS}")
        self.hop = hop
        self.n_mfcc = n_mfcc
        self._numpy = NumpyFrontEnd(hop, n_mfcc) if implementation() == "numpy" else None
        self._rest = np.zeros(0, np.int16)  # of the stream: samples from the start of its next frame

    def reset(self) -> None:
        """Forget the stream: the next chunk is its first."""
        self._rest = self._rest[:0]

    def log_mel(self, audio: Samples) -> Frames:
        """[n] int16 -> [frames, 40] int32 Q16, of a whole recording; the stream is left alone."""
        _check(audio)
        out = np.empty((frame_count(len(audio), self.hop), BANDS), np.int32)
        if self._numpy:
            self._numpy.log_mel(audio, out)
        else:
            _front_end.log_mel(_plain(audio), self.hop, out)
        return out

    def mfcc(self, audio: Samples) -> Frames:
        """[n] int16 -> [frames, n_mfcc] int32 Q16, of a whole recording; the stream is left alone."""
        return self.cepstrum(self.log_mel(audio))

    def cepstrum(self, log_mel: Frames) -> Frames:
        """[frames, 40] log-mel Q16 -> [frames, n_mfcc] MFCC Q16 by the orthonormal DCT-II."""
        if log_mel.dtype != np.int32 or log_mel.ndim != 2 or log_mel.shape[1] != BANDS:
            raise ValueError(
                f"log-mel is {log_mel.dtype} of shape {log_mel.shape}; it must be int32 of shape [frames, {BANDS}]"
            )
        out = np.empty((len(log_mel), self.n_mfcc), np.int32)
        if self._numpy:
            self._numpy.cepstrum(log_mel, out)
        else:
            _front_end.cepstrum(_plain(log_mel), self.n_mfcc, out)
        return out

    def feed_log_mel(self, chunk: Samples) -> Frames:
        """Next [n] int16 of the stream, any n -> the [frames, 40] int32 Q16 that it completes."""
        _check(chunk)
        audio = np.concatenate((self._rest, chunk))
        out = self.log_mel(audio)
        self._rest = audio[len(out) * self.hop :].copy()
        return out

    def feed(self, chunk: Samples) -> Frames:
        """Next [n] int16 of the stream, any n -> the [frames, n_mfcc] int32 Q16 that it completes."""
        return self.cepstrum(self.feed_log_mel(chunk))


def _check(audio: Samples) -> None:
    if audio.dtype != np.int16 or audio.ndim != 1:
        raise ValueError(f"sound is {audio.dtype} of shape {audio.shape}; it must be int16 of shape [samples]")


def _plain(array: NDArray[_Integer]) -> NDArray[_Integer]:
    """As C reads it: without gaps, aligned."""
    return array if array.flags.carray else np.require(array, requirements=("C", "A"))
