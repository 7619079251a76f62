"""The report: one HTML page that needs nothing beside it, with plots and examples to listen to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..atomic import write_text
from ..text import printable
from .drawing import Frame, det, histogram, trace
from .examples import Example, peak_in, worst
from .figures import ALL, Figures
from .measurement import Measurement
from .stream_tables import ms, per_hour, share

_BINS = 20
COLOURS = 6  # of the lines, in the template
_PIECE_S = 2  # other sound is cut into pieces, whose highest scores are counted


def write_report(
    path: Path, figures: Figures, measurement: Measurement, most: int, advance: Callable[[float], None]
) -> None:
    """Write the page with `most` examples of each kind; advance: called with 1 for each stream that is fetched.

    Raises HarkError where it cannot be written.
    """
    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(share=share, per_hour=per_hour, ms=ms, printable=printable)
    misses, false_accepts = worst(measurement, most, advance)
    page = environment.from_string(template).render(
        figures=figures,
        overall=next((row for row in reversed(figures.words) if row.keyword == ALL), None),
        all_false=figures.false_accepts[0].false_accepts,
        conditions=measurement.conditions,
        det=_det(figures, measurement),
        keywords=list(_keywords(figures, measurement)),
        misses=[(example, _trace(example)) for example in misses],
        false_accepts=[(example, _trace(example)) for example in false_accepts],
        ALL=ALL,
        COLOURS=COLOURS,
    )
    write_text(path, page)


def _det(figures: Figures, m: Measurement) -> str:
    """A line for each condition."""
    lines = [(f"c{place % COLOURS}", figures.curves[ALL], condition) for place, condition in enumerate(m.conditions)]
    false = figures.false_accepts[0].false_accepts
    misses = [m.counts(None, condition).point(m.in_use).misses for condition in m.conditions]
    in_use = [(f"c{place % COLOURS}", missed, false) for place, missed in enumerate(misses)]
    return det(lines, in_use) if figures.hours and lines else ""


def _keywords(figures: Figures, m: Measurement) -> Iterator[dict[str, str]]:
    """Each keyword's figures and plots."""
    for keyword, parameters, (words, other) in zip(m.keywords, m.parameters, _peaks(m), strict=True):
        point = m.counts(keyword).point(m.in_use)
        measured = figures.hours and point.misses.of
        in_use = [("c0", point.misses, point.false_accepts)]
        yield {
            "name": keyword,
            "threshold": f"{parameters.threshold:.3g}",
            "misses": share(point.misses),
            "false_accepts": per_hour(point.false_accepts),
            "det": det([("c0", figures.curves[keyword], ALL)], in_use, Frame(420, 260)) if measured else "",
            "histogram": histogram(words, other, parameters.threshold, Frame(420, 260)),
        }


def _peaks(m: Measurement) -> list[tuple[list[int], list[int]]]:
    """For each keyword: how many of its words, and how many pieces of other sound, reached a score in each bin."""
    words: list[list[float]] = [[] for _ in m.keywords]
    other: list[list[float]] = [[] for _ in m.keywords]
    for heard, _ in m.judged:
        steps = max(1, _PIECE_S * SAMPLE_RATE_HZ // heard.timing.stride_samples)
        for keyword, scores in enumerate(heard.replay(m.parameters, m.exclusion_ms).scores):
            own = [word.label for word in heard.words if word.label.keyword == m.keywords[keyword]]
            words[keyword] += [peak_in(heard, scores, label) for label in own]
            if heard.stream.is_life and not own:
                other[keyword] += np.maximum.reduceat(scores, np.arange(0, len(scores), steps)).tolist()
    edges = np.linspace(0, 1, _BINS + 1)
    counted = [[np.histogram(peaks, edges)[0].tolist() for peaks in every] for every in (words, other)]
    return list(zip(*counted, strict=True))


def _trace(example: Example) -> str:
    length_s = len(example.sound) / SAMPLE_RATE_HZ
    return trace(
        example.times_s,
        example.scores,
        example.others,
        example.threshold,
        length_s,
        example.word_s,
        example.fired_s,
    )
