"""Which detector is tuned: that of a model, or that of the daemon's configuration."""

import stat
from dataclasses import dataclass, replace
from pathlib import Path

from tinyhark.dsp.decision import KeywordParameters

from ..atomic import write_text
from ..daemon.config import Config
from ..daemon.setup import spotter_of
from ..errors import HarkError
from ..model import Model
from .section import Value, assignments, with_values

SECTION = "detection"
TUNED = ("threshold", "smoothing_ms", "rearm")


@dataclass(frozen=True)
class Detector:
    """A model with what decides; parameters: one a keyword, the model's own but for the refractory time.

    reported: the keywords that count.
    """

    model: Model
    parameters: list[KeywordParameters]
    exclusion_ms: float
    reported: list[str]

    @classmethod
    def of(cls, config: Config) -> "Detector":
        """That of [model] and [detection]; what was tuned before is left aside. HarkError for values refused."""
        spotter = spotter_of(config)
        if len(spotter.models) > 1:
            raise HarkError("[model] names several models; tune each with a configuration of its own")
        metadata = spotter.model.metadata
        own = [metadata.keywords[keyword].parameters() for keyword in spotter.keywords]
        exclusion_ms = config.detection.exclusion_ms
        return cls(
            spotter.model,
            [replace(p, refractory_ms=now.refractory_ms) for p, now in zip(own, spotter.parameters, strict=True)],
            metadata.exclusion_ms if exclusion_ms is None else exclusion_ms,
            [word for word in spotter.keywords if word in (config.model.keywords or spotter.keywords)],
        )


def values_of(keywords: list[str], parameters: list[KeywordParameters]) -> dict[str, Value]:
    """What a configuration says of these parameters; one number where it is the same for all keywords."""
    values: dict[str, Value] = {}
    for name in TUNED:
        each = {keyword: float(getattr(p, name)) for keyword, p in zip(keywords, parameters, strict=True)}
        first = each[keywords[0]]
        values[name] = first if set(each.values()) == {first} else each
    return values


def write_values(path: Path, values: dict[str, Value]) -> None:
    """Put the values into [detection] of a configuration file, which stays as it is otherwise.

    Raises HarkError where that cannot be done, with the lines to put there by hand.
    """
    path = path.resolve()  # a link stays one
    try:
        before, mode = path.read_bytes().decode(), stat.S_IMODE(path.stat().st_mode)
        after = with_values(before, SECTION, values)
    except OSError as error:
        raise HarkError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise HarkError(f"{path}: {error}; put this there: {'; '.join(assignments(values))}") from None
    write_text(path, after, mode)
