"""Scores over time as text for a terminal: a strip of blocks for each keyword, with its threshold."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .explanation import History

_ROWS = 3  # of text for a keyword
_SHOWN = 0.1  # a keyword whose score stays below has no strip
_LEAST_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class _Marks:
    """blocks: from empty to full; threshold, fired: what marks them."""

    blocks: str
    threshold: str
    fired: str


_UNICODE = _Marks(" ▁▂▃▄▅▆▇█", "╌", "▼")
_ASCII = _Marks(" ..::||##", "-", "v")


def plot(history: History, first: int, end: int, width: int, encoding: str = "utf-8") -> Text:
    """Steps first..end as strips at most `width` wide, one for each keyword that came above 0.1, and the time below."""
    marks = _UNICODE if encoding.lower().replace("-", "") == "utf8" else _ASCII
    scores = history.scores[first:end]
    label = max(len(keyword) for keyword in history.spotter.keywords) + 7  # "keyword  0.80 "
    columns = max(1, min(max(_LEAST_COLUMNS, width - label), len(scores)))
    edges = np.linspace(0, len(scores), columns + 1).astype(int)
    text = Text()
    shown = [k for k in range(scores.shape[1]) if len(scores) and scores[:, k].max() > _SHOWN]
    for keyword in shown:
        strip = np.array([scores[a:b, keyword].max() for a, b in pairwise(edges)])
        fired = [i for i, step in history.steps.items() if step.fired == keyword and first <= i < end]
        columns_fired = {int(np.searchsorted(edges, i - first, side="right")) - 1 for i in fired}
        _strip(text, history, keyword, strip, columns_fired, label, marks)
    if not shown:
        text.append(f"no keyword's score came above {_SHOWN}\n")
    elif len(scores):
        _axis(text, history.end_samples[first], history.end_samples[end - 1], label, columns)
    return text


def _strip(
    text: Text,
    history: History,
    keyword: int,
    strip: NDArray[np.float32],
    fired: set[int],
    label: int,
    marks: _Marks,
) -> None:
    threshold = history.spotter.parameters[keyword].threshold
    if fired:
        line = "".join(marks.fired if column in fired else " " for column in range(len(strip)))
        text.append(" " * label + line.rstrip() + "\n", style="bold green")
    threshold_row = min(_ROWS - 1, int(threshold * _ROWS))
    levels = len(marks.blocks) - 1
    for row in reversed(range(_ROWS)):
        name = history.spotter.keywords[keyword] if row == 0 else ""
        note = f"{threshold:.2f} " if row == threshold_row else ""
        text.append(f"{name:{label - 5}}", style="bold")
        text.append(f"{note:>5}", style="dim")
        for score in strip.tolist():
            fill = min(levels, max(0, round((score * _ROWS - row) * levels)))
            if fill == 0 and row == threshold_row:
                text.append(marks.threshold, style="dim")
            else:
                text.append(marks.blocks[fill], style="green" if score >= threshold else "cyan")
        text.append("\n")


def _axis(text: Text, first_sample: int, last_sample: int, label: int, columns: int) -> None:
    start, stop = f"{first_sample / SAMPLE_RATE_HZ:.2f} s", f"{last_sample / SAMPLE_RATE_HZ:.2f} s"
    text.append(" " * label + start + " " * max(1, columns - len(start) - len(stop)) + stop + "\n", style="dim")
