"""Options that several commands share, and the spotter that they describe."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..spotter import Spotter

Command = TypeVar("Command", bound=Callable[..., Any])


class Finite(click.FloatRange):
    """A number in a range; "nan" and "inf", which click lets pass, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does it."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number that can be used", param, ctx)
        return number


def model_option(command: Command) -> Command:
    """`--model NAME|FILE`."""
    return click.option(
        "--model",
        default="commands",
        show_default=True,
        metavar="NAME|FILE",
        help="An installed model, or a model file.",
    )(command)


def spotter_options(command: Command) -> Command:
    """`--model --keyword --sensitivity --threshold`, for `make_spotter`."""
    options = [
        model_option,
        click.option(
            "--keyword", "keywords", multiple=True, metavar="WORD", help="Report this keyword only; repeatable."
        ),
        click.option(
            "--sensitivity",
            type=Finite(0, 1),
            metavar="0..1",
            help="0 hears only the clearest words, 1 nearly everything; 0.5 is the model's own setting.",
        ),
        click.option(
            "--threshold",
            "thresholds",
            multiple=True,
            metavar="[WORD=]SCORE",
            help="Fire at this score (0..1), for one keyword or for all; repeatable.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def make_spotter(
    model: str, keywords: tuple[str, ...], sensitivity: float | None, thresholds: tuple[str, ...]
) -> "Spotter":
    """The spotter that the options of `spotter_options` describe; raises HarkError for values that it refuses."""
    from ..model import Model
    from ..spotter import Spotter

    loaded = Model.load(model)
    chosen: dict[str, float] = {}
    for text in thresholds:
        word, equals, score = text.rpartition("=")
        try:
            value = float(score)
        except ValueError:
            raise click.BadParameter(f"'{text}' is not [WORD=]SCORE", param_hint="--threshold") from None
        chosen |= {word: value} if equals else dict.fromkeys(loaded.keywords, value)
    return Spotter(loaded, sensitivity=sensitivity, threshold=chosen, keywords=keywords)
