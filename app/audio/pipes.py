"""Raw int16 sound out of a pipe or socket, read without waiting for longer than a source may."""

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Callable

import numpy as np

from ..errors import AudioError
from .loss_clock import LossClock
from .source import Pcm
from .timing import BLOCKS_PER_SECOND, PATIENCE_S, clock_s

_READ_BYTES = 65_536


class Inflow:
    """The bytes of a file descriptor as they come; `ended` once there are no more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._bytes = bytearray()
        self.ended = False

    def wait_for(self, count: int, patience_s: float) -> bool:
        """Read until `count` bytes are there -> whether they are; False after that time, and at the end."""
        due_s = time.monotonic() + patience_s
        while len(self._bytes) < count and not self.ended:
            left_s = due_s - time.monotonic()
            if left_s <= 0 or not self._poll.poll(1000 * left_s):
                break
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except OSError:  # a peer that resets its connection has ended, too
                data = b""
            self._bytes += data
            self.ended = not data
        return len(self._bytes) >= count

    def take(self, count: int) -> bytes:
        """The first `count` bytes, or all if there are fewer."""
        data = bytes(self._bytes[:count])
        del self._bytes[:count]
        return data

    def peek(self, count: int) -> bytes:
        """As `take`, but they stay."""
        return bytes(self._bytes[:count])

    def line(self, patience_s: float, most_bytes: int = 4096) -> str | None:
        """The first line, without its end; None where none came whole within that time."""
        due_s = time.monotonic() + patience_s
        while b"\n" not in self._bytes:
            if len(self._bytes) > most_bytes or not self.wait_for(len(self._bytes) + 1, due_s - time.monotonic()):
                return None
        return self.take(self._bytes.index(b"\n") + 1).decode(errors="replace").rstrip("\n")

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that came and were not taken yet, also those that were not even read."""
        unread = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
        return len(self._bytes) + int(struct.unpack("i", unread)[0])


class RawStream:
    """An open source of raw interleaved int16, little endian; what is known of it is told.

    close: gives it back. why_ended: says why an endless source ended; None where it may end.
    """

    def __init__(
        self,
        name: str,
        rate_hz: int,
        channels: int,
        descriptor: int,
        close: Callable[[], None],
        why_ended: Callable[[], str] | None,
    ) -> None:
        self.name, self.rate_hz, self.channels = name, rate_hz, channels
        self.close = close
        self._why_ended = why_ended
        self._frame_bytes = 2 * channels
        self._block_bytes = round(rate_hz / BLOCKS_PER_SECOND) * self._frame_bytes
        self._inflow = Inflow(descriptor)
        self._clock = LossClock(rate_hz)

    def read(self) -> Pcm | None:
        """As every source gives it; raises AudioError where an endless one ends."""
        self._inflow.wait_for(self._block_bytes, PATIENCE_S)
        whole = min(self._block_bytes, len(self._inflow) // self._frame_bytes * self._frame_bytes)
        if not whole and self._inflow.ended:
            if self._why_ended is None:
                return None
            raise AudioError(f"{self.name}: gives no more sound: {self._why_ended()}")
        data = np.frombuffer(self._inflow.take(whole), "<i2").astype(np.int16, copy=False)
        return Pcm(data.reshape(-1, self.channels))

    def _timed(self, pcm: Pcm, *, overflowed: bool = False) -> Pcm:
        """What was just read of live sound, with what the clock knows: when it was heard, and what was lost."""
        waiting = self._inflow.waiting_bytes // self._frame_bytes
        lost = self._clock.lost_frames(clock_s(), len(pcm.data), waiting, overflowed)
        return Pcm(pcm.data, lost, overflowed, self._clock.heard_s)
