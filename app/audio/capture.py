"""A microphone in a process of its own: `python -m tinyhark.app.audio.capture` writes what it hears to a pipe.

PortAudio lists the devices once in the life of a process and may hang in a driver; a process can be ended and started
again. It reads in blocks, without a callback, which works where no memory may be made executable.

Standard output is one line of JSON, `{"name", "rate_hz", "channels"}` or `{"error"}`, then records: a RECORD with the
number of frames, frames lost before them, whether the device reported that, and when the last of them was heard
(`clock_s`), then the frames, int16 interleaved. A record of no frames is the last one; after it comes why there are no
more, as a line of text.
"""

import argparse
import json
import os
import signal
import struct
from typing import Any, BinaryIO

from ..errors import AudioError
from ..loaded_code import drop_loaded_code
from .devices import InputDevice, choose, input_devices
from .loss_clock import LossClock
from .portaudio import load_portaudio, reason
from .timing import BLOCKS_PER_SECOND, clock_s

RECORD = struct.Struct("<IIId")

_CHANNELS = 2  # more are opened only where a device will not have fewer: that of a sound server claims 32
_LATENCY_S = 0.2  # of the device's buffer: time for a busy machine before sound is lost
_PERIODS = 2  # in which a device gives a block: each costs wake-ups, and with one a sound server gives sound in bursts


def capture(portaudio: Any, device: str | None, channel: int | None, out: BinaryIO) -> None:
    """Write header and records until the device fails; raises AudioError where it cannot be opened at all."""
    chosen = choose(input_devices(portaudio), device)
    stream, channels = _open(portaudio, chosen, channel)
    header = {"name": chosen.name, "rate_hz": chosen.rate_hz, "channels": channels}
    out.write(json.dumps(header).encode() + b"\n")
    out.flush()
    drop_loaded_code()
    frames = round(chosen.rate_hz / BLOCKS_PER_SECOND)
    clock = LossClock(chosen.rate_hz)
    while True:
        try:
            data, overflowed = stream.read(frames)
            lost = clock.lost_frames(clock_s(), frames, stream.read_available, overflowed)
        except portaudio.PortAudioError as error:
            out.write(RECORD.pack(0, 0, 0, 0.0) + reason(error).encode() + b"\n")
            out.flush()
            return
        out.write(RECORD.pack(frames, lost, overflowed, clock.heard_s) + bytes(data))
        out.flush()


def _open(portaudio: Any, device: InputDevice, channel: int | None) -> tuple[Any, int]:
    """The stream of a device at its own rate, started, and its channels: few, or all where it will not have few."""
    if channel is not None and channel > device.channels:
        raise AudioError(f"microphone {device.name}: has no channel {channel}, only {device.channels}")
    few = min(device.channels, max(_CHANNELS, channel or 1))
    for channels in sorted({few, device.channels}):
        try:
            stream = portaudio.RawInputStream(
                device=device.index,
                samplerate=device.rate_hz,
                channels=channels,
                dtype="int16",
                blocksize=round(device.rate_hz / BLOCKS_PER_SECOND / _PERIODS),
                latency=_LATENCY_S,
                dither_off=True,  # noise from the conversion would hide that a microphone is dead
            )
            stream.start()
        except portaudio.PortAudioError as error:
            failure = reason(error)
        else:
            return stream, channels
    raise AudioError(f"microphone {device.name}: cannot be opened: {failure}")


def main() -> None:
    """Capture until the reader goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parser = argparse.ArgumentParser(prog="tinyhark.app.audio.capture")
    parser.add_argument("--device")
    parser.add_argument("--channel", type=int)
    options = parser.parse_args()
    # A library that prints must not print into the sound.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        try:
            capture(load_portaudio(), options.device, options.channel, out)
        except AudioError as error:
            out.write(json.dumps({"error": str(error)}).encode() + b"\n")
            out.close()
    except BrokenPipeError:
        os._exit(0)  # nobody listens; nothing is left to be flushed


if __name__ == "__main__":
    main()
