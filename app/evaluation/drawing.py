"""Plots of the report as SVG, drawn by hand so that they follow the page's light or dark colours."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from tinyhark.dsp.operating import Rate

from .figures import CurvePoint
from .stream_tables import per_hour, share

Axis = Callable[[float], float]  # a value -> its place in the picture

_LEAST_MISS, _ZERO_PX = 1e-3, 26  # below the least of a logarithmic axis, what is 0 has a place of its own
_PLOT_LEFT, _PLOT_TOP, _PLOT_RIGHT, _PLOT_BOTTOM = 52, 10, 22, 44


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of `width` by `height` px and the axes in it."""

    width: int
    height: int

    @property
    def left(self) -> int:
        """Where the plot begins."""
        return _PLOT_LEFT

    @property
    def right(self) -> int:
        """Where it ends."""
        return self.width - _PLOT_RIGHT

    @property
    def bottom(self) -> int:
        """Its lower edge."""
        return self.height - _PLOT_BOTTOM

    def svg(self, name: str, title: str, parts: Iterator[str]) -> str:
        """The picture; title: what a screen reader says."""
        head = f'<svg class="{name}" viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(title)}">'
        return f"{head}{''.join(parts)}</svg>"

    def labels(self, x: str, y: str) -> Iterator[str]:
        """What the axes say."""
        yield _text((self.left + self.right) / 2, self.height - 6, x, "middle")
        middle = (self.bottom + _PLOT_TOP) / 2
        turned = f'transform="rotate(-90 12 {middle:.1f})"'
        yield f'<text x="12" y="{middle:.1f}" text-anchor="middle" {turned}>{escape(y)}</text>'

    def grid(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
        """Lines at places in the picture, and their names."""
        for at, name in x_ticks:
            yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_PLOT_TOP}" y2="{self.bottom}"/>'
            yield _text(at, self.bottom + 15, name, "middle")
        for at, name in y_ticks:
            yield f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            yield _text(self.left - 6, at + 4, name, "end")


def det(
    lines: Sequence[tuple[str, Sequence[CurvePoint], str]],
    in_use: Sequence[tuple[str, Rate, Rate]],
    frame: Frame = Frame(760, 420),
) -> str:
    """Misses against false accepts per hour, both logarithmic, from the lowest threshold to the highest.

    lines: (class, points, which misses of them); in_use: (class, misses, false accepts) of the thresholds in use, a
    point with its intervals. Shaded: the 95 % interval of the misses.
    """
    rates = [p.false_accepts.rate for _, points, _ in lines for p in points if p.false_accepts.rate]
    rates += [rate.rate for _, _, rate in in_use if rate.rate]
    low = math.floor(math.log10(min(rates, default=0.1)))
    high = max(low + 1, math.ceil(math.log10(max(rates, default=10.0))))
    least = math.log10(_LEAST_MISS)
    x = _log_axis(low, high, frame.left, frame.right)
    y = _log_axis(least, 0, frame.bottom, _PLOT_TOP)

    def parts() -> Iterator[str]:
        x_ticks = [(x(0), "0"), *((x(10.0**d), f"{10.0**d:g}") for d in range(low, high + 1))]
        shares = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
        yield from frame.grid(x_ticks, [(y(0), "0"), *((y(s), f"{100 * s:g} %") for s in shares)])
        yield from frame.labels("false accepts per hour", "words missed")
        for name, points, which in lines:
            yield _band(name, points, which, x, y)
        for name, points, which in lines:
            path = " ".join(f"{x(p.false_accepts.rate or 0):.1f},{y(p.misses[which].rate or 0):.1f}" for p in points)
            yield f'<polyline class="line {name}" points="{path}"/>'
            for point in points:
                across, up = x(point.false_accepts.rate or 0), y(point.misses[which].rate or 0)
                place = f'cx="{across:.1f}" cy="{up:.1f}" r="4"'
                yield f'<circle class="dot {name}" {place}>{_tip(point, which)}</circle>'
        for name, misses, false in in_use:
            yield from _point(name, misses, false, x, y)

    return frame.svg("det", "Misses against false accepts per hour", parts())


def histogram(words: Sequence[int], other: Sequence[int], threshold: float, frame: Frame = Frame(380, 220)) -> str:
    """Peak scores in equal bins from 0 to 1: of words upwards, of other sound downwards, counts logarithmic."""
    middle = (_PLOT_TOP + frame.bottom) / 2
    most = math.log10(1 + max([*words, *other, 9]))
    step = (frame.right - frame.left) / len(words)

    def parts() -> Iterator[str]:
        x_ticks = [(frame.left + share * (frame.right - frame.left), f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
        heights = [(10.0**d, math.log10(1 + 10.0**d) / most * (middle - _PLOT_TOP)) for d in range(int(most) + 1)]
        ticks = [(middle - high, f"{count:g}") for count, high in heights]
        ticks += [(middle + high, f"{count:g}") for count, high in heights]
        yield from frame.grid(x_ticks, ticks)
        yield from frame.labels("highest score", "times")
        for name, counts, sign in (("words", words, -1), ("other", other, 1)):
            for place, count in enumerate(counts):
                high = math.log10(1 + count) / most * (middle - _PLOT_TOP)
                top = middle - high if sign < 0 else middle
                left = frame.left + place * step + 1
                says = f"{count} with a score of {place / len(words):.2f} to {(place + 1) / len(words):.2f}"
                box = f'x="{left:.1f}" y="{top:.1f}" width="{step - 2:.1f}" height="{high:.1f}"'
                yield f'<rect class="{name}" {box}><title>{says}</title></rect>'
        at = frame.left + threshold * (frame.right - frame.left)
        yield f'<line class="threshold" x1="{at:.1f}" x2="{at:.1f}" y1="{_PLOT_TOP}" y2="{frame.bottom}"/>'

    return frame.svg("histogram", "How often which score was reached", parts())


def trace(
    times_s: Sequence[float],
    scores: Sequence[float],
    others: Sequence[float],
    threshold: float,
    length_s: float,
    word_s: tuple[float, float] | None,
    fired_s: Sequence[float],
    frame: Frame = Frame(380, 150),
) -> str:
    """Scores over the time of an example: the keyword's, the highest of the others', the threshold, the word."""
    wide = frame.right - frame.left

    def x(time_s: float) -> float:
        return frame.left + min(1.0, max(0.0, time_s / length_s)) * wide

    def y(score: float) -> float:
        return frame.bottom - score * (frame.bottom - _PLOT_TOP)

    def parts() -> Iterator[str]:
        if word_s:
            box = f'x="{x(word_s[0]):.1f}" width="{x(word_s[1]) - x(word_s[0]):.1f}"'
            yield f'<rect class="word" {box} y="{_PLOT_TOP}" height="{frame.bottom - _PLOT_TOP}"/>'
        x_ticks = [(x(second), f"{second}") for second in range(int(length_s) + 1)]
        yield from frame.grid(x_ticks, [(y(share), f"{share:g}") for share in (0, 0.5, 1)])
        yield from frame.labels("seconds", "score")
        for name, values in (("rest", others), ("score", scores)):
            points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times_s, values, strict=True))
            yield f'<polyline class="line {name}" points="{points}"/>'
        at = y(threshold)
        yield f'<line class="threshold" x1="{frame.left}" x2="{frame.right}" y1="{at:.1f}" y2="{at:.1f}"/>'
        for time_s in fired_s:
            yield f'<path class="fired" d="M{x(time_s):.1f} {at - 3:.1f}l-5 -9h10z"><title>fired</title></path>'
        yield f'<line class="now" x1="{frame.left}" x2="{frame.left}" y1="{_PLOT_TOP}" y2="{frame.bottom}"/>'

    head = frame.svg("trace", "Score over time", parts())
    return head.replace("<svg ", f'<svg data-left="{frame.left}" data-wide="{wide}" data-length="{length_s:.3f}" ', 1)


def _log_axis(low: float, high: float, first: float, last: float) -> Axis:
    """From 10**low to 10**high, with a place for 0 before it."""
    start = first + math.copysign(_ZERO_PX, last - first)

    def place(value: float) -> float:
        if value <= 0:
            return first
        share = (math.log10(value) - low) / (high - low)
        return start + min(1.0, max(0.0, share)) * (last - start)

    return place


def _band(name: str, points: Sequence[CurvePoint], which: str, x: Axis, y: Axis) -> str:
    edges = [(p.false_accepts.rate or 0.0, p.misses[which].interval or (0.0, 1.0)) for p in points]
    there = [f"{x(rate):.1f},{y(low):.1f}" for rate, (low, _) in edges]
    back = [f"{x(rate):.1f},{y(high):.1f}" for rate, (_, high) in reversed(edges)]
    return f'<polygon class="band {name}" points="{" ".join(there + back)}"/>'


def _point(name: str, misses: Rate, false: Rate, x: Axis, y: Axis) -> Iterator[str]:
    """The thresholds in use: a dot, and its two intervals as a cross."""
    across, up = x(false.rate or 0), y(misses.rate or 0)
    a, b = false.interval or (0, 0)
    c, d = misses.interval or (0, 0)
    yield f'<line class="cross {name}" x1="{x(a):.1f}" x2="{x(b):.1f}" y1="{up:.1f}" y2="{up:.1f}"/>'
    yield f'<line class="cross {name}" x1="{across:.1f}" x2="{across:.1f}" y1="{y(c):.1f}" y2="{y(d):.1f}"/>'
    says = f"in use: {share(misses)} missed, {per_hour(false)} false accepts per hour"
    yield f'<circle class="use {name}" cx="{across:.1f}" cy="{up:.1f}" r="5"><title>{escape(says)}</title></circle>'


def _tip(point: CurvePoint, which: str) -> str:
    false = per_hour(point.false_accepts)
    says = f"threshold {point.threshold:.3g}: {share(point.misses[which])} missed, {false} false accepts per hour"
    return f"<title>{escape(says)}</title>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
