"""`hark models`: what is installed, and adding and removing one's own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ModelError
from ..text import encodable, printable

if TYPE_CHECKING:
    from ..model import Model


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, add and remove models; without a command, list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_models(as_json: bool = False) -> None:
    """Show name, words, size, licence, accuracy and place of every installed model."""
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
        click.echo(_json(model) if as_json else _text(model, catalog.is_packaged(file)))
    if not files and not as_json:
        click.echo("no models are installed; `hark models add FILE` adds one")
    if failed:
        sys.exit(2)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Install it under this name instead of the file's.")
@click.option("--force", is_flag=True, help="Replace a model of that name that was added before.")
def add(file: Path, name: str | None, force: bool) -> None:
    """Verify a model file, by its golden input too, and install a copy under its name."""
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


def _text(model: "Model", packaged: bool) -> str:
    facts = [
        f"{len(model.keywords)} keywords",
        f"{model.size_bytes / 1000:.0f} kB",
        printable(model.metadata.licence),
        f"accuracy {accuracy(model) or 'not stated'}",
        "comes with tinyhark" if packaged else "added",
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
