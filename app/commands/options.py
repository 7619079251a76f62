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


# what can be set for one keyword or for all: its unit, and the help
_PARAMETERS = {
    "threshold": ("SCORE", "Fire at this score (0..1)"),
    "smoothing_ms": ("MS", "Average the scores over this time"),
    "rearm": ("SHARE", "Ready again below this share (0..1) of the threshold"),
    "refractory_ms": ("MS", "Do not fire again within this time"),
}


def model_option(command: Command) -> Command:
    """`--model NAME|FILE`."""
    return _model(command, "commands", "An installed model, or a model file.")


def models_option(command: Command) -> Command:
    """`--model NAME|FILE`, repeatable: a tuple."""
    return _model(command, ["commands"], "An installed model, or a model file; repeatable: several listen at once.")


def _model(command: Command, default: str | list[str], text: str) -> Command:
    several = isinstance(default, list)
    return click.option(
        "--model", multiple=several, default=default, show_default=True, metavar="NAME|FILE", help=text
    )(command)


def gate_option(command: Command) -> Command:
    """`--gate`."""
    return click.option("--gate", is_flag=True, help="Skip the network while the sound is steady and quiet.")(command)


def spotter_options(command: Command) -> Command:
    """`--model --keyword --sensitivity --threshold` and so on, for `make_spotter`."""
    return model_option(_decision_options(command))


def several_spotter_options(command: Command) -> Command:
    """`spotter_options` with `--model` several times."""
    return models_option(_decision_options(command))


def _decision_options(command: Command) -> Command:
    options = [
        click.option(
            "--keyword", "keywords", multiple=True, metavar="WORD", help="Report this keyword only; repeatable."
        ),
        click.option(
            "--sensitivity",
            type=Finite(0, 1),
            metavar="0..1",
            help="0 hears only the clearest words, 1 nearly everything; 0.5 is the model's own setting.",
        ),
    ]
    for name, (unit, text) in _PARAMETERS.items():
        text = f"{text}, for one keyword or for all; repeatable."
        options.append(click.option(_flag(name), name, multiple=True, metavar=f"[WORD=]{unit}", help=text))
    for option in reversed([*options, gate_option]):
        command = option(command)
    return command


def make_spotter(
    model: str | tuple[str, ...],
    keywords: tuple[str, ...],
    sensitivity: float | None,
    gate: bool,
    **parameters: tuple[str, ...],
) -> "Spotter":
    """The spotter that the options describe; raises HarkError for values that it refuses."""
    from ..model import Model
    from ..spotter import Spotter

    models = [Model.load(one) for one in ((model,) if isinstance(model, str) else model)]
    words = [keyword for one in models for keyword in one.keywords]
    own: dict[str, Any] = {name: _by_keyword(name, parameters[name], words) for name in _PARAMETERS}
    return Spotter(models, sensitivity=sensitivity, keywords=keywords, gate=gate, **own)


def _by_keyword(name: str, texts: tuple[str, ...], words: list[str]) -> dict[str, float]:
    """What `[WORD=]VALUE` says, keyword -> value; a later one counts."""
    chosen: dict[str, float] = {}
    for text in texts:
        word, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            form = f"[WORD=]{_PARAMETERS[name][0]}"
            raise click.BadParameter(f"'{text}' is not {form}", param_hint=_flag(name)) from None
        chosen |= {word: value} if equals else dict.fromkeys(words, value)
    return chosen


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
