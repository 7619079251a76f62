"""`hark doctor`: whether everything works here, and what mends what does not."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import chain

import click

from ..errors import HarkError, ModelError
from ..finding import Finding
from ..text import printable
from .options import model_option

LIBRARIES = ("numpy", "onnxruntime", "soundfile", "soxr", "sounddevice", "click", "rich", "msgspec")


@click.command()
@model_option
def doctor(model: str) -> None:
    """Check that everything works, and say what mends what does not.

    Exits with 1 when something is broken without which no keyword is heard; a missing microphone is a warning.
    """
    colours = {"ok": "green", "warning": "yellow", "problem": "red"}
    problems = 0
    for finding in chain(_versions(), _models(model), _files(), _sound(), _system()):
        problems += finding.state == "problem"
        click.echo(f"{click.style(f'{finding.state:8}', fg=colours[finding.state])}{finding.subject}: {finding.text}")
    if problems:
        sys.exit(1)


def _versions() -> Iterator[Finding]:
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("tinyhark", "ok", f"{version('tinyhark')}, Python {system}")
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            yield Finding(library, "problem", f"is not installed: pip install {library}")
    yield Finding("libraries", "ok", ", ".join(found))
    yield _front_end()


def _front_end() -> Finding:
    from tinyhark.dsp.front_end import implementation

    in_c = implementation() == "c"
    return Finding("front end", "ok", "in C" if in_c else "in numpy; docs/install.md says how to build the faster one")


def _models(chosen: str) -> Iterator[Finding]:
    """The chosen model and all that are installed, each by its golden input."""
    from .. import catalog

    try:
        first = [catalog.find(chosen)]
    except ModelError as error:
        yield Finding("model", "problem", str(error))
        first = []
    for file in dict.fromkeys([*first, *catalog.installed()]):
        try:
            yield _self_test(str(file))
        except HarkError as error:
            mend = "pip install --force-reinstall tinyhark" if catalog.is_packaged(file) else "get the file again"
            yield Finding("model", "problem", f"{error} ({mend})")


def _self_test(file: str) -> Finding:
    from pathlib import Path

    from ..model import Model

    model = Model.load(Path(file).absolute())
    model.verify()
    facts = f"{model.size_bytes / 1000:.0f} kB, hears its golden input as it should, {printable(str(model.path))}"
    return Finding(f"model {model.name}", "ok", f"{', '.join(model.keywords)}; {facts}")


def _files() -> Iterator[Finding]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as error:
        yield Finding("sound files", "problem", f"{error}: pip install --force-reinstall soundfile soxr")
        return
    yield Finding(
        "sound files", "ok", f"libsndfile {soundfile.__libsndfile_version__}, libsoxr {soxr.__libsoxr_version__}"
    )


def _sound() -> Iterator[Finding]:
    from ..audio.checks import check_sound

    yield from check_sound()


def _system() -> Iterator[Finding]:
    from datetime import datetime

    from ..daemon.checks import check_clock, check_services

    yield check_clock(datetime.now().astimezone())
    yield from check_services()
