"""Sound that waits between the thread that fetches it and the thread that spots it: never more than a second."""

import threading
from collections import deque

import numpy as np

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from ..live import Block

LIMIT_SAMPLES = SAMPLE_RATE_HZ
NO_SOUND = Block(np.zeros(0, np.int16))


class Backlog:
    """A bounded queue of blocks between two threads.

    drops: what a `put` does beyond the limit: drop the older half, which the next block then names as lost, so that
    what remains hangs together; or wait. `waiting_samples` and `dropped_samples` may be read at any time.
    """

    def __init__(self, *, drops: bool) -> None:
        self._drops = drops
        self._changed = threading.Condition()
        self._blocks: deque[Block] = deque()
        self._lost_samples = 0  # before the oldest block
        self._closed = False
        self._error: AudioError | None = None
        self.waiting_samples = 0
        self.dropped_samples = 0

    def put(self, block: Block) -> None:
        """Add the newest block."""
        with self._changed:
            if self._drops:
                if self.waiting_samples + len(block.samples) > LIMIT_SAMPLES:
                    self._drop_to(min(LIMIT_SAMPLES // 2, LIMIT_SAMPLES - len(block.samples)))
            else:
                self._changed.wait_for(lambda: self._closed or self.waiting_samples < LIMIT_SAMPLES)
            self._blocks.append(block)
            self.waiting_samples += len(block.samples)
            self._changed.notify_all()

    def get(self, patience_s: float) -> Block | None:
        """The oldest block; NO_SOUND where none came within that time; None after the last.

        Raises the AudioError that ended the sound instead, if one did.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._closed, patience_s)
            if self._blocks:
                block = self._take()
                self._changed.notify_all()
                return block
            if self._error:
                raise self._error
            return None if self._closed else NO_SOUND

    def close(self, error: AudioError | None = None) -> None:
        """No more sound will come, and why if that is an error."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def _take(self) -> Block:
        block = self._blocks.popleft()
        self.waiting_samples -= len(block.samples)
        lost, self._lost_samples = self._lost_samples + block.lost_samples, 0
        return Block(block.samples, lost)

    def _drop_to(self, samples: int) -> None:
        while self._blocks and self.waiting_samples > samples:
            block = self._take()
            self._lost_samples = block.lost_samples + len(block.samples)
            self.dropped_samples += len(block.samples)
