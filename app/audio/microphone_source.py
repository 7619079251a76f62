"""The source that people mean by a microphone: a device of PortAudio, through a capture process."""

import json
import subprocess
import sys
from typing import Any

import numpy as np

from ..errors import AudioError
from .capture import RECORD
from .pipes import Inflow
from .processes import end
from .source import Pcm
from .timing import PATIENCE_S

_OPENING_S = 20.0  # a driver takes its time, a small machine starts Python in seconds


class MicrophoneSource:
    """An input device by its name or a part of it, None for the default one, at its own rate; channel: 1 or more."""

    live = True

    def __init__(self, device: str | None = None, channel: int | None = None) -> None:
        self._device, self._channel = device, channel

    def open(self) -> "Captured":
        """Start a capture process; raises AudioError with what it says where it cannot open the device."""
        command = [sys.executable, "-P", "-m", "tinyhark.app.audio.capture"]  # -P: no module of the folder we are in
        command += ["--device", self._device] if self._device is not None else []
        command += ["--channel", str(self._channel)] if self._channel is not None else []
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # ALSA tells there what it tries
                start_new_session=True,
            )
        except OSError as error:
            raise AudioError(f"microphone: no capture process can be started: {error.strerror}") from None
        return Captured.of(process)


class Captured:
    """What a capture process hears; `close` ends it."""

    def __init__(self, process: "subprocess.Popen[bytes]", inflow: Inflow, header: dict[str, Any]) -> None:
        self.name, self.rate_hz, self.channels = header["name"], header["rate_hz"], header["channels"]
        self._process, self._inflow = process, inflow

    @classmethod
    def of(cls, process: "subprocess.Popen[bytes]") -> "Captured":
        """Wait for the header of a process; raises AudioError where it is an error or does not come."""
        assert process.stdout is not None
        inflow = Inflow(process.stdout.fileno())
        line = inflow.line(_OPENING_S)
        if line is None:
            end(process)
            raise AudioError("microphone: the capture process did not open it; see hark doctor")
        header = json.loads(line)
        if "error" in header:
            end(process)
            raise AudioError(header["error"])
        return cls(process, inflow, header)

    def read(self) -> Pcm | None:
        """The next record; raises AudioError where there are no more."""
        if not self._inflow.wait_for(RECORD.size, PATIENCE_S):
            if self._inflow.ended:
                raise AudioError(f"microphone {self.name}: the capture process ended")
            return self._nothing()
        frames, lost, overflowed, heard_s = RECORD.unpack(self._inflow.peek(RECORD.size))
        if not frames:
            self._inflow.take(RECORD.size)
            why = self._inflow.line(PATIENCE_S) or "it failed"
            raise AudioError(f"microphone {self.name}: gives no more sound: {why}")
        size = 2 * self.channels * frames
        if not self._inflow.wait_for(RECORD.size + size, PATIENCE_S):
            return self._nothing()
        self._inflow.take(RECORD.size)
        data = np.frombuffer(self._inflow.take(size), np.int16).reshape(frames, self.channels)
        return Pcm(data, lost, bool(overflowed), heard_s)

    def close(self) -> None:
        """End the process."""
        end(self._process)

    def _nothing(self) -> Pcm:
        return Pcm(np.zeros((0, self.channels), np.int16))
