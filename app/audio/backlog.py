"""Sound that waits between the thread that fetches it and the thread that spots it: never more than a second.

Nor is any given that would be too old when it has been spotted: a process that was stopped, or has too little time,
finds the sound of long ago waiting when it goes on.
"""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from ..live import Block
from .timing import BLOCKS_PER_SECOND, LATE_S, clock_s

LIMIT_SAMPLES = SAMPLE_RATE_HZ
_LONGEST_S = LATE_S - 1.5 / BLOCKS_PER_SECOND  # for a block, that is reckoned with: fresh sound is tried in any case
NO_SOUND = Block(np.zeros(0, np.int16))


class Backlog:
    """A bounded queue of blocks between two threads.

    drops: what a `put` does beyond the limit: drop the older half, which the next block then names as lost, so that
    what remains hangs together; or wait. A `get` drops what is too old in the same way. `waiting_samples` and
    `dropped_samples` may be read at any time. clock: seconds, that of the blocks' `heard_s`.
    """

    def __init__(self, *, drops: bool, clock: Callable[[], float] = clock_s) -> None:
        self._drops, self._clock = drops, clock
        self._given_s: float | None = None  # when the last block was given, unless its taker came back
        self._took_s = deque([0.0], maxlen=2)  # how long the last two kept their taker
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
        """The oldest block that is not too old; NO_SOUND where none came within that time; None after the last.

        Raises the AudioError that ended the sound instead, if one did.
        """
        if self._given_s is not None:
            self._took_s.append(self._clock() - self._given_s)
            self._given_s = None
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._closed, patience_s)
            self._drop_late()
            if self._blocks:
                block = self._take()
                self._changed.notify_all()
                self._given_s = self._clock()
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
        return Block(block.samples, lost, block.heard_s)

    def _drop_late(self) -> None:
        """Drop what would be too old at the end of the time that a block takes; once it must be, half of all."""
        now_s = self._clock()
        most_s = LATE_S - min(*self._took_s, _LONGEST_S)
        if self._blocks and now_s - self._blocks[0].heard_s > most_s:
            while self._blocks and now_s - self._blocks[0].heard_s > most_s / 2:
                self._drop()

    def _drop_to(self, samples: int) -> None:
        while self._blocks and self.waiting_samples > samples:
            self._drop()

    def _drop(self) -> None:
        block = self._take()
        self._lost_samples = block.lost_samples + len(block.samples)
        self.dropped_samples += len(block.samples)
