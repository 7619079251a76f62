"""`hark export`: a model file to other forms, and with figures in it."""

from pathlib import Path

import click

from tinyhark.app.cli import LazyGroup
from tinyhark.app.errors import HarkError

_DIR = click.Path(path_type=Path)


@click.group("export", cls=LazyGroup, table={}, prefix="export.")
def export() -> None:
    """Write a model as C for microcontrollers, or figures into it."""


@export.command("c")
@click.argument("model")
@click.option("--out", required=True, metavar="DIR", type=_DIR, help="Folder of the project; files in it are replaced.")
def c(model: str, out: Path) -> None:
    """Write MODEL as a self-contained C99 project for microcontrollers.

    MODEL is the name of an installed model or a file. The project needs a C compiler and nothing else: no floating
    point, no malloc. `make test` in it compares it with what was computed here.
    """
    from tinyhark.app.model import Model

    from .c_export import export_c

    if out.exists() and not out.is_dir():
        raise HarkError(f"{out}: is a file; --out names a folder")
    made = export_c(Model.load(model), out)
    how = "every window anew" if made.network.padded else "each column once"
    click.echo(f"{out}: C99 of {model}; {made.second / 1e6:.1f} million multiply-accumulates a second, {how}")


@export.command()
@click.argument("model", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--from",
    "result",
    required=True,
    metavar="RESULT.json",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What hark eval stream --json printed.",
)
@click.option("--data", required=True, metavar="TEXT", help="A name of the recordings, such as 'living room, May'.")
def points(model: Path, result: Path, data: str) -> None:
    """Write measured thresholds, and what they cost, into the model FILE.

    RESULT.json holds misses and false accepts at the thresholds that were in use. They become the model's own, and
    hark models show prints them.
    """
    import msgspec

    from tinyhark.app.evaluation.figures import Figures

    from .operating_points import points_of, write_points

    try:
        figures = msgspec.json.decode(result.read_bytes(), type=Figures)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HarkError(f"{result}: is no result of hark eval stream --json: {error}") from error
    found = points_of(figures, data)
    write_points(model, found)
    click.echo(f"{model}: now says what its thresholds cost for {', '.join(found)}")
