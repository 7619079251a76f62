"""The spotter of a daemon, which can be replaced and be deaf while the sound goes on."""

import math
import time
from collections import deque
from collections.abc import Iterable

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..detection import Detection
from ..spotter import Spotter
from .counters import Histogram

_RECENT_SAMPLES = 3 * SAMPLE_RATE_HZ  # what a new spotter is given first: a window and the time scores are smoothed


class Hearing:
    """A spotter for `live.run`; `replace` puts another one in its place that has heard the last seconds, too.

    inference: takes the seconds that each block cost.
    """

    def __init__(self, spotter: Spotter, inference: Histogram) -> None:
        self._spotter, self._inference = spotter, inference
        self._recent: deque[Samples] = deque()
        self._recent_samples = 0
        self._deaf_until: float = 0  # sample of the stream

    @property
    def position_samples(self) -> int:
        """How far the stream has come."""
        return self._spotter.position_samples

    def trace(self, chunk: Samples) -> Iterable[tuple[Step, Detection | None]]:
        """Next [n] int16 -> every step with its detection."""
        if not len(chunk):
            return []
        if self.position_samples < self._deaf_until:
            self.skip(len(chunk))
            return []
        start_s = time.perf_counter()
        steps = list(self._spotter.trace(chunk))
        self._inference.add(time.perf_counter() - start_s)
        self._recent.append(chunk)
        self._recent_samples += len(chunk)
        while self._recent_samples - len(self._recent[0]) >= _RECENT_SAMPLES:
            self._recent_samples -= len(self._recent.popleft())
        return steps

    def mute(self) -> None:
        """Hear nothing from here on: time goes on, no step is made."""
        self._deaf_until = math.inf

    def unmute(self, waiting_samples: int) -> None:
        """Hear again after so many samples, which were recorded already; decisions start afresh there."""
        self._deaf_until = self.position_samples + waiting_samples

    def trace_end(self) -> Iterable[tuple[Step, Detection | None]]:
        """The steps that the end of the sound completes."""
        return self._spotter.trace_end()

    def skip(self, samples: int) -> None:
        """So many samples were lost."""
        self._spotter.skip(samples)
        self._recent.clear()
        self._recent_samples = 0

    def replace(self, spotter: Spotter) -> None:
        """Go on with another spotter from here; what the old one heard already is not told again."""
        spotter.reset()
        spotter.skip(self.position_samples - self._recent_samples)
        for chunk in self._recent:
            spotter.feed(chunk)
        self._spotter = spotter
