"""`hark doctor`: whether everything works here, and what mends what does not."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import click

from ..errors import AudioError, HarkError, ModelError
from ..text import printable
from .options import model_option

LIBRARIES = ("numpy", "onnxruntime", "soundfile", "soxr", "sounddevice", "click", "rich", "msgspec")


class Finding(NamedTuple):
    """One line: what was looked at, "ok", "warning" or "problem", and the fact or what mends it."""

    subject: str
    state: str
    text: str


@click.command()
@model_option
def doctor(model: str) -> None:
    """Check that everything works, and say what mends what does not.

    Exits with 1 when something is broken without which no keyword is heard; a missing microphone is a warning.
    """
    colours = {"ok": "green", "warning": "yellow", "problem": "red"}
    problems = 0
    for finding in [*_versions(), *_models(model), *_files(), *_devices()]:
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
    yield Finding("sound files", "ok", f"{soundfile.__libsndfile_version__}, soxr {soxr.__libsoxr_version__}")


def _devices() -> Iterator[Finding]:
    """PortAudio and the microphones that it sees; without them everything but `hark listen` works."""
    from ..audio.portaudio import load_portaudio, reason

    try:
        portaudio = load_portaudio()
    except AudioError as error:
        yield Finding("microphone", "warning", str(error))
        return
    except ImportError:
        yield Finding("microphone", "warning", "pip install sounddevice")
        return
    try:
        devices = list(portaudio.query_devices())
        default = portaudio.default.device[0]
    except portaudio.PortAudioError as error:
        yield Finding("microphone", "warning", f"the sound devices cannot be listed: {reason(error)}")
        return
    inputs = [device for device in devices if device["max_input_channels"] > 0]
    if not inputs:
        yield Finding("microphone", "warning", "none found; connect one, or allow this user to use sound (group audio)")
    for device in inputs:
        mark = ", the default" if device["index"] == default else ""
        facts = f"{device['max_input_channels']} channels, {device['default_samplerate']:.0f} Hz{mark}"
        yield Finding("microphone", "ok", f"{device['index']} {device['name']}: {facts}")
