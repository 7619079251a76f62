"""`hark models`: what is installed and what it can do, and adding and removing one's own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..cli import Group
from ..errors import ModelError
from ..text import encodable, printable

if TYPE_CHECKING:
    from rich.table import Table

    from ..model import Model


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, show, add and remove models; without a command, list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_models(as_json: bool = False) -> None:
    """Show every installed model.

    Name, words, size, licence, accuracy and place.
    """
    from .. import catalog
    from ..model import Model

    files = list(catalog.installed())
    failed = False
    for file in files:
        try:
            model = Model.load(file)
        except ModelError as error:
            failed = True
            click.echo(f"hark: {error}", err=True)
            continue
        click.echo(_json(model) if as_json else _text(model))
    if not files and not as_json:
        click.echo("no models are installed; `hark models add FILE` adds one")
    if failed:
        sys.exit(2)


@models.command()
@click.argument("model", metavar="NAME|FILE")
def show(model: str) -> None:
    """Show a model and what its thresholds cost.

    MODEL is installed or a file; the figures are those of where it was measured.
    """
    from ..model import Model
    from ..tables import plain_console

    loaded = Model.load(model)
    click.echo(_text(loaded))
    table = _points(loaded)
    if table.row_count:
        plain_console().print(table)
    else:
        click.echo("  not measured in streams; hark eval stream does that")


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Install it under this name instead of the file's.")
@click.option("--force", is_flag=True, help="Replace a model of that name that was added before.")
def add(file: Path, name: str | None, force: bool) -> None:
    """Verify a model file and install a copy.

    Its golden input, sound with the answer that the model must give, is replayed; the copy gets the model's name.
    """
    from .. import catalog
    from ..model import Model

    model = Model.load(file.absolute())
    model.verify()
    target = catalog.add(file, name, force=force)
    click.echo(f"added {target.stem} ({', '.join(model.keywords)}): {target}")


@models.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete a model that was added."""
    from .. import catalog

    click.echo(f"removed {catalog.remove(name)}")


def accuracy(model: "Model") -> str | None:
    """The accuracy that the model file states, with the number of clips where it says so."""
    metrics = model.metadata.provenance.metrics
    share, clips = metrics.get("accuracy"), metrics.get("accuracy_clips")
    if not isinstance(share, float | int):
        return None
    return f"{100 * share:.1f} %" + (f" of {clips:,} clips" if isinstance(clips, int) else "")


def _points(model: "Model") -> "Table":
    """The operating points in the model file."""
    from tinyhark.dsp.operating import Rate

    from ..evaluation.stream_tables import per_hour, share
    from ..tables import titled_table

    names = ("keyword", "threshold", "words", "missed", "hours", "false accepts per hour", "on")
    table = titled_table("Operating points; brackets are 95 % intervals", names, ("keyword", "on"))
    for keyword in model.keywords:
        for p in model.metadata.keywords[keyword].operating_points:
            misses = Rate(round(p.miss_rate * p.count), p.count, p.miss_rate, p.miss_interval)
            false = Rate.per_hour(round(p.false_accepts_per_hour * p.hours), p.hours)
            cells = (str(p.count), share(misses), f"{p.hours:.2f}", per_hour(false), printable(p.data))
            table.add_row(keyword, f"{p.threshold:.3g}", *cells)
    return table


def _whence(file: Path) -> str:
    from .. import catalog

    if catalog.is_packaged(file):
        return "comes with tinyhark"
    return "added" if file in catalog.installed() else "a file"


def _text(model: "Model") -> str:
    facts = [
        f"{len(model.keywords)} keywords",
        f"{model.size_bytes / 1000:.0f} kB",
        printable(model.metadata.licence),
        f"accuracy {accuracy(model) or 'not stated'}",
        _whence(model.path),
    ]
    return f"{model.name}: {', '.join(facts)}\n  {' '.join(model.keywords)}\n  {printable(str(model.path))}"


def _json(model: "Model") -> str:
    import msgspec

    fields = {
        "name": model.name,
        "keywords": model.keywords,
        "size_bytes": model.size_bytes,
        "licence": model.metadata.licence,
        "accuracy": model.metadata.provenance.metrics.get("accuracy"),
        "accuracy_clips": model.metadata.provenance.metrics.get("accuracy_clips"),
        "path": encodable(str(model.path)),
    }
    return msgspec.json.encode(fields).decode()
