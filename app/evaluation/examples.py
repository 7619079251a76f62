"""The worst misses and false accepts at the thresholds in use: what happened, its scores over time, its sound."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.matching import FALSE_ACCEPT, HIT_TOLERANCE_SAMPLES, Label, assign
from tinyhark.dsp.operating import MISSED
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .measurement import Measurement
from .scores import Heard
from .streams import Stream, render

_BEFORE_SAMPLES, _AFTER_SAMPLES = 3 * SAMPLE_RATE_HZ // 2, SAMPLE_RATE_HZ  # of an event, in its example
_LONGEST_SAMPLES = 5 * SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Event:
    """A miss of `label`, or a false accept where that is None; peak: the score it reached, or fired with."""

    stream: int  # index into Measurement.judged
    keyword: int
    label: Label | None
    at_sample: int
    peak: float


@dataclass(frozen=True, slots=True)
class Example:
    """An event to be looked at and listened to.

    file, file_s: where it is; word_s, fired_s, times_s: seconds since the start of `sound`; scores, others: of the
    keyword, and the highest of the other keywords, at times_s.
    """

    event: Event
    keyword: str
    threshold: float
    condition: str
    kind: str
    file: Path
    file_s: float
    during: str
    sound: Samples
    word_s: tuple[float, float] | None
    fired_s: list[float]
    times_s: list[float]
    scores: list[float]
    others: list[float]

    @property
    def data_uri(self) -> str:
        """The sound as Opus in an Ogg container, for an audio element."""
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, self.sound, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
        return "data:audio/ogg;base64," + base64.b64encode(file.getvalue()).decode()


def worst(m: Measurement, most: int, advance: Callable[[float], None]) -> tuple[list[Example], list[Example]]:
    """The misses whose scores stayed lowest, each clip once, and the false accepts with the highest scores.

    most: so many of each; advance: called with 1 for each stream whose sound was fetched.
    """
    events = [event for index in range(len(m.judged)) for event in _events(m, index)]
    misses = sorted((e for e in events if e.label), key=lambda e: e.peak / m.parameters[e.keyword].threshold)
    false_accepts = sorted((e for e in events if not e.label), key=lambda e: -e.peak)
    chosen = [*_one_a_clip(m, misses)[:most], *false_accepts[:most]]
    made: dict[Event, Example] = {}
    for index in sorted({event.stream for event in chosen}):
        own = [event for event in chosen if event.stream == index]
        made |= zip(own, _examples(m, index, own), strict=True)
        advance(1)
    examples = [made[event] for event in chosen]
    return [e for e in examples if e.event.label], [e for e in examples if not e.event.label]


def _events(m: Measurement, index: int) -> Iterator[Event]:
    heard, outcome = m.judged[index]
    replay = heard.replay(m.parameters, m.exclusion_ms)
    scores = replay.scores
    for word, sample in zip(heard.words, outcome.heard_sample[m.in_use].tolist(), strict=True):
        if sample == MISSED and word.label.keyword in m.keywords:
            keyword = m.keywords.index(word.label.keyword)
            peak = peak_in(heard, scores[keyword], word.label)
            yield Event(index, keyword, word.label, word.label.end_sample, peak)
    firings = replay.firings(m.settings[m.in_use])
    for keyword, name in enumerate(m.keywords):
        own = [firing for firing in firings if firing.keyword == keyword]
        times = [heard.timing.end_sample(firing.step) for firing in own]
        spans = [(w.label.start_sample, w.label.end_sample) for w in heard.words if w.label.keyword == name]
        for firing, time, place in zip(own, times, assign(spans, times, HIT_TOLERANCE_SAMPLES), strict=True):
            if place == FALSE_ACCEPT:
                yield Event(index, keyword, None, time, float(scores[keyword, firing.step]))


def peak_in(heard: Heard, scores: NDArray[np.float64], label: Label) -> float:
    """The highest of a keyword's [steps] scores while a detection would be a hit; 0 where no step falls there."""
    first, stride = heard.timing
    start = max(0, -(-(label.start_sample - first) // stride))
    end = (label.end_sample + HIT_TOLERANCE_SAMPLES - first) // stride + 1
    return float(scores[start:end].max(initial=0.0))


def _one_a_clip(m: Measurement, misses: Sequence[Event]) -> list[Event]:
    """A clip that is missed under several conditions is shown once."""
    first: dict[object, Event] = {}
    for event in misses:
        word = next(w for w in m.judged[event.stream].heard.words if w.label == event.label)
        first.setdefault(word.clip if word.clip.keyword else event, event)
    return list(first.values())


def _examples(m: Measurement, index: int, events: Sequence[Event]) -> Iterator[Example]:
    """Examples of one stream, whose sound is rendered once."""
    heard = m.judged[index].heard
    replay = heard.replay(m.parameters, m.exclusion_ms)
    firings, scores = replay.firings(m.settings[m.in_use]), replay.scores
    spans = [_span(event, heard.scores.samples) for event in events]
    for event, (first, last), sound in zip(events, spans, cut(heard.stream, spans), strict=True):
        file, file_s = _place(heard, event.at_sample)
        steps = [s for s in range(scores.shape[1]) if first <= heard.timing.end_sample(s) <= last]
        others = np.delete(scores, event.keyword, axis=0)[:, steps].max(axis=0, initial=0.0)
        fired = [heard.timing.end_sample(f.step) for f in firings if f.keyword == event.keyword]
        label = event.label
        yield Example(
            event,
            m.keywords[event.keyword],
            m.parameters[event.keyword].threshold,
            heard.stream.condition,
            heard.stream.kind,
            file,
            file_s,
            _during(heard, event),
            sound,
            (_s(label.start_sample - first), _s(label.end_sample - first)) if label else None,
            [_s(time - first) for time in fired if first <= time <= last],
            [_s(heard.timing.end_sample(step) - first) for step in steps],
            scores[event.keyword, steps].tolist(),
            others.tolist(),
        )


def cut(stream: Stream, spans: Sequence[tuple[int, int]]) -> list[Samples]:
    """Pieces of a stream's sound, from first sample to one past the last."""
    pieces: list[list[Samples]] = [[] for _ in spans]
    start = 0
    for block in render(stream).blocks:
        for piece, (first, last) in zip(pieces, spans, strict=True):
            if first < start + len(block) and last > start:
                piece.append(block[max(0, first - start) : last - start])
        start += len(block)
    return [np.concatenate([np.zeros(0, np.int16), *piece]) for piece in pieces]


def _span(event: Event, samples: int) -> tuple[int, int]:
    start, end = (event.label.start_sample, event.label.end_sample) if event.label else (event.at_sample,) * 2
    first = max(0, min(start, samples) - _BEFORE_SAMPLES)  # it may fire in the silence after the end
    return first, min(end + _AFTER_SAMPLES, first + _LONGEST_SAMPLES, samples)


def _place(heard: Heard, sample: int) -> tuple[Path, float]:
    """The last clip that began before, and the time in it."""
    begun = [k for k, (start, _) in enumerate(heard.scores.spans) if start <= sample]
    clip = begun[-1] if begun else 0
    return heard.stream.clips[clip].path, _s(sample - heard.scores.spans[clip][0])


def _during(heard: Heard, event: Event) -> str:
    """The word that was said when another fired, "" where none was."""
    if event.label is None:
        for word in heard.words:
            if word.label.start_sample <= event.at_sample <= word.label.end_sample + HIT_TOLERANCE_SAMPLES:
                return word.label.keyword
    return ""


def _s(samples: int) -> float:
    return samples / SAMPLE_RATE_HZ
