"""`hark say`: phrases to synthetic clips in many voices."""

from pathlib import Path

import click

from tinyhark.app.errors import HarkError

from ..synthesis import HELD_OUT_VOICES
from ..synthesis.takes import Engine, Range

_FASTEST, _SLOWEST = 3.0, 0.3
_OCTAVE_SEMITONES = 12.0
_FOLDER = click.Path(file_okay=False, path_type=Path)


def _range(value: str, name: str, low: float, high: float) -> Range:
    try:
        first, last = (float(part) for part in value.split(":"))
    except ValueError:
        raise HarkError(f"{name}: {value!r} is not LOW:HIGH, such as 0.8:1.2") from None
    if not low <= first <= last <= high:
        raise HarkError(f"{name}: {value!r} must be LOW:HIGH with {low:g} <= LOW <= HIGH <= {high:g}")
    return first, last


def _engine(name: str, folder: Path | None) -> Engine:
    from ..synthesis.espeak import Espeak
    from ..synthesis.kokoro import Kokoro

    return Kokoro.load(folder) if name == "kokoro" else Espeak()


def _voices(engine: Engine, named: str | None) -> list[str]:
    """The voices named, else all that are not held out."""
    if named is None:
        return [voice for voice in engine.voices if voice not in HELD_OUT_VOICES]
    voices = [voice.strip() for voice in named.split(",") if voice.strip()]
    if unknown := [voice for voice in voices if voice not in engine.voices]:
        raise HarkError(f"{unknown[0]}: {engine.name} has no such voice; it has {', '.join(engine.voices)}")
    if not voices:
        raise HarkError("--voices: is empty; name voices with commas between")
    return voices


@click.command()
@click.argument("phrases", nargs=-1, required=True, metavar="PHRASE...")
@click.option("--out", required=True, type=_FOLDER, help="Folder for the clips, one a phrase.")
@click.option("--engine", type=click.Choice(["espeak", "kokoro"]), default="espeak", show_default=True)
@click.option("--voices", metavar="NAME,NAME", help="Only these; otherwise all but those kept for the demo.")
@click.option("--speed", default="0.75:1.35", show_default=True, metavar="LOW:HIGH", help="1 is the voice's own.")
@click.option("--pitch", default="-2:2", show_default=True, metavar="LOW:HIGH", help="Semitones above the voice's own.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1), help="Clips a phrase.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--kokoro", type=_FOLDER, help="Kokoro's folder [TINYHARK_KOKORO, user's data].")
@click.option("--format", "suffix", type=click.Choice(["flac", "wav"]), default="flac", show_default=True)
def say(
    phrases: tuple[str, ...],
    out: Path,
    engine: str,
    voices: str | None,
    speed: str,
    pitch: str,
    count: int,
    seed: int,
    kokoro: Path | None,
    suffix: str,
) -> None:
    """Speak phrases in many synthetic voices.

    Each PHRASE is rendered in many voices, speeds and pitches: 16 kHz mono int16 clips and a list, manifest.csv.

    Variants of a phrase are joined by "|": "off|off!" goes into one folder. The same seed gives the same clips, and
    clips that are there already are not rendered again.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..synthesis.rendering import jobs_of, render

    speeds = _range(speed, "--speed", _SLOWEST, _FASTEST)
    pitches = _range(pitch, "--pitch", -_OCTAVE_SEMITONES, _OCTAVE_SEMITONES)
    speaker = _engine(engine, kokoro)
    jobs = jobs_of(phrases, speaker, _voices(speaker, voices), count, speeds, pitches, seed, suffix)
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("speaking", total=len(jobs))
        try:
            new = render(jobs, speaker, out, lambda: progress.advance(task))
        except OSError as error:
            raise HarkError(f"{out}: cannot be written: {error.strerror}; name another folder") from None
    click.echo(f"{out}: {len(jobs)} clips of {len(phrases)} phrases, {new} of them new")
