"""Two spotters on the same recordings of a phrase, at equal false accepts: who misses which, and is it chance?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import NEGATIVE
from tinyhark.dsp.operating import MISSED

CHANCE = 0.05


@dataclass(frozen=True)
class Pair:
    """A phrase under a condition. false_accepts, missed: ours, the peer's; missed_alone: by us alone, by it alone.

    at: what "equal" is: no more than the peer at its default, or a limit for both. p: of such a difference by chance.
    """

    phrase: str
    peer: str
    at: str
    condition: str
    recordings: int
    false_accepts: tuple[int, int]
    missed: tuple[int, int]
    missed_alone: tuple[int, int]
    p: float

    @property
    def verdict(self) -> str:
        """From our side."""
        ours, theirs = self.missed_alone
        if self.p >= CHANCE:
            return "no difference beyond chance"
        return "worse" if ours > theirs else "better"


def mcnemar(first_alone: int, second_alone: int) -> float:
    """Exact two-sided p that two are equally good, from how many each alone got wrong."""
    many, few = first_alone + second_alone, min(first_alone, second_alone)
    return min(1.0, 2 * sum(math.comb(many, k) for k in range(few + 1)) / 2**many)


def false_accepts(m: Measurement, phrase: str) -> list[int]:
    """In all negatives, for each setting."""
    counted: list[int] = m.counts(phrase, NEGATIVE).false_accepts.tolist()
    return counted


def best_within(m: Measurement, phrase: str, most: int) -> int | None:
    """The setting with the fewest misses of a phrase, over all conditions, and at most `most` false accepts of it."""
    missed = m.counts(phrase).misses.tolist()
    counted = false_accepts(m, phrase)
    allowed = [setting for setting in range(m.in_use) if counted[setting] <= most]
    return min(allowed, key=lambda setting: (missed[setting], counted[setting]), default=None)


def pairs(ours: Measurement, theirs: Measurement, peer: str, most: int) -> Iterator[Pair]:
    """For each phrase both know: at the false accepts of the peer's default, and both at their best within `most`."""
    for phrase in (word for word in theirs.keywords if word in ours.keywords):
        own_default = false_accepts(theirs, phrase)[theirs.in_use]
        points = [
            ("its default", theirs.in_use, best_within(ours, phrase, own_default)),
            (f"at most {most}", best_within(theirs, phrase, most), best_within(ours, phrase, most)),
        ]
        for at, its, own in points:
            if its is not None and own is not None:
                yield from _at(ours, theirs, peer, phrase, at, (own, its))


def _at(
    ours: Measurement, theirs: Measurement, peer: str, phrase: str, at: str, settings: tuple[int, int]
) -> Iterator[Pair]:
    both = (ours, theirs)
    counted = tuple(false_accepts(m, phrase)[s] for m, s in zip(both, settings, strict=True))
    for condition in ours.conditions:
        own, its = (missed_by(m, phrase, condition, s) for m, s in zip(both, settings, strict=True))
        if own.keys() != its.keys():
            raise ValueError(f"{phrase}, {condition}: the spotters did not hear the same recordings")
        alone = (sum(own[r] and not its[r] for r in own), sum(its[r] and not own[r] for r in own))
        missed = (sum(own.values()), sum(its.values()))
        yield Pair(phrase, peer, at, condition, len(own), counted, missed, alone, mcnemar(*alone))


def missed_by(m: Measurement, phrase: str, condition: str, setting: int) -> dict[str, bool]:
    """Recording -> whether it was missed."""
    found = {}
    for heard, outcome in m.judged:
        if heard.stream.condition == condition:
            for word, sample in zip(heard.words, outcome.heard_sample[setting].tolist(), strict=True):
                if word.label.keyword == phrase:
                    found[str(word.clip.path)] = sample == MISSED
    return found
