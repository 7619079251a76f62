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
        # A product is a hundred times quicker than `mean` over so few columns; sums of int16 are exact in float32.
        self._taken = np.ones(channels, np.float32)
        if channel is not None:
            self._taken[np.arange(channels) != channel - 1] = 0
        self._full_scale = np.float32(32768 * self._taken.sum())
        self._rate_hz = rate_hz
        self._begin()

    def _begin(self) -> None:
        self._resampler = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            import soxr

            self._resampler = soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def convert(self, data: NDArray[np.int16]) -> Samples:
        """The next [n, channels] -> what of it is complete."""
        if self._resampler is None and np.count_nonzero(self._taken) == 1:
            return np.ascontiguousarray(data[:, self._taken.argmax()])  # untouched
        mono = data.astype(np.float32) @ self._taken
        mono /= self._full_scale
        return to_int16(mono if self._resampler is None else self._resampler.resample_chunk(mono))

    def end(self) -> Samples:
        """What is left; the next sound does not join on."""
        rest = np.zeros(0, np.float32)
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True)
        self._begin()
        return to_int16(rest)
