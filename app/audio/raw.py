"""Raw sound from a pipe: int16, little endian, 16 kHz, mono."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from tinyhark.dsp.front_end import Samples

from ..errors import AudioError

BLOCK_BYTES = 32_768  # the most at once, about a second; less comes as soon as it is there


def read_raw(stream: BinaryIO, name: str = "-") -> Iterator[Samples]:
    """Yield [n] int16 from a buffered binary stream as it arrives, to its end.

    Raises AudioError at the end where the stream held nothing, or stopped inside a sample.
    """
    read = getattr(stream, "read1", stream.read)  # read1 hands over what is there instead of waiting for a full block
    rest = b""
    empty = True
    while data := read(BLOCK_BYTES):
        data = rest + data
        even = len(data) & ~1
        rest = data[even:]
        if even:
            empty = False
            yield np.frombuffer(data[:even], "<i2").astype(np.int16, copy=False)
    if rest:
        raise AudioError(f"{name}: ends inside a sample; raw sound is int16, 16 kHz, mono")
    if empty:
        raise AudioError(f"{name}: no sound came; raw sound is int16, 16 kHz, mono")
