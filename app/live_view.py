"""The live view: a snapshot of the live state as lines of text for a terminal of any size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from tinyhark.dsp.matching import HIT_TOLERANCE_SAMPLES
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .labels import Said
from .live_drawing import ASCII, UNICODE, Glyphs, bar, clock, fitted, joined, meter, rule, sparkline, spread
from .live_state import LiveState, Snapshot, rolling_peaks
from .outcome import Entry, Result, judge
from .usage import ProcessUsage, resident_mb

_FRESH_SAMPLES = SAMPLE_RATE_HZ  # an event stands out for a second
_NAME_COLUMNS = 14  # longer words are cut
_SCORE_COLUMNS = 6
_SPARK_COLUMNS = 12  # no sparkline in less
_CAPTION_COLUMNS = 20  # a bar longer than this has room for the long caption
_LOG_ROWS = 3  # the words leave so many rows to the log
_TIME_COLUMNS, _LOG_NAME_COLUMNS, _LOG_SCORE_COLUMNS, _LATENCY_COLUMNS = 11, 7, 7, 10
_FIXED_ROWS = 5  # title, level, two rules, footer


@dataclass
class LiveView:
    """Draws a live state, wherever rich prints it, in the size it is given; nothing in it changes the state.

    said: what a recording says, shown when its time comes beside what was heard, or None; total_samples: the length of
    the recording, or None; time_label: a sample index as the time shown in the log.
    """

    state: LiveState
    model: str
    source: str
    said: Sequence[Said] | None = None
    total_samples: int | None = None
    time_label: Callable[[int], str] = clock
    usage: ProcessUsage = field(default_factory=ProcessUsage)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill the height that is given, or the terminal's."""
        height = options.height or console.size.height
        glyphs = ASCII if options.ascii_only else UNICODE
        yield Text("\n").join(self.lines(self.state.snapshot(), options.max_width, height, glyphs))

    def lines(self, snapshot: Snapshot, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
        """Exactly `height` lines of at most `width` columns."""
        words = self._words_shown(snapshot, height - _FIXED_ROWS - _LOG_ROWS)
        log_rows = max(0, height - _FIXED_ROWS - len(words))
        if self.said is None:
            counts = f"{snapshot.event_count} event{'s' * (snapshot.event_count != 1)}"
            log = self._events(snapshot, width, log_rows, glyphs)
        else:
            passed = [item for item in self.said if item.label.start_sample <= snapshot.end_sample]
            entries = judge(passed, snapshot.events).entries
            counts = _counts(entries, snapshot, glyphs)
            log = self._said_and_heard(entries, snapshot, width, log_rows, glyphs)
        lines = [self._title(counts, width), self._level(snapshot, width, glyphs)]
        lines += self._scores(snapshot, words, width, glyphs) + log
        lines = lines[: height - 1]
        lines += [Text("")] * (height - 1 - len(lines)) + [self._footer(snapshot, width)]
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
            line.truncate(width)
        return lines

    def _words_shown(self, snapshot: Snapshot, rows: int) -> list[int]:
        """All words, or as many as there are rows: those with the highest scores of late, in their order."""
        count = len(self.state.words)
        if count <= rows:
            return list(range(count))
        peaks = snapshot.history.max(axis=0, initial=0.0)
        return sorted(np.argsort(-peaks, kind="stable")[: max(1, rows)].tolist())

    def _title(self, counts: str, width: int) -> Text:
        words = f"{len(self.state.words)} word{'s' * (len(self.state.words) != 1)}"
        right = Text(counts + " ")
        parts = [Text("tinyhark", "bold"), Text(self.model, "cyan"), Text(words), Text(self.source, "bright_black")]
        return spread(joined(parts, width - right.cell_len - 2), right, width)

    def _level(self, snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
        level = snapshot.level
        name = self._name_columns()
        columns = max(4, width - name - 2 - 10)
        text = Text.assemble(f" {fitted('level', name)} ", meter(level, columns, glyphs), f" {level.rms_dbfs:4.0f}")
        text.append(" CLIP" if level.clipped else " dBFS", "bold red" if level.clipped else "bright_black")
        return text

    def _name_columns(self) -> int:
        return min(_NAME_COLUMNS, max(5, *(cell_len(word) for word in self.state.words)))

    def _scores(self, snapshot: Snapshot, shown: list[int], width: int, glyphs: Glyphs) -> list[Text]:
        """A rule, then for each word its name, its score as a bar and a number, its last seconds."""
        name = self._name_columns()
        free = width - name - 2 - _SCORE_COLUMNS
        bar_columns = max(4, min(free, max(12, 2 * free // 5)))
        spark_columns = free - bar_columns - 2
        captions = [(name + 2, f"score  {glyphs.mark} threshold" if bar_columns > _CAPTION_COLUMNS else "score")]
        peaks, fired = None, {}
        if spark_columns >= _SPARK_COLUMNS:
            captions.append((width - spark_columns - 1, "last 5 s"))
            peaks, column_samples = rolling_peaks(snapshot, spark_columns)
            fired = self._fired_columns(snapshot, spark_columns, column_samples)
        lines = [rule(width, captions, glyphs)]
        for index in shown:
            word, threshold = self.state.words[index], self.state.thresholds[index]
            score = float(snapshot.history[-1, index]) if len(snapshot.history) else 0.0
            fresh = any(word == event.keyword and _is_fresh(event.end_sample, snapshot) for event in snapshot.events)
            line = Text.assemble(
                " ",
                (fitted(word, name), "bold black on green" if fresh else "bold"),
                " ",
                bar(score, threshold, bar_columns, glyphs),
                (f" {score:.2f} ", "bold green" if score >= threshold else ""),
            )
            if peaks is not None:
                line.append_text(Text(" "))
                line.append_text(sparkline(peaks[index].tolist(), threshold, fired.get(word, ()), glyphs))
            lines.append(line)
        return lines

    def _fired_columns(self, snapshot: Snapshot, columns: int, column_samples: int) -> dict[str, list[int]]:
        """Per word the columns of its sparkline in which it fired."""
        fired: dict[str, list[int]] = {}
        if len(snapshot.history_end_samples):
            newest = (int(snapshot.history_end_samples[-1]) - 1) // column_samples
            for event in snapshot.events:
                fired.setdefault(event.keyword, []).append(
                    (event.end_sample - 1) // column_samples - newest + columns - 1
                )
        return fired

    def _events(self, snapshot: Snapshot, width: int, rows: int, glyphs: Glyphs) -> list[Text]:
        name = self._name_columns()
        lines = [rule(width, [(2, "time"), (13, "heard"), (15 + name, "score")], glyphs)]
        for event in snapshot.events[-rows:] if rows else ():
            style = "bold green" if _is_fresh(event.end_sample, snapshot) else "green"
            when = f" {self.time_label(event.end_sample):>10} "
            word = (fitted(event.keyword, name + 2), style)
            lines.append(Text.assemble((when, "bright_black"), " ", word, f" {event.score:.2f}"))
        return lines

    def _said_and_heard(
        self, entries: list[Entry], snapshot: Snapshot, width: int, rows: int, glyphs: Glyphs
    ) -> list[Text]:
        name = max(_LOG_NAME_COLUMNS, self._name_columns() + 2)
        said = max(8, width - _TIME_COLUMNS - name - _LOG_SCORE_COLUMNS - _LATENCY_COLUMNS)
        heard = _TIME_COLUMNS + said
        columns = (4, _TIME_COLUMNS, heard, heard + name, heard + name + _LOG_SCORE_COLUMNS)
        lines = [rule(width, list(zip(columns, ("time", "said", "heard", "score", "latency"), strict=True)), glyphs)]
        for entry in entries[-rows:] if rows else ():
            other = entry.result is Result.OTHER_SPEECH
            when = f"{self.time_label(entry.start_sample):>9}"
            words = fitted(entry.said.words if entry.said else "", said - 1)
            parts = ((fitted(when, _TIME_COLUMNS), "bright_black"), (words + " ", "bright_black" if other else ""))
            lines.append(Text.assemble(*parts, _heard(entry, snapshot, name, glyphs)))
        return lines

    def _footer(self, snapshot: Snapshot, width: int) -> Text:
        elapsed = clock(snapshot.end_sample)
        if self.total_samples is not None:
            elapsed += f" / {clock(self.total_samples)}"
        cpu = self.usage.cpu_percent()
        parts = [
            Text(elapsed, "bold"),
            Text.assemble(("CPU ", "bright_black"), "   - %" if cpu is None else f"{cpu:4.1f} %"),
            Text.assemble(("lag ", "bright_black"), f"{1000 * snapshot.lag_s:3.0f} ms"),
            Text.assemble(("memory ", "bright_black"), f"{resident_mb():.0f} MB"),
        ]
        if snapshot.lost_samples:
            parts.insert(0, Text(f"lost {1000 * snapshot.lost_samples / SAMPLE_RATE_HZ:.0f} ms of sound", "bold red"))
        return spread(joined(parts, width), Text("Ctrl-C stops ", "bright_black"), width)


def _counts(entries: list[Entry], snapshot: Snapshot, glyphs: Glyphs) -> str:
    hits = sum(entry.result is Result.HIT for entry in entries)
    missed = sum(entry.result is Result.MISS and _is_over(entry, snapshot) for entry in entries)
    false_events = sum(entry.result.is_false_event for entry in entries)
    return f"heard {hits} of {hits + missed} {glyphs.dot} {false_events} false"


def _heard(entry: Entry, snapshot: Snapshot, name: int, glyphs: Glyphs) -> Text:
    """What became of something said: the word heard, its score, its latency; or that it was missed, or is awaited."""
    if entry.detection is None:
        if entry.result is Result.OTHER_SPEECH:
            return Text("")
        return Text("missed", "bold red") if _is_over(entry, snapshot) else Text(glyphs.pending, "yellow")
    style = "bold red" if entry.result.is_false_event else "green"
    if _is_fresh(entry.detection.end_sample, snapshot) and not entry.result.is_false_event:
        style = "bold green"
    latency = entry.latency_samples
    last = "false" if latency is None else f"{1000 * latency / SAMPLE_RATE_HZ:+.0f} ms"
    score = fitted(f"{entry.detection.score:.2f}", _LOG_SCORE_COLUMNS)
    return Text.assemble((fitted(entry.detection.keyword, name), style), score, last)


def _is_over(entry: Entry, snapshot: Snapshot) -> bool:
    """Whether a word can no longer be heard in time."""
    return entry.said is not None and snapshot.end_sample > entry.said.label.end_sample + HIT_TOLERANCE_SAMPLES


def _is_fresh(end_sample: int, snapshot: Snapshot) -> bool:
    return snapshot.end_sample - end_sample < _FRESH_SAMPLES
