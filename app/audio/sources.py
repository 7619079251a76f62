"""Sources beside the microphone: arecord, a TCP peer, standard input, a file."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from .files import read_blocks
from .pipes import RawStream
from .processes import end
from .source import Pcm
from .timing import BLOCKS_PER_SECOND

_CONNECTING_S = 5.0
_OVERRUN = "overrun!!!"  # arecord's word for lost sound
_SAID_BYTES = 65_536


class ArecordSource:
    """ALSA's own program, for machines whose devices PortAudio does not see; device: as `arecord -L` has it."""

    live = True

    def __init__(self, device: str = "default", rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
        self._device, self._rate_hz, self._channels = device, rate_hz, channels

    def open(self) -> RawStream:
        """Start it; raises AudioError where it is not installed. What it cannot open it says at the first read."""
        form = ["-t", "raw", "-f", "S16_LE", "-r", str(self._rate_hz), "-c", str(self._channels)]
        try:
            process = subprocess.Popen(
                ["arecord", "-q", "-D", self._device, *form],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise AudioError("arecord: is not installed: sudo apt install alsa-utils") from None
        except OSError as error:
            raise AudioError(f"arecord: cannot be started: {error.strerror}") from None
        return ArecordStream(process, f"arecord {self._device}", self._rate_hz, self._channels)


class ArecordStream(RawStream):
    """What a running arecord hears; it tells on standard error what it lost and why it ends."""

    def __init__(self, process: "subprocess.Popen[bytes]", name: str, rate_hz: int, channels: int) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._errors = process.stderr
        os.set_blocking(self._errors.fileno(), False)
        self._said = ""
        super().__init__(
            name, rate_hz, channels, process.stdout.fileno(), lambda: end(process), lambda: self._why_ended_so()
        )

    def read(self) -> Pcm | None:
        """As every source gives it, with what was lost; how much arecord says is often far off, the clock knows."""
        pcm = super().read()
        if pcm is None or not len(pcm.data):
            return pcm
        return self._timed(pcm, overflowed=_OVERRUN in self._new_lines())

    def _new_lines(self) -> str:
        try:
            self._said = (os.read(self._errors.fileno(), _SAID_BYTES) or b"").decode(errors="replace")
        except BlockingIOError:
            return ""
        return self._said

    def _why_ended_so(self) -> str:
        self._new_lines()
        return self._said.split("\n")[0].removeprefix("arecord: ") or "arecord ended"


class TcpSource:
    """A peer that sends raw int16 to whoever connects, as PulseAudio's and PipeWire's simple protocol do."""

    live = True

    def __init__(self, host: str, port: int, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
        self._host, self._port, self._rate_hz, self._channels = host, port, rate_hz, channels

    def open(self) -> RawStream:
        """Connect; raises AudioError where nobody answers."""
        name = f"tcp {self._host}:{self._port}"
        try:
            peer = socket.create_connection((self._host, self._port), _CONNECTING_S)
        except OSError as error:
            raise AudioError(f"{name}: cannot be reached: {error.strerror or error}") from None
        peer.setblocking(True)  # reads are waited for by poll
        return TcpStream(
            name, self._rate_hz, self._channels, peer.fileno(), peer.close, lambda: "the peer closed the connection"
        )


class TcpStream(RawStream):
    """What a peer sends."""

    def read(self) -> Pcm | None:
        """As every source gives it, with when it came; a peer that pauses loses nothing, its sound goes on later."""
        pcm = super().read()
        return pcm if pcm is None or not len(pcm.data) else self._timed(pcm)._replace(lost_frames=0)


class StdinSource:
    """Raw int16 on standard input, to its end; what is not fetched waits in the pipe."""

    live = False

    def __init__(self, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
        self._rate_hz, self._channels = rate_hz, channels

    def open(self) -> RawStream:
        """Standard input as it is."""
        return RawStream(
            "standard input", self._rate_hz, self._channels, sys.stdin.fileno(), lambda: None, why_ended=None
        )


class FileSource:
    """A sound file of any format, as fast as it is fetched, to its end."""

    live = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> "OpenFile":
        """Nothing is read yet; what is wrong with the file, the first read says."""
        return OpenFile(self._path)


class OpenFile:
    """The blocks of a file, mono at 16 kHz already."""

    rate_hz, channels = SAMPLE_RATE_HZ, 1

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._blocks: Generator[Samples, None, None] = read_blocks(path, round(SAMPLE_RATE_HZ / BLOCKS_PER_SECOND))

    def read(self) -> Pcm | None:
        """The next block; raises AudioError where the file cannot be read or is damaged."""
        block = next(self._blocks, None)
        return None if block is None else Pcm(block[:, None])

    def close(self) -> None:
        """Close the file."""
        with closing(self._blocks):
            pass
