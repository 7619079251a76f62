"""`hark export`: a model file to other forms."""

from pathlib import Path

import click

from tinyhark.app.cli import LazyGroup
from tinyhark.app.errors import HarkError

_DIR = click.Path(path_type=Path)


@click.group("export", cls=LazyGroup, table={}, prefix="export.")
def export() -> None:
    """Write a model in another form: C for microcontrollers."""


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
