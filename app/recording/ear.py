"""Sound taken from a source as it is needed: so many seconds, or none of what is waiting."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.health import Second
from ..audio.intake import Intake
from ..errors import AudioError
from ..live import Block

_PATIENCE = 24  # blocks in a row without sound: six seconds


class Ear:
    """The sound of an open intake; on_level: called with the RMS in dBFS of each block."""

    def __init__(self, intake: Intake, on_level: Callable[[float], None] = lambda _: None) -> None:
        self._intake, self._on_level = intake, on_level
        self._blocks = self._heard()
        self._rest: Samples = np.zeros(0, np.int16)

    def take(self, seconds: float) -> Samples:
        """The next [n] int16, begun anew where some was lost; AudioError where the source ends or gives no more."""
        wanted = round(seconds * SAMPLE_RATE_HZ)
        pieces, count = [self._rest], len(self._rest)
        while count < wanted:
            block = next(self._blocks)
            if block.lost_samples:
                pieces, count = [], 0
            pieces.append(block.samples)
            count += len(block.samples)
            self._on_level(Second.of(block.samples).dbfs)
        sound = np.concatenate(pieces)
        self._rest = sound[wanted:]
        return sound[:wanted]

    def forget(self) -> None:
        """Drop what came while nobody took it."""
        self._rest = self._rest[:0]
        self.take(self._intake.waiting_s())

    def _heard(self) -> Iterator[Block]:
        waited = 0
        for block in self._intake.blocks():
            if len(block.samples):
                waited = 0
                yield block
            elif (waited := waited + 1) == _PATIENCE:
                raise AudioError(self._intake.complaint or f"{self._intake.name}: gives no sound")
        raise AudioError(f"{self._intake.name}: the sound has ended")
