"""The marks that the live view is drawn with: bars with a threshold, sparklines, the level meter, rules."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import set_cell_size

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .live_line import Line
from .live_state import Level

_QUIETEST_DBFS = -60.0
_LOUD_DBFS, _HOT_DBFS = -12.0, -3.0  # where the meter turns yellow and red
_BASELINE = 0.04  # a score below this is drawn as nothing


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters to draw with; `spark` from lowest to highest."""

    full: str
    half: str
    track: str
    mark: str
    spark: str
    rule: str
    dot: str
    pending: str


UNICODE = Glyphs("━", "╸", "─", "┃", "▁▂▃▄▅▆▇█", "─", "·", "…")
ASCII = Glyphs("=", "-", ".", "|", "_.:-=+*#", "-", "-", "...")


def bar(value: float, threshold: float, width: int, glyphs: Glyphs) -> Line:
    """A score 0..1 as a bar with its threshold marked, green from the threshold on."""
    reached = value >= threshold
    halves = max(0, min(2 * width, math.floor(2 * width * value + 0.5)))
    filled = glyphs.full * (halves // 2) + glyphs.half * (halves % 2)
    styles = ["bold green" if reached else "cyan"] * len(filled) + ["bright_black"] * (width - len(filled))
    mark = (min(width - 1, int(threshold * width)), "bold white" if reached else "yellow")
    return _marked(filled + glyphs.track * (width - len(filled)), styles, mark, glyphs)


def sparkline(peaks: Sequence[float], threshold: float, fired: Iterable[int], glyphs: Glyphs) -> Line:
    """Scores 0..1, one a column: green from the threshold on, the columns in `fired` marked."""
    line, fired = Line(), set(fired)
    for column, peak in enumerate(peaks):
        level = max(0, min(len(glyphs.spark) - 1, int(peak * len(glyphs.spark))))
        if column in fired:
            style = "bold yellow"
        elif peak >= threshold:
            style = "green"
        else:
            style = "cyan" if peak >= _BASELINE else "bright_black"
        line.add(glyphs.spark[level], style)
    return line


def meter(level: Level, width: int, glyphs: Glyphs) -> Line:
    """RMS from -60 to 0 dBFS as a bar, the held peak as a mark."""
    filled, peak = _position(level.rms_dbfs, width), _position(level.peak_dbfs, width)
    loud, hot = _position(_LOUD_DBFS, width), _position(_HOT_DBFS, width)
    styles = ["green"] * loud + ["yellow"] * (hot - loud) + ["red"] * (width - hot)
    styles[filled:] = ["bright_black"] * (width - filled)
    mark = (peak - 1, "bold red" if level.clipped else "bold white") if peak else None
    return _marked(glyphs.full * filled + glyphs.track * (width - filled), styles, mark, glyphs)


def rule(width: int, captions: Sequence[tuple[int, str]], glyphs: Glyphs) -> Line:
    """A line with captions let in, each at its column; one that does not fit is left out."""
    line = Line()
    for column, caption in captions:
        start = column - 1 - line.columns
        if start >= 0 and column + len(caption) < width:
            line.add(glyphs.rule * start, "bright_black").add(f" {caption} ", "bold")
    return line.add(glyphs.rule * (width - line.columns), "bright_black")


def fitted(text: str, width: int) -> str:
    """Text cut or padded with spaces to `width` columns."""
    return set_cell_size(text, width)


def clock(samples: int) -> str:
    """Sample index as minutes, seconds and tenths, with hours where there are some."""
    tenths = samples * 10 // SAMPLE_RATE_HZ
    minutes, rest = divmod(tenths, 600)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{minutes}:{seconds}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds}"


def spread(left: Line, right: Line, width: int) -> Line:
    """Two lines at the two ends of one; the right one is left out where both do not fit."""
    space = width - left.columns - right.columns
    return left if space < 2 else Line().extend(left, Line((" " * space, "")), right)


def joined(parts: Sequence[Line], width: int, gap: int = 3) -> Line:
    """As many of the parts, from the first, as fit into a line, with `gap` spaces between them."""
    line = Line((" ", ""))
    for count, part in enumerate(parts):
        space = " " * gap if count else ""
        if line.columns + len(space) + part.columns > width:
            break
        line.add(space).extend(part)
    return line


def _marked(text: str, styles: Sequence[str], mark: tuple[int, str] | None, glyphs: Glyphs) -> Line:
    """Characters with a style each, one column replaced by the mark."""
    line = Line()
    for column, (character, style) in enumerate(zip(text, styles, strict=True)):
        if mark is not None and column == mark[0]:
            line.add(glyphs.mark, mark[1])
        else:
            line.add(character, style)
    return line


def _position(dbfs: float, width: int) -> int:
    """dBFS -> columns of the meter that it fills."""
    return max(0, min(width, math.floor(width * (dbfs - _QUIETEST_DBFS) / -_QUIETEST_DBFS + 0.5)))
