"""A microphone through PortAudio: blocking reads at the device's own rate, mixed to mono and brought to 16 kHz."""

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from ..live import Block
from .portaudio import find_input, reason

_BLOCKS_PER_SECOND = 25
_CHANNELS = 2  # more are not averaged: the default device of a sound server may claim 32
_LATENCY_S = 0.2  # of the device's buffer: time for a busy machine before sound is lost
_LEAST_LOSS_S = 0.02  # below this the device's clock cannot tell a loss from its own jitter


class Microphone:
    """Live sound of an input device; a context manager that opens and closes it.

    device: part of its name or its number, None for the default one; portaudio: the module sounddevice. `heard_s` is
    the sound it gave, `overflows` how often the device lost sound, `lost_s` how much of it, where its clock tells.
    Raises AudioError when the device cannot be opened or fails.
    """

    def __init__(self, portaudio: Any, device: str | None = None) -> None:
        self._portaudio, self._device = portaudio, device
        self.name = ""
        self.rate_hz = SAMPLE_RATE_HZ
        self.overflows = 0
        self.lost_s = 0.0
        self.heard_s = 0.0

    def __enter__(self) -> Self:
        index, device = find_input(self._portaudio, self._device)
        self.name, self.rate_hz = device["name"], round(device["default_samplerate"])
        try:
            self._stream = self._portaudio.InputStream(
                device=index,
                samplerate=self.rate_hz,
                channels=min(_CHANNELS, device["max_input_channels"]),
                dtype="float32",
                latency=_LATENCY_S,
            )
            self._stream.start()
        except self._portaudio.PortAudioError as error:
            raise AudioError(f"microphone {self.name}: cannot be opened: {reason(error)}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close(ignore_errors=True)

    def lag_s(self) -> float:
        """Sound that waits in the device's buffer, in seconds."""
        return float(self._stream.read_available) / self.rate_hz

    def blocks(self) -> Iterator[Block]:
        """Sound in blocks of about 40 ms, for as long as the device gives any."""
        converter = _Converter(self.rate_hz)
        clock = _LossClock(self.rate_hz)
        while True:
            try:
                data, overflowed = self._stream.read(self.rate_hz // _BLOCKS_PER_SECOND)
                lost = clock.lost_frames(self._stream.time, len(data), self._stream.read_available, overflowed)
            except self._portaudio.PortAudioError as error:
                raise AudioError(f"microphone {self.name}: gives no more sound: {reason(error)}") from None
            self.overflows += bool(overflowed)
            self.heard_s += len(data) / self.rate_hz
            if lost:
                self.lost_s += lost / self.rate_hz
                yield Block(converter.end())
            lost_samples = round(lost * SAMPLE_RATE_HZ / self.rate_hz)
            yield Block(converter.convert(data), lost_samples)


class _Converter:
    """Float sound [n, channels] of any rate -> int16 mono at 16 kHz, as a stream."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._begin()

    def _begin(self) -> None:
        self._resampler = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            import soxr

            self._resampler = soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def convert(self, data: NDArray[np.float32]) -> Samples:
        """The next [n, channels] -> what of it is complete."""
        mono = data.mean(axis=1)
        return to_int16(mono if self._resampler is None else self._resampler.resample_chunk(mono))

    def end(self) -> Samples:
        """What is left; the next sound does not join on."""
        rest = np.zeros(0, np.float32)
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True)
        self._begin()
        return to_int16(rest)


class _LossClock:
    """How much sound an overflow cost: the device's clock went on while frames did not come.

    It looks back two reads, as an overflow may be reported one read late, and no further, so that a clock that runs a
    little fast or slow adds up to nothing.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._read = 0
        self._past: deque[tuple[float, int]] = deque(maxlen=2)  # times of reads, frames that had come by then

    def lost_frames(self, time_s: float, frames: int, waiting: int, overflowed: bool) -> int:
        """After a read at `time_s` of `frames`, with `waiting` in the buffer: frames lost, where that is known."""
        self._read += frames
        came, lost = self._read + waiting, 0
        if overflowed and self._past:
            since_s, had_come = self._past[0]
            lost = round((time_s - since_s) * self._rate_hz) - (came - had_come)
            lost = lost if lost >= _LEAST_LOSS_S * self._rate_hz else 0
        if lost:
            self._past.clear()  # it is not to be counted again
        self._past.append((time_s, came))
        return lost
