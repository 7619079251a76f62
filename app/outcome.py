"""What was heard beside what was said, and whether that is good enough."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from tinyhark.dsp.matching import match

from .detection import Detection
from .labels import Said

GOAL_PERCENT = 95


class Result(enum.StrEnum):
    """What became of something said, or what a detection was that nobody asked for."""

    HIT = "hit"
    MISS = "miss"
    DOUBLE_TRIGGER = "double trigger"
    FALSE_ACCEPT = "false accept"
    OTHER_SPEECH = "other speech"

    @property
    def is_false_event(self) -> bool:
        """Whether it is an event that should not have come."""
        return self in (Result.DOUBLE_TRIGGER, Result.FALSE_ACCEPT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an outcome: what was said (None: a false event) and the detection (None: it was not heard)."""

    result: Result
    said: Said | None
    detection: Detection | None

    @property
    def start_sample(self) -> int:
        """When it was said, or heard if nobody said it."""
        if self.said is not None:
            return self.said.label.start_sample
        assert self.detection is not None
        return self.detection.end_sample

    @property
    def latency_samples(self) -> int | None:
        """From the end of the word to its detection; None where it was not heard."""
        if self.said is None or self.detection is None:
            return None
        return self.detection.end_sample - self.said.label.end_sample


@dataclass(frozen=True, slots=True)
class Outcome:
    """All entries in time order."""

    entries: list[Entry]

    def count(self, *results: Result) -> int:
        """How many entries have one of these results."""
        return sum(entry.result in results for entry in self.entries)

    @property
    def heard(self) -> int:
        """Commands that were heard."""
        return self.count(Result.HIT)

    @property
    def commands(self) -> int:
        """Commands that were said."""
        return self.count(Result.HIT, Result.MISS)

    @property
    def false_events(self) -> int:
        """Events that should not have come, double triggers among them."""
        return self.count(Result.DOUBLE_TRIGGER, Result.FALSE_ACCEPT)

    @property
    def goal_met(self) -> bool:
        """Whether at least 95 % of the commands were heard and no false event came."""
        return 100 * self.heard >= GOAL_PERCENT * self.commands and not self.false_events


def judge(said: Sequence[Said], detections: Sequence[Detection]) -> Outcome:
    """Match detections with what was said."""
    commands = {item.label: item for item in said if item.is_command}
    matching = match(commands, detections)
    entries = [Entry(Result.HIT, commands[hit.label], hit.detection) for hit in matching.hits]
    entries += [Entry(Result.MISS, commands[label], None) for label in matching.misses]
    entries += [Entry(Result.DOUBLE_TRIGGER, None, detection) for detection in matching.double_triggers]
    entries += [Entry(Result.FALSE_ACCEPT, None, detection) for detection in matching.false_accepts]
    entries += [Entry(Result.OTHER_SPEECH, item, None) for item in said if not item.is_command]
    return Outcome(sorted(entries, key=lambda entry: entry.start_sample))
