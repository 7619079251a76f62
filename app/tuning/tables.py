"""A choice as tables and sentences on a terminal."""

import math

from rich.table import Table

from ..evaluation.stream_tables import per_hour, share
from ..tables import plain_console, titled_table
from .choice import DAY_H, Choice
from .targets import ERROR, FewFalseAccepts, Target


def show(choice: Choice, keywords: list[str], target: Target) -> None:
    """Print the operating points around the choice, its keywords, and what can be promised, to stdout."""
    console = plain_console()
    console.print(_around(choice))
    console.print(_keywords(choice, keywords))
    for line in promises(choice, target):
        console.print(line, soft_wrap=True)


def promises(choice: Choice, target: Target) -> list[str]:
    """What the choice means, in plain words."""
    found = choice.row.point
    rate, a_day = choice.expected_per_hour, DAY_H * choice.expected_per_hour
    out = [
        f"Missed: {found.misses.count} of {found.misses.of:.0f} words, {share(found.misses)}.",
        f"False accepts: {found.false_accepts.count} in {choice.hours:.2f} hours.",
        f"In other hours of the same kind expect {_number(rate)} per hour or fewer, {_number(a_day)} a day.",
        f"With 95 % confidence the rate is below {_number(choice.bound_per_hour)} per hour; "
        f"at most {choice.most_a_day} false wakes a day.",
    ]
    if isinstance(target, FewFalseAccepts) and choice.bound_per_hour > target.per_hour:
        needed = -math.log(ERROR) / target.per_hour
        out.append(
            f"To be 95 % sure of {target.per_hour:g} per hour takes {needed:.3g} hours of negatives without any false "
            "accept, and more with some: hark record room."
        )
    return out


def _around(choice: Choice) -> Table:
    names = ("threshold", "missed", "false accepts", "per hour", "double triggers", "")
    table = titled_table("Operating points, all keywords together", names, ("",))
    for row in choice.around:
        low, high = min(row.thresholds), max(row.thresholds)
        point = row.point
        table.add_row(
            f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}",
            share(point.misses),
            str(point.false_accepts.count),
            per_hour(point.false_accepts),
            str(point.double_triggers),
            "chosen" if row is choice.row else "",
            style="bold" if row is choice.row else None,
        )
    return table


def _keywords(choice: Choice, keywords: list[str]) -> Table:
    names = ("keyword", "threshold", "smoothing ms", "re-arm", "words", "missed", "false accepts")
    table = titled_table("Chosen", names, ("keyword",))
    for keyword, p in zip(keywords, choice.parameters, strict=True):
        if keyword in choice.points:
            point = choice.points[keyword]
            settings = (f"{p.threshold:.4g}", f"{p.smoothing_ms:g}", f"{p.rearm:.3g}")
            said = f"{point.misses.of:.0f}"
            table.add_row(keyword, *settings, said, share(point.misses), str(point.false_accepts.count))
    return table


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"
