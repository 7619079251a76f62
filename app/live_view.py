"""The live view: a snapshot of the live state as lines of text for a terminal of any size."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .labels import Said
from .live_drawing import ASCII, UNICODE, Glyphs, bar, clock, fitted, joined, meter, rule, sparkline, spread
from .live_line import Line
from .live_log import TimeLabel, counts, heard_log, is_fresh, said_and_heard_log
from .live_state import LiveState, Snapshot, rolling_peaks
from .outcome import judge
from .usage import ProcessUsage, resident_mb

_NAME_COLUMNS = 14  # longer words are cut
_SCORE_COLUMNS = 6
_SPARK_COLUMNS = 12  # no sparkline in less
_CAPTION_COLUMNS = 20  # a bar longer than this has room for the long caption
_LOG_ROWS = 3  # the words leave so many rows to the log
_FIXED_ROWS = 5  # title, level, two rules, footer
_COMPLAINT_ROWS = 3
_LEAST_SOURCE_COLUMNS = 9  # where the sound comes from is cut to what is left, down to this


@dataclass
class LiveView:
    """Draws a live state, wherever rich prints it, in the size it is given; nothing in it changes the state.

    source: where the sound comes from, and complaint: what is wrong with it or None, each asked whenever it is drawn;
    said: what a recording says, shown when its time comes beside what was heard, or None; total_samples: the length of
    the recording, or None; time_label: a sample index as the time shown in the log.
    """

    state: LiveState
    model: str
    source: Callable[[], str]
    complaint: Callable[[], str | None] = lambda: None
    said: Sequence[Said] | None = None
    total_samples: int | None = None
    time_label: TimeLabel = clock
    usage: ProcessUsage = field(default_factory=ProcessUsage)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fill the height that is given, or the terminal's."""
        height = options.height or console.size.height
        glyphs = ASCII if options.ascii_only else UNICODE
        for count, line in enumerate(self.lines(self.state.snapshot(), options.max_width, height, glyphs)):
            if count:
                yield Segment.line()
            yield from (line.ascii() if options.ascii_only else line).segments()

    def lines(self, snapshot: Snapshot, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Line]:
        """Exactly `height` lines of at most `width` columns."""
        complaint = self._complaint(width)
        free = height - _FIXED_ROWS - len(complaint)
        words = self._words_shown(snapshot, free - _LOG_ROWS)
        rows = free - len(words)
        if self.said is None:
            right = Line((f"{snapshot.event_count} event{'s' * (snapshot.event_count != 1)}", ""))
            log = heard_log(snapshot, width, rows, self.time_label, glyphs)
        else:
            passed = [item for item in self.said if item.label.start_sample <= snapshot.end_sample]
            entries = judge(passed, snapshot.events).entries
            right = counts(entries, snapshot, glyphs)
            log = said_and_heard_log(entries, snapshot, width, rows, self.time_label, glyphs)
        lines = [self._title(right, width), self._level(snapshot, width, glyphs), *complaint]
        lines += [*self._scores(snapshot, words, width, glyphs), *log]
        lines = lines[: height - 1] + [Line()] * (height - 1 - len(lines)) + [self._footer(snapshot, width)]
        return [line.cut(width) for line in lines]

    def _words_shown(self, snapshot: Snapshot, rows: int) -> list[int]:
        """All words, or as many as there are rows: those with the highest scores of late, in their order."""
        count = len(self.state.words)
        if count <= rows:
            return list(range(count))
        peaks = snapshot.history.max(axis=0, initial=0.0)
        return sorted(np.argsort(-peaks, kind="stable")[: max(1, rows)].tolist())

    def _title(self, right: Line, width: int) -> Line:
        words = f"{len(self.state.words)} word{'s' * (len(self.state.words) != 1)}"
        parts = [("tinyhark", "bold"), (self.model, "cyan"), (words, "")]
        right.add(" ")
        if right.columns + _NAME_COLUMNS > width:
            return Line((" ", "")).extend(right)
        room = width - right.columns - 2
        left = joined([Line(part) for part in parts], room)
        if (room := room - left.columns - 3) >= _LEAST_SOURCE_COLUMNS:
            left.add("   ").extend(Line((self.source(), "bright_black")).cut(room))
        return spread(left, right, width)

    def _complaint(self, width: int) -> list[Line]:
        """What is wrong with the sound, on as many lines as it takes up to _COMPLAINT_ROWS."""
        wrapped = textwrap.wrap(self.complaint() or "", max(1, width - 2))
        return [Line((f" {text}", "bold yellow")) for text in wrapped[:_COMPLAINT_ROWS]]

    def _level(self, snapshot: Snapshot, width: int, glyphs: Glyphs) -> Line:
        level, name = snapshot.level, self._name_columns()
        line = Line((f" {fitted('level', name)} ", ""))
        line.extend(meter(level, max(4, width - name - 13), glyphs)).add(f" {level.rms_dbfs:4.0f}")
        return line.add(*((" CLIP", "bold red") if level.clipped else (" dBFS", "bright_black")))

    def _name_columns(self) -> int:
        return min(_NAME_COLUMNS, max(5, *(cell_len(word) for word in self.state.words)))

    def _scores(self, snapshot: Snapshot, shown: list[int], width: int, glyphs: Glyphs) -> list[Line]:
        """A rule, then for each word its name, its score as a bar and a number, its last seconds."""
        free = width - self._name_columns() - 2 - _SCORE_COLUMNS
        bar_columns = max(4, min(free, max(12, 2 * free // 5)))
        spark_columns = free - bar_columns - 2
        caption = f"score  {glyphs.mark} threshold" if bar_columns > _CAPTION_COLUMNS else "score"
        captions = [(self._name_columns() + 2, caption)]
        if spark_columns < _SPARK_COLUMNS:
            return [rule(width, captions, glyphs)] + [self._score(i, snapshot, bar_columns, glyphs) for i in shown]
        captions.append((width - spark_columns - 1, "last 5 s"))
        lines = [rule(width, captions, glyphs)]
        peaks, column_samples = rolling_peaks(snapshot, spark_columns)
        fired = _fired_columns(snapshot, spark_columns, column_samples)
        for index in shown:
            marked = fired.get(self.state.words[index], ())
            line = self._score(index, snapshot, bar_columns, glyphs).add(" ")
            spark = sparkline(peaks[index].tolist(), self.state.thresholds[index], marked, glyphs)
            lines.append(line.extend(spark))
        return lines

    def _score(self, index: int, snapshot: Snapshot, bar_columns: int, glyphs: Glyphs) -> Line:
        word, threshold = self.state.words[index], self.state.thresholds[index]
        score = float(snapshot.history[-1, index]) if len(snapshot.history) else 0.0
        fresh = any(word == event.keyword and is_fresh(event.end_sample, snapshot) for event in snapshot.events)
        line = Line((" ", ""), (fitted(word, self._name_columns()), "bold black on green" if fresh else "bold"))
        line.add(" ").extend(bar(score, threshold, bar_columns, glyphs))
        return line.add(f" {score:.2f} ", "bold green" if score >= threshold else "")

    def _footer(self, snapshot: Snapshot, width: int) -> Line:
        elapsed = clock(snapshot.end_sample)
        if self.total_samples is not None:
            elapsed += f" / {clock(self.total_samples)}"
        cpu = self.usage.cpu_percent()
        parts = [
            Line((elapsed, "bold")),
            Line(("CPU ", "bright_black"), ("   - %" if cpu is None else f"{cpu:4.1f} %", "")),
            Line(("lag ", "bright_black"), (f"{1000 * snapshot.lag_s:3.0f} ms", "")),
            Line(("memory ", "bright_black"), (f"{resident_mb():.0f} MB", "")),
        ]
        if snapshot.lost_samples:
            parts.insert(1, Line((f"{snapshot.lost_samples / SAMPLE_RATE_HZ:.2f} s lost", "bold red")))
        return spread(joined(parts, width), Line(("Ctrl-C stops ", "bright_black")), width)


def _fired_columns(snapshot: Snapshot, columns: int, column_samples: int) -> dict[str, list[int]]:
    """Per word the columns of its sparkline in which it fired."""
    fired: dict[str, list[int]] = {}
    if len(snapshot.history_end_samples):
        oldest = (int(snapshot.history_end_samples[-1]) - 1) // column_samples - columns + 1
        for event in snapshot.events:
            fired.setdefault(event.keyword, []).append((event.end_sample - 1) // column_samples - oldest)
    return fired
