"""`python -m tinyhark.app.daemon.chime_player [DEVICE]`: plays a short tone for each line on standard input.

Answers each with a line: "played", or why not, after which it ends: PortAudio lists the devices once in the life of a
process. It writes in blocks, without a callback, which works where no memory may be made executable.
"""

import math
import os
import signal
import sys
from array import array
from typing import Any

from ..audio.portaudio import load_portaudio, reason
from ..errors import AudioError

_RATE_HZ = 48_000
_NOTES_HZ, _NOTE_S, _PEAK = (880.0, 1320.0), 0.09, 8000


def tone() -> "array[int]":
    """Two notes that swell and fade, int16 at 48 kHz."""
    count = round(_NOTE_S * _RATE_HZ)
    return array(
        "h",
        (
            round(_PEAK * math.sin(math.pi * i / count) ** 2 * math.sin(2 * math.pi * note * i / _RATE_HZ))
            for note in _NOTES_HZ
            for i in range(count)
        ),
    )


def play(portaudio: Any, device: str | None) -> str:
    """Play it -> "played", or why not."""
    try:
        with portaudio.RawOutputStream(samplerate=_RATE_HZ, channels=1, dtype="int16", device=device) as stream:
            stream.write(tone().tobytes())  # leaving waits until it is heard
    except portaudio.PortAudioError as error:
        return reason(error)
    except ValueError as error:  # no such device, or several
        return " ".join(str(error).split())
    return "played"


def main() -> None:
    """Play until standard input ends or something fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not print into the answers
    try:
        portaudio = load_portaudio()
    except AudioError as error:
        sys.stdin.readline()
        print(error, file=out, flush=True)
        return
    while sys.stdin.readline():
        answer = play(portaudio, sys.argv[1] if len(sys.argv) > 1 else None)
        print(answer, file=out, flush=True)
        if answer != "played":
            return


if __name__ == "__main__":
    main()
