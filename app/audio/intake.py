"""Live sound that goes on: a source is fetched by a thread of its own, and opened again for as long as that takes."""

import math
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from ..live import Block
from .backlog import Backlog
from .converter import Converter
from .health import Health
from .source import Opened, Pcm, Source
from .timing import LATE_S, clock_s

STALLED_S = 2.0  # without a sample for so long, something is wrong
HOPELESS_S = 6.0  # and for so long, also after it was opened, a source is closed and opened again
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
_TICK_S = 0.25  # at least so often comes a block, if need be an empty one
_STOPPING_S = 8.0


@dataclass
class IntakeCounts:
    """What happened so far; written by the thread that fetches, read by any."""

    heard_samples: int = 0
    lost_samples: int = 0  # of the stream, while the source was away or slow; not what the backlog dropped
    overflows: int = 0  # times the device said that it lost sound
    opened: int = 0
    failures: int = 0


class Intake:
    """The sound of a source as 16 kHz mono blocks; a context manager that opens and closes it.

    channel: 1 for the first, None for the mean of all. patient: a source that cannot be opened at first is waited for,
    as one that fails later is in any case; else that raises AudioError. A source that is not live is opened once and
    its failure ends `blocks()` by AudioError.
    """

    def __init__(self, source: Source, channel: int | None = None, *, patient: bool = False) -> None:
        self._source, self._channel, self._patient = source, channel, patient
        self._backlog = Backlog(drops=source.live)
        self._health = Health()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="intake", daemon=True)
        self._first: tuple[Opened, Converter] | None = None  # opened before the thread began
        self._last_s: float | None = None  # when the last sound was taken
        self._pause_s = FIRST_PAUSE_S
        self._outage: str | None = None
        self._late_samples = 0  # too old when they were fetched
        self._missing_samples = 0  # lost or too old, since the block put last
        self._put_s = self._given_s = math.inf  # when the end of the block put, and given, last was heard
        self.name, self.rate_hz = "", SAMPLE_RATE_HZ
        self.counts = IntakeCounts()

    def __enter__(self) -> Self:
        if not (self._patient and self._source.live):
            self._first = self._open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._backlog.close()
        self._thread.join(_STOPPING_S)

    def blocks(self) -> Iterator[Block]:
        """Blocks as they come, one of no samples where none came for a while, to the end of the source."""
        while not self._stopping.is_set() and (block := self._backlog.get(_TICK_S)):
            if len(block.samples):
                self._given_s = block.heard_s
            yield block

    def stop(self) -> None:
        """End `blocks()` after the one that it gives now."""
        self._stopping.set()

    def lag_s(self) -> float:
        """How long ago the end of the block given last was heard, in seconds; 0 where sound does not grow old."""
        return max(0.0, clock_s() - self._given_s)

    def waiting_s(self) -> float:
        """Sound that waits to be taken, in seconds."""
        return self._backlog.waiting_samples / SAMPLE_RATE_HZ

    @property
    def dropped_samples(self) -> int:
        """Sound that was not taken in time."""
        return self._backlog.dropped_samples + self._late_samples

    @property
    def complaint(self) -> str | None:
        """What is wrong with the sound just now, in plain words; None while all is well."""
        return self._outage or self._health.complaint

    @property
    def good_seconds(self) -> int:
        """Seconds of sound without a complaint up to now."""
        return self._health.good_seconds

    @property
    def level_dbfs(self) -> float:
        """RMS of the last whole second."""
        return self._health.level_dbfs

    def _fetch(self) -> None:
        failure = None
        while not self._stopping.is_set():
            try:
                self._read_all(self._first or self._open())
                break
            except AudioError as error:
                if not self._source.live:
                    failure = error
                    break
                self.counts.failures += 1
                self._outage = str(error)
            finally:
                self._first = None
            self._stopping.wait(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if self._first:
            self._first[0].close()
        self._backlog.close(failure)

    def _open(self) -> tuple[Opened, Converter]:
        opened = self._source.open()
        try:
            converter = Converter(opened.rate_hz, opened.channels, self._channel)
        except AudioError:
            opened.close()
            raise
        self.name, self.rate_hz = opened.name, opened.rate_hz
        self.counts.opened += 1
        self._health.gap()
        return opened, converter

    def _read_all(self, source: tuple[Opened, Converter]) -> None:
        """Read an open source to its end and close it; AudioError where it fails or stalls."""
        opened, converter = source
        fresh, waiting_since_s = True, clock_s()
        with closing(opened):
            while not self._stopping.is_set():
                pcm = opened.read()
                if pcm is None:
                    self._put(converter.end(), 0)
                    return
                if len(pcm.data):
                    self._take(pcm, opened.rate_hz, converter, fresh=fresh)
                    fresh, self._outage, self._pause_s = False, None, FIRST_PAUSE_S
                    self._last_s = waiting_since_s = clock_s()
                elif (waited_s := clock_s() - waiting_since_s) > (HOPELESS_S if fresh else STALLED_S):
                    self._outage = f"{opened.name}: gives no sound"
                    if self._source.live and waited_s > HOPELESS_S:
                        raise AudioError(self._outage)

    def _take(self, pcm: Pcm, rate_hz: int, converter: Converter, *, fresh: bool) -> None:
        """Put what was read; what is too old already is dropped before it costs anything more."""
        self._missing_samples += self._lost_samples(pcm, rate_hz, fresh=fresh)
        if clock_s() - pcm.heard_s > LATE_S:
            late = round(len(pcm.data) * SAMPLE_RATE_HZ / rate_hz)
            self._late_samples += late
            self._missing_samples += late
            return
        lost, self._missing_samples = self._missing_samples, 0
        if lost:
            self._put(converter.end(), 0)
        self._put_s = pcm.heard_s
        self._put(converter.convert(pcm.data), lost)

    def _lost_samples(self, pcm: Pcm, rate_hz: int, *, fresh: bool) -> int:
        """What was lost before this sound: what the source tells, and where it was opened again, all since the last."""
        lost = round(pcm.lost_frames * SAMPLE_RATE_HZ / rate_hz)
        if fresh and self._last_s is not None and self._source.live:
            missing_s = clock_s() - self._last_s - len(pcm.data) / rate_hz
            lost += max(0, round(missing_s * SAMPLE_RATE_HZ))
        self.counts.overflows += pcm.overflowed
        self.counts.lost_samples += lost
        return lost

    def _put(self, samples: Samples, lost_samples: int) -> None:
        self.counts.heard_samples += len(samples)
        self._health.feed(samples)
        if len(samples) or lost_samples:
            self._backlog.put(Block(samples, lost_samples, self._put_s))
