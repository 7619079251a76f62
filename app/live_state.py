"""What the live view shows, kept by sample time: input level, scores of the last seconds, events."""

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .detection import Detection

SILENCE_DBFS = -90.0
HISTORY_SAMPLES = 5 * SAMPLE_RATE_HZ

_FULL_SCALE = 32768
_SMOOTHING_SAMPLES = 0.1 * SAMPLE_RATE_HZ
_HOLD_SAMPLES = int(1.5 * SAMPLE_RATE_HZ)
_FALL_DB_PER_SAMPLE = 20 / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Level:
    """RMS and held peak in dBFS (0 is full scale), and whether a sample at full scale came in the last 1.5 s."""

    rms_dbfs: float = SILENCE_DBFS
    peak_dbfs: float = SILENCE_DBFS
    clipped: bool = False


class LevelMeter:
    """Input level: RMS over about 100 ms, a peak held for 1.5 s that then falls 20 dB a second, a clipping mark."""

    def __init__(self) -> None:
        self._power = 0.0
        self._peak_dbfs = SILENCE_DBFS
        self._since_peak = 0
        self._since_clip = _HOLD_SAMPLES

    def feed(self, samples: Samples) -> None:
        """Next [n] int16 of the sound."""
        if not len(samples):
            return
        x = samples.astype(np.float64)
        share = 1 - math.exp(-len(x) / _SMOOTHING_SAMPLES)
        self._power += share * (float(x @ x) / len(x) - self._power)
        self._since_peak += len(x)
        self._since_clip = min(self._since_clip + len(x), _HOLD_SAMPLES)
        if self._since_peak > _HOLD_SAMPLES:
            self._peak_dbfs = max(SILENCE_DBFS, self._peak_dbfs - _FALL_DB_PER_SAMPLE * len(x))
        peak = max(int(samples.max()), -int(samples.min()))
        if _dbfs(peak * peak) >= self._peak_dbfs:
            self._peak_dbfs, self._since_peak = _dbfs(peak * peak), 0
        if peak >= _FULL_SCALE - 1:
            self._since_clip = 0

    @property
    def level(self) -> Level:
        """The level after the newest sample."""
        return Level(_dbfs(self._power), self._peak_dbfs, self._since_clip < _HOLD_SAMPLES)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the live state: `history` is [steps, keywords] scores, `history_end_samples` [steps]."""

    end_sample: int
    lag_s: float
    lost_samples: int
    level: Level
    history: NDArray[np.float64]
    history_end_samples: NDArray[np.int64]
    events: list[Detection]
    event_count: int


class LiveState:
    """Takes sound, steps and events from the thread of the sound; gives a snapshot to the thread that draws.

    words: the keywords in the order of the scores; thresholds: one for each; events_kept: how many of the newest events
    a snapshot has, None for all.
    """

    def __init__(self, words: Sequence[str], thresholds: Sequence[float], events_kept: int | None = None) -> None:
        self.words = list(words)
        self.thresholds = list(thresholds)
        self._lock = threading.Lock()
        self._meter = LevelMeter()
        self._end_sample = 0
        self._lag_s = 0.0
        self._lost_samples = 0
        self._steps: deque[tuple[int, NDArray[np.float64]]] = deque()
        self._events: deque[Detection] = deque(maxlen=events_kept)
        self._event_count = 0

    def sound(self, samples: Samples, end_sample: int, lost_samples: int, lag_s: float) -> None:
        """A block was spotted: its [n] int16, one past its last sample, samples lost before it, seconds behind."""
        with self._lock:
            self._meter.feed(samples)
            self._end_sample = end_sample
            self._lost_samples += lost_samples
            self._lag_s = lag_s

    def step(self, step: Step) -> None:
        """One step of the decision."""
        scores = step.scores
        with self._lock:
            self._steps.append((step.end_sample, scores))
            while self._steps[0][0] <= step.end_sample - HISTORY_SAMPLES:
                self._steps.popleft()

    def event(self, detection: Detection) -> None:
        """One detection."""
        with self._lock:
            self._events.append(detection)
            self._event_count += 1

    def snapshot(self) -> Snapshot:
        """The state as it is now; it does not change afterwards."""
        with self._lock:
            steps = list(self._steps)
            events = list(self._events)
            count, end_sample, lag_s, lost = self._event_count, self._end_sample, self._lag_s, self._lost_samples
            level = self._meter.level
        history = np.array([scores for _, scores in steps]).reshape(len(steps), len(self.words))
        ends = np.array([end for end, _ in steps], np.int64)
        return Snapshot(end_sample, lag_s, lost, level, history, ends, events, count)


def rolling_peaks(snapshot: Snapshot, columns: int) -> tuple[NDArray[np.float64], int]:
    """Scores of the last 5 s in at most `columns` columns: ([keywords, columns] peaks, samples a column), newest last.

    Columns lie on a fixed grid of time, so that a peak keeps its height while it moves to the left.
    """
    steps, keywords = snapshot.history.shape
    ends = snapshot.history_end_samples
    stride = int(ends[-1] - ends[-2]) if steps > 1 else 1
    column_samples = max(-(-HISTORY_SAMPLES // columns), stride)
    peaks = np.zeros((columns, keywords))
    if steps:
        index = (ends - 1) // column_samples
        index += columns - 1 - index[-1]
        inside = index >= 0
        np.maximum.at(peaks, index[inside], snapshot.history[inside])
    return peaks.T, column_samples


def _dbfs(power: float) -> float:
    """Power in LSB**2 -> dBFS, -90 and no less."""
    return max(SILENCE_DBFS, 10 * math.log10(power / _FULL_SCALE**2)) if power > 0 else SILENCE_DBFS
