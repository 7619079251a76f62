"""The daemon: hears until it is told to stop, whatever happens to its sound."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from tinyhark.dsp.decision import Step
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.intake import Intake
from ..audio.timing import LATE_S
from ..detection import Detection
from ..errors import HarkError
from ..live import Block, Watcher, run
from .counters import DayCounts
from .event import Event, State
from .hearing import Hearing
from .notify import Notifier
from .setup import Setup

log = logging.getLogger(__name__)

_LOSS_TOLD_S = 60  # lost sound is told at most so often


class Daemon(Watcher):
    """Runs a setup; `load` makes another one when the configuration is to be read again.

    `stop` and `reload` may be called from a signal handler, and so may all of the setup's `control`. now: the wall
    clock.
    """

    def __init__(
        self,
        setup: Setup,
        load: Callable[[], Setup],
        notifier: Notifier,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._setup, self._load, self._notifier, self._now = setup, load, notifier, now
        self._control, self.counters = setup.control, setup.control.counters
        self._control.settle(setup.config)
        self.state = State("starting")
        self._muted = False
        self._step: Step | None = None
        self._ready = False
        self._today = DayCounts(now().date())
        self._said: set[str] = set()
        self._lost_untold, self._loss_told_sample = 0, -_LOSS_TOLD_S * SAMPLE_RATE_HZ
        self._stopping = self._reload_wanted = False
        self._loading: threading.Thread | None = None
        self._loaded: Setup | HarkError | None = None
        self._following: Setup | None = None  # what to go on with where the source is another one

    def stop(self) -> None:
        """End soon."""
        self._stopping = True

    def reload(self) -> None:
        """Read the configuration again soon."""
        self._reload_wanted = True

    def run(self) -> None:
        """Hear until `stop`, or the end of a source that has one; raises AudioError where such a source fails."""
        for output in self._setup.outputs.values():
            output.start()
        try:
            while True:
                self._hear()
                if self._following is None:
                    break
                self._take_over(self._following)
                self._following = None
        finally:
            self._notifier.stopping()
            for output in self._setup.outputs.values():
                output.stop()
            log.info("stopped", extra={"facts": {"events": dict(self.counters.events)}})

    def step(self, step: Step) -> None:
        """Keep the newest."""
        self._step = step
        self.counters.steps += 1

    def event(self, detection: Detection) -> None:
        """Give a detection to every output, with the time of day when its window ended; to none while muted.

        Nor where it comes too late, as when the machine slept within a block: nobody wants the light switched then.
        """
        if self._control.is_muted:
            return
        behind_s = (self._hearing.position_samples - detection.end_sample) / SAMPLE_RATE_HZ + self._intake.lag_s()
        if behind_s > LATE_S:
            facts = {"keyword": detection.keyword, "late_s": round(behind_s, 3)}
            log.warning("an event came too late", extra={"facts": facts})
            return
        event = Event(detection, self._now() - timedelta(seconds=max(0.0, behind_s)))
        self.counters.events[detection.keyword] += 1
        self._today.add(detection.keyword)
        for output in self._setup.outputs.values():
            output.event(event)

    def sound(self, block: Block, end_sample: int, lag_s: float) -> None:
        """After each block: what was lost, how things stand, what was asked for."""
        self.counters.heard_samples += len(block.samples)
        self.counters.lag_s, self.counters.level_dbfs = lag_s, self._intake.level_dbfs
        self.counters.dropped_samples = self._dropped_before + self._intake.dropped_samples
        self._tell_loss(block.lost_samples, end_sample)
        self._watch()
        self._mute()
        self._control.recent.feed(
            np.zeros_like(block.samples) if self._muted else block.samples, self._hearing.position_samples
        )
        self._serve()
        for output in self._setup.outputs.values():
            output.heard(block.samples, self._step, self._setup.spotter)
        self._notifier.alive()

    def _hear(self) -> None:
        setup = self._setup
        source, self._opened = setup.open_source(), 0
        self._hearing = Hearing(setup.spotter, self.counters.inference_s)
        self._step, self._dropped_before = None, self.counters.dropped_samples
        if self._muted:
            self._hearing.mute()
        with Intake(source, setup.config.audio.channel, patient=True) as self._intake:
            for _ in run(self._hearing, self._intake, self):
                pass

    def _watch(self) -> None:
        """Notice a new state or a new day."""
        if self._intake.counts.opened > self._opened:
            self._opened = self._intake.counts.opened
            log.info("opened", extra={"facts": {"device": self._intake.name, "rate_hz": self._intake.rate_hz}})
        complaint = self._intake.complaint
        if not self._ready and self._intake.good_seconds:
            self._ready = True
            self._notifier.ready()
        healthy = State("listening") if self._ready else State("starting")
        self._enter(State("degraded", complaint) if complaint else healthy)
        if over := self._today.roll(self._now()):
            log.info("a day is over", extra={"facts": {"day": over[0].isoformat(), "events": dict(over[1])}})
        self._notifier.status(self._status())

    def _mute(self) -> None:
        """Notice that the daemon was muted or unmuted."""
        if self._control.is_muted == self._muted:
            return
        self._muted, self._step = not self._muted, None
        if self._muted:
            self._hearing.mute()
        else:
            recorded_s = max(self._intake.lag_s(), self._intake.waiting_s())
            self._hearing.unmute(round(recorded_s * SAMPLE_RATE_HZ))
        for output in self._setup.outputs.values():
            output.muted(self._muted)
        log.info("muted" if self._muted else "unmuted")

    def _enter(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        for output in self._setup.outputs.values():
            output.state(state)
        if state.name != "degraded":
            log.info(state.name)
            self._said.clear()
        elif state.reason not in self._said:  # once in each outage
            self._said.add(state.reason)
            log.warning("degraded: %s", state.reason)

    def _status(self) -> str:
        today = ", ".join(f"{word} {count}" for word, count in self._today.counts.most_common()) or "no events"
        how = f"degraded: {self.state.reason}" if self.state.reason else f"{self.state.name}: {self._intake.name}"
        return f"{'muted, ' * self._muted}{how}; today: {today}"

    def _tell_loss(self, lost_samples: int, end_sample: int) -> None:
        self.counters.lost_samples += lost_samples
        self._lost_untold += lost_samples
        if self._lost_untold and end_sample - self._loss_told_sample >= _LOSS_TOLD_S * SAMPLE_RATE_HZ:
            dropped_s = self._intake.dropped_samples / SAMPLE_RATE_HZ
            facts = {"lost_s": round(self._lost_untold / SAMPLE_RATE_HZ, 3), "dropped_s_in_all": round(dropped_s, 3)}
            log.warning("sound was lost", extra={"facts": facts})
            self._lost_untold, self._loss_told_sample = 0, end_sample

    def _serve(self) -> None:
        """Do what was asked for: stop, load another configuration beside the sound, take it over."""
        if self._stopping:
            self._intake.stop()
        if self._reload_wanted and self._loading is None:
            self._reload_wanted = False
            self._notifier.reloading()
            self._loading = threading.Thread(target=self._load_beside, name="reload", daemon=True)
            self._loading.start()
        if self._loading is not None and self._loaded is not None:
            loaded, self._loaded, self._loading = self._loaded, None, None
            self._reloaded(loaded)

    def _load_beside(self) -> None:
        try:
            self._loaded = self._load()
        except HarkError as error:
            self._loaded = error
        except Exception as error:  # whatever it is, the daemon goes on as it was
            self._loaded = HarkError(f"{type(error).__name__}: {error}")

    def _reloaded(self, loaded: Setup | HarkError) -> None:
        if isinstance(loaded, HarkError):
            log.error("the old configuration stays: %s", loaded)
        elif loaded.config.audio != self._setup.config.audio:
            self._following = loaded
            self._intake.stop()
        else:
            self._hearing.replace(loaded.spotter)
            self._step = None
            self._take_over(loaded)
        self._notifier.ready()

    def _take_over(self, new: Setup) -> None:
        """Go on with a new setup; outputs whose sections are the same stay as they are."""
        old = self._setup
        for name, output in old.outputs.items():
            sections = (name, *output.sections) if name in new.outputs else ()
            if sections and all(getattr(old.config, one) == getattr(new.config, one) for one in sections):
                new.outputs[name] = output
            elif name in new.outputs:
                output.stop()
            else:
                output.retire()
        self._setup = new
        self._control.settle(new.config)
        for output in new.outputs.values():
            if output not in old.outputs.values():
                output.start()
                output.state(self.state)
                output.muted(self._muted)
        self.counters.reloads += 1
        log.info("the configuration was read again")
