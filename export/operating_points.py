"""Operating points in a model file: its thresholds, and what they cost where it was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.figures import ALL, Figures
from tinyhark.app.model import Model
from tinyhark.app.model_file import OperatingPoint
from tinyhark.dsp.operating import Rate

from .model_export import with_metadata


def operating_point(threshold: float, misses: Rate, false_accepts: Rate, data: str) -> OperatingPoint:
    """A point as a model file has it; ValueError where no word was said."""
    if misses.rate is None or misses.interval is None:
        raise ValueError(f"{data}: no word was said, so there is no miss rate")
    rate = false_accepts.rate or 0.0
    return OperatingPoint(threshold, rate, misses.rate, data, false_accepts.of, int(misses.of), misses.interval)


def points_of(figures: Figures, data: str) -> dict[str, list[OperatingPoint]]:
    """Keyword -> its threshold in use under each condition; data: a name of what was heard.

    Raises HarkError where words or negatives are missing: misses and false accepts belong together.
    """
    if not figures.hours:
        raise HarkError("these figures are of no negatives, so false accepts are not known; measure with --negatives")
    false = {row.keyword: row.false_accepts for row in figures.false_accepts if row.kind == ALL}
    points: dict[str, list[OperatingPoint]] = {}
    for row in figures.words:
        if row.threshold is not None and row.condition != ALL:
            point = operating_point(row.threshold, row.misses, false[row.keyword], f"{data}, {row.condition}")
            points.setdefault(row.keyword, []).append(point)
    if not points:
        raise HarkError("these figures are of no words, so misses are not known; measure with --positives")
    return points


def write_points(path: Path, points: Mapping[str, Sequence[OperatingPoint]]) -> None:
    """Put points into the model file at `path`; their threshold becomes that of the keyword.

    Keywords without points stay as they are. Raises HarkError for points of another model.
    """
    metadata = Model.load(path).metadata
    if unknown := sorted(points.keys() - metadata.keywords.keys()):
        raise HarkError(f"{path}: has no keyword '{unknown[0]}'; the figures are of another model")
    keywords = metadata.keywords | {
        keyword: replace(metadata.keywords[keyword], threshold=some[0].threshold, operating_points=list(some))
        for keyword, some in points.items()
    }
    with_metadata(path, replace(metadata, keywords=keywords))
