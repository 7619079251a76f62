"""The figures of a measurement, each with its interval: what the table, the JSON and the report all show."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyhark.dsp.counting import RULES, by_all_rules
from tinyhark.dsp.operating import MISSED, Counts, Point, Rate, count

from .measurement import Measurement

ALL = "all"  # keywords, conditions or kinds together


@dataclass(frozen=True, slots=True)
class WordFigures:
    """How a keyword is heard under a condition, at its threshold in use (None for all keywords).

    latency_p50_ms, latency_p95_ms: from the end of the word, None where none was heard.
    """

    keyword: str
    condition: str
    threshold: float | None
    misses: Rate
    double_triggers: int
    beside_words: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class FalseAccepts:
    """What fired though nobody said it: one keyword, or all, in one kind of sound, or in all of it."""

    keyword: str
    kind: str
    false_accepts: Rate


@dataclass(frozen=True, slots=True)
class Group:
    """Misses of all keywords under a condition in one kind of noise, or of one speaker."""

    condition: str
    group: str
    misses: Rate


@dataclass(frozen=True, slots=True)
class Confused:
    """So many times `heard` fired during the word `said`."""

    said: str
    heard: str
    count: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """An operating point: the same threshold for all keywords. misses: by condition, ALL for all of them."""

    threshold: float
    misses: dict[str, Rate]
    false_accepts: Rate
    double_triggers: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The point in use by one rule of `counting`, all keywords together."""

    rule: str
    point: Point


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures; what `curves` holds is by keyword, ALL for the sum of them."""

    model: str
    hours: float
    words: list[WordFigures]
    false_accepts: list[FalseAccepts]
    noises: list[Group]
    speakers: list[Group]
    confusions: list[Confused]
    curves: dict[str, list[CurvePoint]]
    counting: list[Counted]


def figures(measurement: Measurement, model: str, *, all_rules: bool = False) -> Figures:
    """Everything but single events; all_rules: count by the rules of others, too."""
    curves = {name or ALL: _curve(measurement, name) for name in [None, *measurement.keywords]}
    return Figures(
        model,
        measurement.counts().hours,
        list(_words(measurement)),
        list(_false_accepts(measurement)),
        _noises(measurement),
        _speakers(measurement),
        _confusions(measurement),
        curves,
        _counting(measurement) if all_rules else [],
    )


def _words(m: Measurement) -> Iterator[WordFigures]:
    for keyword in [None, *m.keywords]:
        said = [condition for condition in m.conditions if m.counts(keyword, condition).words]
        for condition in [*said, None] if len(said) > 1 else said:
            yield _word_figures(m, keyword, condition)


def _word_figures(m: Measurement, keyword: str | None, condition: str | None) -> WordFigures:
    point = m.counts(keyword, condition).point(m.in_use)
    late_ms = m.latencies_ms(keyword, condition, m.in_use)
    p50_ms, p95_ms = np.percentile(late_ms, (50, 95)).tolist() if len(late_ms) else (None, None)
    return WordFigures(
        keyword or ALL,
        condition or ALL,
        m.parameters[m.keywords.index(keyword)].threshold if keyword else None,
        point.misses,
        point.double_triggers,
        point.beside_words,
        p50_ms,
        p95_ms,
    )


def _false_accepts(m: Measurement) -> Iterator[FalseAccepts]:
    life = dict.fromkeys((s.condition, s.kind) for s in (one.heard.stream for one in m.judged) if s.is_life)
    for condition, kind in [(None, None), *life]:
        for keyword in [None, *m.keywords]:
            found = m.counts(keyword, condition, kind).point(m.in_use).false_accepts
            if found.count or keyword is None or kind is None:
                yield FalseAccepts(keyword or ALL, kind or ALL, found)


def _noises(m: Measurement) -> list[Group]:
    noisy = dict.fromkeys((s.condition, s.kind) for s in (one.heard.stream for one in m.judged) if s.noise)
    return [Group(*pair, m.counts(None, *pair).point(m.in_use).misses) for pair in noisy]


def _speakers(m: Measurement) -> list[Group]:
    """Over all conditions, the most missed first."""
    words: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for heard, outcome in m.judged:
        for word, sample in zip(heard.words, outcome.heard_sample[m.in_use].tolist(), strict=True):
            if word.speaker and word.label.keyword in m.keywords:
                words[word.speaker] += 1
                missed[word.speaker] += sample == MISSED
    groups = [Group(ALL, speaker, Rate.share(missed[speaker], words[speaker])) for speaker in words]
    return sorted(groups, key=lambda group: (-(group.misses.rate or 0), group.group))


def _confusions(m: Measurement) -> list[Confused]:
    total = sum((one.outcome.confusions[m.in_use] for one in m.judged), np.zeros((len(m.keywords),) * 2, np.int64))
    found = [Confused(m.keywords[a], m.keywords[b], int(n)) for (a, b), n in np.ndenumerate(total) if n]
    return sorted(found, key=lambda confused: -confused.count)


def _curve(m: Measurement, keyword: str | None) -> list[CurvePoint]:
    every = m.counts(keyword)
    by_condition = {condition: m.counts(keyword, condition) for condition in m.conditions}
    out = []
    for index, setting in enumerate(m.settings[: m.in_use]):
        point = every.point(index)
        misses = {c: counts.point(index).misses for c, counts in by_condition.items()}
        out.append(CurvePoint(setting[0], {**misses, ALL: point.misses}, point.false_accepts, point.double_triggers))
    return out


def _counting(m: Measurement) -> list[Counted]:
    totals = [Counts.none(1) for _ in RULES]
    for heard, _ in m.judged:
        labels = [word.label for word in heard.words]
        said = [index for index, label in enumerate(labels) if label.keyword in m.keywords]
        replay = heard.replay(m.parameters, m.exclusion_ms)
        for rule, outcome in enumerate(by_all_rules(replay, heard.timing, labels, m.keywords, m.settings[m.in_use])):
            everyone = range(len(m.keywords))
            totals[rule] += count(outcome, said, everyone, heard.scores.lived, is_life=heard.stream.is_life)
    return [Counted(rule, total.point(0)) for rule, total in zip(RULES, totals, strict=True)]
