"""Sound as a device has it to what is spotted: 16 kHz, mono, int16, as a stream."""

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError


class Converter:
    """Takes [n, channels] int16 at `rate_hz` to [n] int16 at 16 kHz; channel: 1 for the first, None for their mean.

    Raises AudioError where there is no such channel.
    """

    def __init__(self, rate_hz: int, channels: int, channel: int | None = None) -> None:
        if channel is not None and not 1 <= channel <= channels:
            raise AudioError(f"channel {channel}: the sound has {channels} channel{'s' * (channels != 1)}")
        self._column = 0 if channels == 1 else None if channel is None else channel - 1
        self._rate_hz = rate_hz
        self._begin()

    def _begin(self) -> None:
        self._resampler = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            import soxr

            self._resampler = soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def convert(self, data: NDArray[np.int16]) -> Samples:
        """The next [n, channels] -> what of it is complete."""
        if self._resampler is None and self._column is not None:
            return np.ascontiguousarray(data[:, self._column])  # untouched
        mono = data.mean(axis=1, dtype=np.float32) if self._column is None else data[:, self._column].astype(np.float32)
        mono /= 32768
        return to_int16(mono if self._resampler is None else self._resampler.resample_chunk(mono))

    def end(self) -> Samples:
        """What is left; the next sound does not join on."""
        rest = np.zeros(0, np.float32)
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True)
        self._begin()
        return to_int16(rest)
