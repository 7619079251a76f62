"""The last half minute of sound, for those who want some of it: in memory, and only where the configuration asks."""

import struct
import threading
from collections import deque
from collections.abc import Iterator

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

KEPT_S = 30
_PATIENCE_S = 3.0  # for sound that is still to come


class Recent:
    """Fed by the thread that hears, read by any. `wanted`: whether anything is kept."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._blocks: deque[tuple[int, Samples]] = deque()  # first sample, sound
        self._end_sample = self._stream = 0
        self.wanted = False

    def feed(self, samples: Samples, end_sample: int) -> None:
        """The newest [n] int16 of the stream and one past its last sample; a stream that begins again ends the old."""
        with self._changed:
            if end_sample < self._end_sample:
                self._blocks.clear()
                self._stream += 1
            self._end_sample = end_sample
            if not self.wanted:
                self._blocks.clear()
            elif len(samples):
                self._blocks.append((end_sample - len(samples), samples))
                while self._blocks[0][0] < end_sample - KEPT_S * SAMPLE_RATE_HZ:
                    self._blocks.popleft()
            self._changed.notify_all()

    def read(self, start_sample: int, end_sample: int) -> Iterator[Samples]:
        """The sound between two samples, piece by piece as it comes; silence where there is none (any more)."""
        stream, at = self._stream, start_sample
        while at < end_sample:
            piece = self._piece(stream, at, end_sample)
            yield piece
            at += len(piece)

    def read_wav(self, start_sample: int, end_sample: int) -> Iterator[bytes]:
        """The same as a WAV file, piece by piece."""
        yield _wav_header(end_sample - start_sample)
        for piece in self.read(start_sample, end_sample):
            yield piece.astype("<i2").tobytes()

    def _piece(self, stream: int, at: int, end_sample: int) -> Samples:
        with self._changed:
            came = self._changed.wait_for(lambda: self._end_sample > at or self._stream != stream, _PATIENCE_S)
            silent_to = end_sample
            for first, samples in self._blocks if came and self._stream == stream else ():
                if first + len(samples) > at:
                    if first <= at:
                        return samples[at - first : end_sample - first]
                    silent_to = min(first, end_sample)
                    break
            else:
                if came and self._stream == stream:
                    silent_to = min(self._end_sample, end_sample)  # lost sound, and more may come
        return np.zeros(silent_to - at, np.int16)


def _wav_header(samples: int) -> bytes:
    """Of a file of so many 16 kHz mono int16 samples."""
    size = 2 * samples
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
