"""The output that people and programs ask over HTTP: aiohttp in a thread of its own."""

import asyncio
import time
from collections.abc import Collection

import numpy as np

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..live_state import LevelMeter
from ..spotter import Spotter
from .control import Control
from .event import Event, State
from .http_feed import Feed
from .http_guard import Guard
from .http_server import serve
from .http_site import Site
from .loop_output import LoopOutput

_LEVEL_SAMPLES = SAMPLE_RATE_HZ // 10  # between two messages about level and scores
_SCORE_SHOWN = 0.02
_STUCK_S = 5.0  # a loop that told nothing for so long stands still


class HttpOutput(LoopOutput):
    """Listens at host and port; hosts: names it is reached by beside its own; token: what everybody must know, if any.

    The thread that hears leaves what it tells to the event loop; levels and scores only while somebody views them.
    """

    name = "http"

    def __init__(self, host: str, port: int, hosts: Collection[str], token: str | None, control: Control) -> None:
        self._host, self._port = host, port
        self._feed = Feed()
        self._site = Site(self, control, self._feed, Guard(hosts, token))
        self._state, self._is_muted = State("starting"), False
        self._heard_s = time.monotonic()
        self._number = 0
        self._meter, self._samples = LevelMeter(), 0
        self._peaks: dict[str, float] = {}
        self._spotter: Spotter | None = None

    def start(self) -> None:
        """Listen soon; an address that cannot be had is tried again."""
        super().start()
        self._tell_state()

    async def serve(self, stopping: asyncio.Event) -> None:
        """Answer requests."""
        await serve(self._site.application(), self._host, self._port, stopping)

    def event(self, event: Event) -> None:
        """Number it and tell it."""
        self._number += 1
        self.call(self._feed.event, self._number, event)

    def state(self, state: State) -> None:
        """Tell it."""
        self._state = state
        self._tell_state()

    def muted(self, is_muted: bool) -> None:
        """Tell it."""
        self._is_muted = is_muted
        self._tell_state()

    def heard(self, samples: Samples, step: Step | None, spotter: Spotter) -> None:
        """Tell level and scores ten times a second, where somebody views them."""
        self._heard_s = time.monotonic()
        if spotter is not self._spotter:
            self._spotter = spotter
            thresholds = [round(p.threshold, 3) for p in spotter.parameters]
            self.call(self._feed.now, "words", dict(zip(spotter.keywords, thresholds, strict=True)))
        if not self._feed.viewers:
            return
        self._meter.feed(samples)
        self._samples += len(samples)
        if step is not None:
            for index in np.flatnonzero(step.scores > _SCORE_SHOWN):
                word = spotter.keywords[index]
                self._peaks[word] = max(self._peaks.get(word, 0.0), round(float(step.scores[index]), 3))
        if self._samples >= _LEVEL_SAMPLES:
            level = self._meter.level
            self.call(
                self._feed.level,
                {
                    "rms_dbfs": round(level.rms_dbfs, 1),
                    "peak_dbfs": round(level.peak_dbfs, 1),
                    "clipped": level.clipped,
                    "seconds": self._samples / SAMPLE_RATE_HZ,
                    "scores": self._peaks,
                },
            )
            self._samples, self._peaks = 0, {}

    def current(self) -> State:
        """The daemon's state."""
        return self._state

    def complaint(self) -> str:
        """Why the daemon does not hear; empty while it does."""
        if time.monotonic() - self._heard_s > _STUCK_S:
            return "the loop that hears stands still"
        return self._state.reason or ("" if self._state.name == "listening" else "no second of sound was heard yet")

    def _tell_state(self) -> None:
        now = {"state": self._state.name, "reason": self._state.reason, "muted": self._is_muted}
        self.call(self._feed.now, "state", now)
