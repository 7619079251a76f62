"""The figures of a stream evaluation as tables on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from tinyhark.dsp.operating import Rate

from ..tables import plain_console, titled_table
from .figures import ALL, CurvePoint, Figures

_SPEAKERS = 10  # the most missed that are shown
_SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # of all thresholds
_TEXT = ("keyword", "heard under", "in", "noise", "speaker", "said", "heard", "counted")  # columns of words


def share(rate: Rate) -> str:
    """A share of words in percent with its interval, "-" where there were none."""
    if rate.rate is None or rate.interval is None:
        return "-"
    low, high = rate.interval
    return f"{100 * rate.rate:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def per_hour(rate: Rate) -> str:
    """Events per hour with their interval, "-" where there was no sound; without any event, what that shows."""
    if rate.rate is None or rate.interval is None:
        return "-"
    low, high = rate.interval
    return f"{rate.rate:.2f} ({low:.2f} to {high:.2f})" if rate.count else f"0 (below {high:.2f})"


def ms(value: float | None) -> str:
    """Milliseconds, "-" where none were measured."""
    return "-" if value is None else f"{value:.0f}"


def show(figures: Figures) -> None:
    """Print all tables to stdout."""
    console = plain_console()
    console.print(f"{figures.model} at the thresholds in use; brackets are 95 % intervals")
    for table in (
        _words(figures),
        _false_accepts(figures),
        _curve(figures.curves[ALL]),
        _noises(figures),
        _speakers(figures),
        _confusions(figures),
        _counting(figures),
    ):
        if table.row_count:
            console.print(table)


def _table(title: str, names: Sequence[str]) -> Table:
    return titled_table(title, names, _TEXT)


def _words(figures: Figures) -> Table:
    names = ("keyword", "heard under", "threshold", "words", "missed", "share missed", "double triggers")
    table = _table("Words", (*names, "false beside words", "latency p50 ms", "p95 ms"))
    for row in figures.words:
        table.add_row(
            row.keyword,
            row.condition,
            "" if row.threshold is None else f"{row.threshold:.3g}",
            f"{row.misses.of:.0f}",
            str(row.misses.count),
            share(row.misses),
            str(row.double_triggers),
            str(row.beside_words),
            ms(row.latency_p50_ms),
            ms(row.latency_p95_ms),
            style="bold" if row.keyword == ALL else None,
        )
    return table


def _false_accepts(figures: Figures) -> Table:
    table = _table("False accepts", ("keyword", "in", "hours", "false accepts", "per hour"))
    if figures.hours:
        for row in (row for row in figures.false_accepts if ALL in (row.keyword, row.kind)):
            found = row.false_accepts
            cells = (row.keyword, row.kind, f"{found.of:.2f}", str(found.count), per_hour(found))
            table.add_row(*cells, style="bold" if row.keyword == ALL else None)
    return table


def _curve(points: Sequence[CurvePoint]) -> Table:
    names = list(points[0].misses) if points else []
    if len(names) == 2:
        names.remove(ALL)
    table = _table("Other thresholds", ("threshold", *(f"missed, {name}" for name in names), "false accepts per hour"))
    for shown in _SHOWN:
        point = min(points, key=lambda one: abs(one.threshold - shown))
        cells = [share(point.misses[name]) for name in names]
        table.add_row(f"{point.threshold:.2f}", *cells, per_hour(point.false_accepts))
    return table


def _noises(figures: Figures) -> Table:
    table = _table("By noise", ("heard under", "noise", "words", "missed", "share missed"))
    for row in figures.noises:
        table.add_row(row.condition, row.group, f"{row.misses.of:.0f}", str(row.misses.count), share(row.misses))
    return table


def _speakers(figures: Figures) -> Table:
    many = len(figures.speakers)
    title = f"The most missed of {many} speakers" if many > _SPEAKERS else "By speaker"
    table = _table(title, ("speaker", "words", "missed", "share missed"))
    for row in figures.speakers[:_SPEAKERS]:
        table.add_row(row.group, f"{row.misses.of:.0f}", str(row.misses.count), share(row.misses))
    return table


def _confusions(figures: Figures) -> Table:
    table = _table("Confused", ("said", "heard", "times"))
    for row in figures.confusions:
        table.add_row(row.said, row.heard, str(row.count))
    return table


def _counting(figures: Figures) -> Table:
    names = ("counted", "share missed", "false accepts per hour", "false beside words", "double triggers")
    table = _table("By other rules of counting", names)
    for row in figures.counting:
        point = row.point
        cells = (share(point.misses), per_hour(point.false_accepts), str(point.beside_words))
        table.add_row(row.rule, *cells, str(point.double_triggers))
    return table
