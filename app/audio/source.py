"""What every source of sound is: something that can be opened, read in blocks, and opened again when it failed."""

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Pcm(NamedTuple):
    """Sound as the device has it: [n, channels] int16, frames lost just before it, whether the device said so.

    heard_s: when its last frame was heard, by `clock_s`; inf where sound does not grow old.
    """

    data: NDArray[np.int16]
    lost_frames: int = 0
    overflowed: bool = False
    heard_s: float = math.inf


class Opened(Protocol):
    """A source that is open, of one name, rate and number of channels until it is closed."""

    name: str
    rate_hz: int
    channels: int

    def read(self) -> Pcm | None:
        """The next sound, about a block of it; of no frames when none came within PATIENCE_S; None at the end.

        Raises AudioError where a source fails that has no end.
        """
        ...

    def close(self) -> None:
        """Give the device back; never raises."""
        ...


class Source(Protocol):
    """Where sound comes from; live: it goes on by itself, so that what is not fetched in time is lost."""

    live: bool

    def open(self) -> Opened:
        """Open it; raises AudioError, one line, where that cannot be done now."""
        ...
