"""Detections against labels: which words were heard, how late, and what was heard that nobody said."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

HIT_TOLERANCE_SAMPLES = 8_000  # a hit may come up to 0.5 s after the end of its word
DOUBLE_TRIGGER, FALSE_ACCEPT = -1, -2  # what `assign` gives in place of a word


class Heard(Protocol):
    """What matching needs of a detection."""

    @property
    def keyword(self) -> str:
        """The keyword that fired."""
        ...

    @property
    def end_sample(self) -> int:
        """When it fired: one past the last sample it knew."""
        ...


D = TypeVar("D", bound=Heard)


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """A word that was said: from start_sample up to, not including, end_sample; raises ValueError for an empty one."""

    start_sample: int
    end_sample: int
    keyword: str

    def __post_init__(self) -> None:
        if not 0 <= self.start_sample < self.end_sample:
            raise ValueError(
                f"label {self.keyword!r} runs from sample {self.start_sample} to {self.end_sample}; "
                "it must start at 0 or later and end after its start"
            )


@dataclass(frozen=True, slots=True)
class Hit(Generic[D]):
    """A word and the detection that heard it."""

    label: Label
    detection: D

    @property
    def latency_samples(self) -> int:
        """From the end of the word to the detection; negative when it was heard before it ended."""
        return self.detection.end_sample - self.label.end_sample


@dataclass(frozen=True, slots=True)
class Matching(Generic[D]):
    """What became of every label (hit, miss) and detection (hit, double trigger, false accept), each in time order."""

    hits: list[Hit[D]]
    misses: list[Label]
    double_triggers: list[D]
    false_accepts: list[D]


def match(
    labels: Iterable[Label], detections: Iterable[D], tolerance_samples: int = HIT_TOLERANCE_SAMPLES
) -> Matching[D]:
    """Give each detection, in time order, to the earliest unmatched word of its keyword that it fits.

    It fits from the start of the word to `tolerance_samples` after its end, both included. One that fits only words
    already matched is a double trigger, one that fits none a false accept.
    """
    said: dict[str, list[Label]] = defaultdict(list)
    heard: dict[str, list[D]] = defaultdict(list)
    for label in sorted(labels):
        said[label.keyword].append(label)
    for detection in sorted(detections, key=_end_sample):
        heard[detection.keyword].append(detection)
    result: Matching[D] = Matching([], [], [], [])
    for keyword in sorted(said.keys() | heard.keys()):
        _match_keyword(said[keyword], heard[keyword], tolerance_samples, result)
    result.hits.sort(key=lambda hit: hit.label)
    result.misses.sort()
    result.double_triggers.sort(key=_end_sample)
    result.false_accepts.sort(key=_end_sample)
    return result


def _match_keyword(
    words: Sequence[Label], detections: Sequence[D], tolerance_samples: int, result: Matching[D]
) -> None:
    """Add the words and detections of one keyword, both in time order, to `result`."""
    spans = [(word.start_sample, word.end_sample) for word in words]
    places = assign(spans, [detection.end_sample for detection in detections], tolerance_samples)
    for detection, place in zip(detections, places, strict=True):
        if place >= 0:
            result.hits.append(Hit(words[place], detection))
        elif place == DOUBLE_TRIGGER:
            result.double_triggers.append(detection)
        else:
            result.false_accepts.append(detection)
    matched = set(places)
    result.misses.extend(words[word] for word in range(len(words)) if word not in matched)


def assign(spans: Sequence[tuple[int, int]], times: Sequence[int], tolerance_samples: int) -> list[int]:
    """The rule of `match` for one keyword: for each time the index of its word, or DOUBLE_TRIGGER or FALSE_ACCEPT.

    spans: (start, end) of the words in the order of their starts; times: when it fired, ascending; all in samples.
    """
    out = []
    begun = 0  # words that have started
    current: list[int] = []  # those that still take a detection, matched or not
    matched: set[int] = set()
    for time in times:
        while begun < len(spans) and spans[begun][0] <= time:
            current.append(begun)
            begun += 1
        current = [word for word in current if time <= spans[word][1] + tolerance_samples]
        free = next((word for word in current if word not in matched), None)
        if free is not None:
            matched.add(free)
            out.append(free)
        else:
            out.append(DOUBLE_TRIGGER if current else FALSE_ACCEPT)
    return out


def _end_sample(detection: Heard) -> int:
    return detection.end_sample
