"""The default output device: plays what the spotter is given, while it is given."""

from types import TracebackType
from typing import Any, Self

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from .portaudio import reason

_AHEAD_S = 0.1  # silence that plays first: how late a block may come without a gap


class Speakers:
    """Plays 16 kHz mono blocks; a context manager that opens and closes the device.

    portaudio: the module sounddevice. Raises AudioError when there is no output device or it fails.
    """

    def __init__(self, portaudio: Any) -> None:
        self._portaudio = portaudio

    def __enter__(self) -> Self:
        try:
            self._stream = self._portaudio.OutputStream(
                samplerate=SAMPLE_RATE_HZ, channels=1, dtype="int16", latency=2 * _AHEAD_S
            )
            self._stream.start()
        except self._portaudio.PortAudioError as error:
            raise AudioError(f"speakers: cannot be opened: {reason(error)}; leave out --play") from None
        self.play(np.zeros(round(_AHEAD_S * SAMPLE_RATE_HZ), np.int16))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close(ignore_errors=True)

    def play(self, samples: Samples) -> None:
        """The next [n] int16; returns at once unless the device is behind."""
        try:
            self._stream.write(np.ascontiguousarray(samples[:, None]))
        except self._portaudio.PortAudioError as error:
            raise AudioError(f"speakers: stopped playing: {reason(error)}") from None
