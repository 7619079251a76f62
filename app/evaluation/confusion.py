"""What was said against what it was taken for: figures with intervals, as a table, as JSON and as a picture."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.intervals import wilson

from ..atomic import write_bytes


@dataclass(frozen=True, slots=True)
class Confusion:
    """counts[said, taken for] by the order of `labels`."""

    labels: list[str]
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, labels: Sequence[str]) -> "Confusion":
        """No clip yet."""
        return cls(list(labels), np.zeros((len(labels), len(labels)), np.int64))

    def add(self, said: str, taken_for: str) -> None:
        """One clip more."""
        self.counts[self.labels.index(said), self.labels.index(taken_for)] += 1

    @property
    def total(self) -> int:
        """Clips in all."""
        return int(self.counts.sum())

    @property
    def right(self) -> int:
        """Clips taken for what they are."""
        return int(np.trace(self.counts))

    def false_keywords(self) -> tuple[int, int]:
        """Clips of no keyword that were taken for one, and clips of no keyword in all."""
        keyword = np.array([not label.startswith("_") for label in self.labels])
        return int(self.counts[~keyword][:, keyword].sum()), int(self.counts[~keyword].sum())


def to_json(confusion: Confusion, model: str) -> str:
    """One line of JSON: accuracy and interval, recall and interval by label, the counts."""
    rows: list[dict[str, Any]] = []
    for index, label in enumerate(confusion.labels):
        right, clips = int(confusion.counts[index, index]), int(confusion.counts[index].sum())
        recall = right / clips if clips else None
        row = {"label": label, "clips": clips, "right": right, "recall": recall, "interval": wilson(right, clips)}
        rows.append(row)
    false, others = confusion.false_keywords()
    fields = {
        "model": model,
        "clips": confusion.total,
        "right": confusion.right,
        "accuracy": confusion.right / confusion.total,
        "interval": wilson(confusion.right, confusion.total),
        "no_keyword_clips": others,
        "taken_for_keyword": false,
        "labels": rows,
        "confusion": confusion.counts.tolist(),
    }
    return msgspec.json.encode(fields).decode()


def render(confusion: Confusion, model: str) -> None:
    """Print the figures and the matrix, rows: what was said, columns: what it was taken for."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..tables import plain_console

    console = plain_console()
    low, high = wilson(confusion.right, confusion.total)
    console.print(
        f"{model}: {100 * confusion.right / confusion.total:.1f} % of {confusion.total} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    false, others = confusion.false_keywords()
    if others:
        low, high = wilson(false, others)
        console.print(
            f"taken for a keyword though none was said: {100 * false / others:.1f} % of {others} clips "
            f"({100 * low:.1f} to {100 * high:.1f})"
        )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("said")
    table.add_column("clips", justify="right")
    table.add_column("right", justify="right")
    for label in confusion.labels:
        table.add_column(label.strip("_"), justify="right")
    for index, label in enumerate(confusion.labels):
        clips = int(confusion.counts[index].sum())
        recall = f"{100 * confusion.counts[index, index] / clips:.1f} %" if clips else "-"
        cells = [Text(str(count) if count else "·") for count in confusion.counts[index].tolist()]
        cells[index].stylize("bold green")
        table.add_row(label.strip("_"), str(clips), recall, *cells)
    console.print(table)


def save_picture(confusion: Confusion, path: Path) -> None:
    """Write the matrix as a PNG, shares of each row in colour; raises HarkError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shares = confusion.counts / np.maximum(1, confusion.counts.sum(axis=1, keepdims=True))
    size = 2 + 0.5 * len(confusion.labels)
    figure = Figure(figsize=(size, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [label.strip("_") for label in confusion.labels]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("taken for")
    axes.set_ylabel("said")
    axes.set_title(f"{100 * confusion.right / confusion.total:.1f} % of {confusion.total} clips")
    for (row, column), count in np.ndenumerate(confusion.counts):
        if count:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png")
    write_bytes(path, picture.getvalue())
