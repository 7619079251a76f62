"""The lower part of the live view: what was heard of late and, where that is known, what was said."""

from collections.abc import Callable, Sequence

from tinyhark.dsp.matching import HIT_TOLERANCE_SAMPLES
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .live_drawing import Glyphs, fitted, rule
from .live_line import Line
from .live_state import Snapshot
from .outcome import Entry, Result

_FRESH_SAMPLES = SAMPLE_RATE_HZ  # an event stands out for a second
_TIME_COLUMNS, _WORD_COLUMNS, _SCORE_COLUMNS, _LATENCY_COLUMNS = 11, 7, 7, 10
_SAID_COLUMNS = 8  # at least

TimeLabel = Callable[[int], str]


def heard_log(snapshot: Snapshot, width: int, rows: int, time_label: TimeLabel, glyphs: Glyphs) -> list[Line]:
    """A rule with captions, then the newest events, at most `rows`."""
    word = _word_columns([event.keyword for event in snapshot.events])
    captions = [(4, "time"), (_TIME_COLUMNS, "heard"), (_TIME_COLUMNS + word, "score")]
    lines = [rule(width, captions, glyphs)]
    for event in snapshot.events[-rows:] if rows > 0 else ():
        style = "bold green" if is_fresh(event.end_sample, snapshot) else "green"
        line = _time(event.end_sample, time_label).add(fitted(event.keyword, word), style)
        lines.append(line.add(f"{event.score:.2f}"))
    return lines


def said_and_heard_log(
    entries: Sequence[Entry], snapshot: Snapshot, width: int, rows: int, time_label: TimeLabel, glyphs: Glyphs
) -> list[Line]:
    """A rule with captions, then what was said last and what was heard of it, at most `rows`."""
    word = _word_columns([entry.detection.keyword for entry in entries if entry.detection])
    said = max(_SAID_COLUMNS, width - _TIME_COLUMNS - word - _SCORE_COLUMNS - _LATENCY_COLUMNS)
    heard = _TIME_COLUMNS + said
    columns = (4, _TIME_COLUMNS, heard, heard + word, heard + word + _SCORE_COLUMNS)
    lines = [rule(width, list(zip(columns, ("time", "said", "heard", "score", "latency"), strict=True)), glyphs)]
    for entry in entries[-rows:] if rows > 0 else ():
        words = fitted(entry.said.words if entry.said else "", said - 1)
        line = _time(entry.start_sample, time_label)
        line.add(words + " ", "bright_black" if entry.result is Result.OTHER_SPEECH else "")
        lines.append(line.extend(_heard(entry, snapshot, word, glyphs)))
    return lines


def counts(entries: Sequence[Entry], snapshot: Snapshot, glyphs: Glyphs) -> Line:
    """How many of the words that are over were heard, and how many events should not have come."""
    hits = sum(entry.result is Result.HIT for entry in entries)
    missed = sum(entry.result is Result.MISS and _is_over(entry, snapshot) for entry in entries)
    false_events = sum(entry.result.is_false_event for entry in entries)
    line = Line((f"heard {hits} of {hits + missed} {glyphs.dot} ", ""))
    return line.add(f"{false_events} false", "bold red" if false_events else "")


def is_fresh(end_sample: int, snapshot: Snapshot) -> bool:
    """Whether an event is less than a second old."""
    return snapshot.end_sample - end_sample < _FRESH_SAMPLES


def _heard(entry: Entry, snapshot: Snapshot, columns: int, glyphs: Glyphs) -> Line:
    """What became of something said: the word heard, its score, its latency; or that it was missed, or is awaited."""
    if entry.detection is None:
        if entry.result is Result.OTHER_SPEECH:
            return Line()
        return Line(("missed", "bold red") if _is_over(entry, snapshot) else (glyphs.pending, "yellow"))
    style = "bold green" if is_fresh(entry.detection.end_sample, snapshot) else "green"
    line = Line((fitted(entry.detection.keyword, columns), "bold red" if entry.result.is_false_event else style))
    line.add(fitted(f"{entry.detection.score:.2f}", _SCORE_COLUMNS))
    if entry.latency_samples is None:
        return line.add("false", "bold red")
    return line.add(f"{1000 * entry.latency_samples / SAMPLE_RATE_HZ:+.0f} ms")


def _is_over(entry: Entry, snapshot: Snapshot) -> bool:
    """Whether a word can no longer be heard in time."""
    return entry.said is not None and snapshot.end_sample > entry.said.label.end_sample + HIT_TOLERANCE_SAMPLES


def _time(sample: int, time_label: TimeLabel) -> Line:
    return Line((fitted(f"{time_label(sample):>9}", _TIME_COLUMNS), "bright_black"))


def _word_columns(words: Sequence[str]) -> int:
    """Room for a word and two spaces; the widest words are cut."""
    return min(16, max(_WORD_COLUMNS, 2 + max((len(word) for word in words), default=0)))
