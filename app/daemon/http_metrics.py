"""The daemon's counts as Prometheus metrics."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .control import Control
from .counters import Histogram
from .event import STATES, State


class Metrics(Collector):
    """Reads the counters when it is asked; state, watchers: how those are then."""

    def __init__(self, control: Control, state: Callable[[], State], watchers: Callable[[], int]) -> None:
        self._control, self._state, self._watchers = control, state, watchers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Each metric."""
        counters, control = self._control.counters, self._control
        for name, text, count in (
            ("audio_seconds", "Sound that was heard, muted or not", counters.heard_samples / SAMPLE_RATE_HZ),
            ("frames", "Steps of the decision, each about a new window of sound", counters.steps),
            ("lost_seconds", "Sound that was lost, dropped sound included", counters.lost_samples / SAMPLE_RATE_HZ),
            (
                "dropped_seconds",
                "Sound dropped because the machine was too slow",
                counters.dropped_samples / SAMPLE_RATE_HZ,
            ),
            ("reloads", "Configurations taken over since the start", counters.reloads),
        ):
            yield CounterMetricFamily(f"hark_{name}", text, count)
        for name, text, value in (
            ("lag_seconds", "How far decisions lie behind the sound", counters.lag_s),
            ("level_dbfs", "RMS of the last second", counters.level_dbfs),
            ("muted", "1 while no event leaves", control.is_muted),
            ("http_watchers", "Readers of /events", self._watchers()),
        ):
            yield GaugeMetricFamily(f"hark_{name}", text, value)
        events = CounterMetricFamily("hark_events", "Detections", labels=["keyword"])
        for keyword, count in counters.events.copy().items():
            events.add_metric([keyword], count)
        yield events
        state = GaugeMetricFamily("hark_state", "1 for the state that the daemon is in", labels=["state"])
        for name in STATES:
            state.add_metric([name], name == self._state().name)
        yield state
        yield _histogram("hark_inference_seconds", "Time to spot a block of sound", counters.inference_s)


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    total, buckets = 0, []
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), tuple(histogram.counts), strict=True):
        total += count
        buckets.append((bound, total))
    return HistogramMetricFamily(name, text, buckets, histogram.total)
