"""Why a keyword fired or did not: the history of a recording's decisions, its moments, and their reasons in words."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import Step, Verdict
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .detection import Detection
from .spotter import Spotter

NEAR_MISS = 0.5  # of the threshold: a peak of the score above this is worth a reason
_DIP = 0.7  # two peaks are two when the score between them falls below this share of both
_SHOWN = 0.1  # scores below this are not talked about


@dataclass
class History:
    """What a spotter decided over a recording, step by step."""

    spotter: Spotter
    end_samples: list[int] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)  # [keywords] scores
    steps: dict[int, Step] = field(default_factory=dict)  # by index: those that something can be said about
    detections: dict[int, Detection] = field(default_factory=dict)  # by index of the step

    def add(self, steps: Iterable[tuple[Step, Detection | None]]) -> None:
        """Take in the steps of a trace."""
        for step, detection in steps:
            index = len(self.rows)
            scores = step.scores
            self.end_samples.append(step.end_sample)
            self.rows.append(scores.astype(np.float32))
            if step.fired is not None or scores.max() > _SHOWN:
                self.steps[index] = step
            if detection:
                self.detections[index] = detection

    @property
    def scores(self) -> NDArray[np.float32]:
        """[steps, keywords] scores 0..1."""
        return np.array(self.rows, np.float32).reshape(-1, len(self.spotter.keywords))

    def nearest(self, time_s: float) -> int:
        """The index of the step nearest to a time."""
        return int(np.argmin(np.abs(np.array(self.end_samples) - time_s * SAMPLE_RATE_HZ)))


@dataclass(frozen=True, slots=True)
class Moment:
    """A step, by index, at which a keyword, by index, fired or came near it."""

    step: int
    keyword: int


def moments(history: History) -> list[Moment]:
    """Every firing and every near miss, by time."""
    scores = history.scores
    out = []
    for keyword, parameters in enumerate(history.spotter.parameters):
        fired = [index for index, step in history.steps.items() if step.fired == keyword]
        out += [Moment(index, keyword) for index in fired]
        for first, peak, end in peaks(scores[:, keyword], NEAR_MISS * parameters.threshold):
            if peak in history.steps and not any(first <= index < end for index in fired):
                out.append(Moment(peak, keyword))
    return sorted(out, key=lambda moment: (moment.step, moment.keyword))


def peaks(scores: NDArray[np.float32], floor: float) -> list[tuple[int, int, int]]:
    """(first, peak, end) of each hill of [steps] scores above `floor`; a deep valley parts two."""
    out: list[tuple[int, int, int]] = []
    first = peak = valley = -1  # of the hill that is climbed; of the descent since the last one
    for index, score in enumerate(scores.tolist()):
        if first < 0:
            if valley >= 0 and score < scores[valley]:
                valley = index
            rises = valley < 0 or score < floor or scores[valley] < _DIP * score
            if score < floor:
                valley = -1
            elif rises:
                first = peak = index
        elif score > scores[peak]:
            peak = index
        elif score < floor or score < _DIP * scores[peak]:
            out.append((first, peak, index))
            first, valley = -1, index if score >= floor else -1
    if first >= 0:
        out.append((first, peak, len(scores)))
    return out


def reason(history: History, moment: Moment) -> str:
    """One line: what the decision was and what it rested on."""
    names, parameters = history.spotter.keywords, history.spotter.parameters[moment.keyword]
    score = float(history.rows[moment.step][moment.keyword])
    verdict, other = Verdict.BELOW_THRESHOLD, None
    if moment.step in history.steps:
        verdict, other = history.steps[moment.step].verdicts()[moment.keyword]
    rival = names[other] if other is not None else ""
    shown = f"score {score:.2f}, threshold {parameters.threshold:.2f}"
    match verdict:
        case Verdict.FIRED:
            if moment.step not in history.detections:
                return f"fired, but is not reported: {shown}"
            return f"fired: {shown}"
        case Verdict.BELOW_THRESHOLD:
            return f"did not fire: its score {score:.2f} is below its threshold {parameters.threshold:.2f}"
        case Verdict.NOT_REARMED:
            level = parameters.rearm * parameters.threshold
            return (
                f"did not fire again: not re-armed, its score has not been below {level:.2f} since it fired"
                f"{_last(history, moment.keyword, moment.step)} ({shown})"
            )
        case Verdict.REFRACTORY:
            return (
                f"did not fire again: refractory, less than {parameters.refractory_ms:g} ms since it fired"
                f"{_last(history, moment.keyword, moment.step)} ({shown})"
            )
        case Verdict.OUTSCORED:
            beaten = float(history.rows[moment.step][other or 0])
            return f"did not fire: outscored by {rival}, {beaten:.2f} against {score:.2f} ({shown})"
        case Verdict.EXCLUDED:
            return (
                f"did not fire: excluded after {rival}, which fired{_last(history, other or 0, moment.step)} ({shown})"
            )


def reasons_at(history: History, index: int) -> list[tuple[str, str]]:
    """(keyword, reason) at one step, the highest scores first: all that are worth a word, or the highest alone."""
    row = history.rows[index]
    order = sorted(range(len(row)), key=lambda keyword: -row[keyword])
    chosen = [keyword for keyword in order if row[keyword] > _SHOWN] or order[:1]
    return [(history.spotter.keywords[keyword], reason(history, Moment(index, keyword))) for keyword in chosen]


def _last(history: History, keyword: int, before: int) -> str:
    fired = [index for index, step in history.steps.items() if step.fired == keyword and index < before]
    return f" at {history.end_samples[fired[-1]] / SAMPLE_RATE_HZ:.2f} s" if fired else ""
