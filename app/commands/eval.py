"""`hark eval`: how well a model hears."""

import sys
from pathlib import Path
from typing import Any

import click

from ..cli import LazyGroup
from .options import model_option


@click.group("eval", cls=LazyGroup, table={}, prefix="eval.")
def evaluate() -> None:
    """Measure how well a model hears."""


@evaluate.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@model_option
@click.option("--balance", is_flag=True, help="Other words and silence, each one tenth as many as keyword clips.")
@click.option("--noise", type=click.Path(path_type=Path), help="Recordings that --balance cuts its silence from.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what --balance draws.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write confusion.png there.")
def clips(folder: Path, model: str, as_json: bool, report: Path | None, **draw: Any) -> None:
    """Classify the clips DIR/<label>/*.

    A clip is zero-padded at its end or cut to the model's window. Folders whose name is no label of the model are other
    words (_unknown_); _background_noise_ is silence. --balance draws other words, and cuts one-second pieces of silence
    out of the recordings in --noise, at places and gains from -30 to 0 dB that the seed decides.
    """
    from ..evaluation.clips import Balance, evaluate_clips
    from ..evaluation.confusion import render, save_picture, to_json
    from ..model import Model
    from ..progress import progress

    if draw["balance"] != (draw["noise"] is not None):
        raise click.UsageError("--balance and --noise DIR go together")
    balance = Balance(draw["noise"], draw["seed"]) if draw["balance"] else None
    loaded = Model.load(model)
    with progress("clips", 0) as advance:
        confusion, problems = evaluate_clips(loaded, folder, balance, advance)
    for problem in problems:
        click.echo(f"hark: {problem}", err=True)
    if not confusion.total:
        sys.exit(2)
    if as_json:
        click.echo(to_json(confusion, loaded.name))
    else:
        render(confusion, loaded.name)
    if report:
        save_picture(confusion, report / "confusion.png")
    if problems:
        sys.exit(2)
