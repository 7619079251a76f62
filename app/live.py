"""A live run: sound goes block by block through the spotter, and a watcher follows; it changes no detection."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .detection import Detection

BLOCK_SAMPLES = 640  # 40 ms: several frames a call at little delay


@dataclass(frozen=True, slots=True)
class Block:
    """The next [n] int16 of the sound, 16 kHz mono, and how many samples were lost just before it.

    heard_s: when its last sample was heard, by the clock of its source; inf where sound does not grow old.
    """

    samples: Samples
    lost_samples: int = 0
    heard_s: float = math.inf


class Source(Protocol):
    """Where live sound comes from."""

    def blocks(self) -> Iterator[Block]:
        """Blocks as they come, of no samples where none came for a while; ends when there are no more."""
        ...

    def lag_s(self) -> float:
        """How far the end of the last block, now spotted, lies behind the sound, in seconds."""
        ...


class Tracer(Protocol):
    """What a live run needs of a spotter."""

    def trace(self, chunk: Samples) -> Iterable[tuple[Step, Detection | None]]:
        """Next [n] int16 -> every step with its detection."""
        ...

    def trace_end(self) -> Iterable[tuple[Step, Detection | None]]:
        """The steps that the end of the sound completes."""
        ...

    def skip(self, samples: int) -> None:
        """So many samples were lost."""
        ...


class Watcher:
    """Follows a live run and shows nothing; the base of those that do. A context manager around the run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def step(self, step: Step) -> None:
        """One step of the decision."""

    def event(self, detection: Detection) -> None:
        """One detection, as soon as it is made."""

    def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
        """A block was spotted: one past its last sample, how far it lies behind the sound in seconds."""


class Playback:
    """A recording as it would come live: each block once its last sample would have been heard, or at once.

    blocks: [n] int16 each; paced: whether to wait, by `clock` in seconds; play: also takes each block when it is due.
    The time of every block counts from the start, so that nothing adds up.
    """

    def __init__(
        self,
        blocks: Iterable[Samples],
        *,
        paced: bool,
        play: Callable[[Samples], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._blocks, self._paced, self._play = blocks, paced, play
        self._clock, self._sleep = clock, sleep
        self._due_s = 0.0
        self.samples = 0  # played so far

    def blocks(self) -> Iterator[Block]:
        """The blocks, each when it is due."""
        start_s = self._clock()
        for samples in self._blocks:
            self.samples += len(samples)
            self._due_s = start_s + self.samples / SAMPLE_RATE_HZ
            while self._paced and (wait_s := self._due_s - self._clock()) > 0:
                self._sleep(wait_s)
            if self._play is not None:
                self._play(samples)
            yield Block(samples)

    def lag_s(self) -> float:
        """How long ago the last block was due; 0 when not paced."""
        return max(0.0, self._clock() - self._due_s) if self._paced else 0.0


def run(spotter: Tracer, source: Source, watcher: Watcher) -> Iterator[Detection]:
    """Spot all the sound of a source, telling the watcher, and give each detection when it is made."""
    end_sample = 0
    for block in source.blocks():
        if block.lost_samples:
            spotter.skip(block.lost_samples)
        end_sample += block.lost_samples + len(block.samples)
        yield from _watched(spotter.trace(block.samples), watcher)
        watcher.sound(block, end_sample, source.lag_s())
    yield from _watched(spotter.trace_end(), watcher)


def _watched(steps: Iterable[tuple[Step, Detection | None]], watcher: Watcher) -> Iterator[Detection]:
    for step, detection in steps:
        watcher.step(step)
        if detection is not None:
            watcher.event(detection)
            yield detection
