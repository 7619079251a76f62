"""What decides, keyword by keyword: the parameters of a model with what the user changed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tinyhark.dsp.decision import KeywordParameters

from .errors import HarkError
from .model import Model
from .text import nearest

LEAST_SENSITIVE, MOST_SENSITIVE = 0.98, 0.05  # thresholds at sensitivity 0 and 1

Override = float | Mapping[str, float] | None  # one value for all keywords, or keyword -> value


def threshold_at(sensitivity: float, threshold: float) -> float:
    """A threshold at a sensitivity: from 0.98 at 0 straight to the model's `threshold` at 0.5, and on to 0.05 at 1."""
    if sensitivity <= 0.5:
        return threshold + (1 - 2 * sensitivity) * max(0.0, LEAST_SENSITIVE - threshold)
    return threshold - (2 * sensitivity - 1) * max(0.0, threshold - MOST_SENSITIVE)


def parameters_of(model: Model, sensitivity: float, overrides: Mapping[str, Override]) -> list[KeywordParameters]:
    """The parameters of each keyword of the model, in order; `overrides`: name of a parameter -> what replaces it.

    Raises HarkError for values out of range.
    """
    if not 0 <= sensitivity <= 1:
        raise HarkError(f"sensitivity is {sensitivity}; it must be 0 to 1")
    out = []
    for keyword in model.keywords:
        own = model.metadata.keywords[keyword].parameters()
        changes = {"threshold": threshold_at(sensitivity, own.threshold)}
        for name, override in overrides.items():
            value = override.get(keyword) if isinstance(override, Mapping) else override
            if value is not None:
                changes[name] = value
        try:
            out.append(replace(own, **changes))
        except ValueError as error:
            raise HarkError(f"{keyword}: {error}") from error
    return out


def check_known(models: Sequence[Model], keywords: Collection[str]) -> None:
    """Raise HarkError where one of `keywords` is a keyword of no model."""
    known = [keyword for model in models for keyword in model.keywords]
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        names = " + ".join(model.name for model in models)
        raise HarkError(f"the model {names} has no keyword '{unknown[0]}'{nearest(unknown[0], known)}")
