"""`hark record`: words and the sound of a room, to tune or train with."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..cli import Group
from .options import Finite

if TYPE_CHECKING:
    from ..audio.intake import Intake

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(cls=Group)
def record() -> None:
    """Record words and room sound, to tune or train with."""


def _source_options(command: Command) -> Command:
    command = click.option("--device", metavar="NAME", help="Part of a microphone's name, as in hark devices.")(command)
    return click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="The daemon's: hear what its [audio] hears."
    )(command)


@record.command()
@click.argument("said", metavar="WORD...", nargs=-1, required=True)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True, help="Clips of each word.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="words", show_default=True)
@_source_options
def words(said: tuple[str, ...], count: int, out: Path, config: Path | None, device: str | None) -> None:
    """Record clips of each WORD, keyword or phrase, into OUT/WORD.

    On a terminal, Enter starts each take; elsewhere they follow each other at fixed times. Each is checked at once, and
    asked for again where it is too quiet, clipped, cut off, or without a word. Clips that are there already count.
    """
    from ..recording.ear import Ear
    from ..recording.guides import ByClock, ByKeys, meter
    from ..recording.words import Guide, record_words

    with _intake(config, device) as intake:
        if sys.stdin.isatty() and sys.stdout.isatty():
            ear = Ear(intake, on_level=lambda dbfs: click.echo(f"\r{meter(dbfs)}", nl=False))
            guide: Guide = ByKeys(ear, input, lambda line: click.echo(f"\r\033[K{line}"))
        else:
            ear = Ear(intake)
            guide = ByClock(ear, click.echo)
        kept = sum(1 for _ in record_words(ear, said, count, out, guide))
    click.echo(f"{kept} clip{'s' * (kept != 1)} recorded in {out}")


@record.command()
@click.option("--minutes", type=Finite(0, min_open=True), default=60.0, show_default=True, help="In the end, in all.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="room", show_default=True)
@_source_options
def room(minutes: float, out: Path, config: Path | None, device: str | None) -> None:
    """Record the sound of the room it will live in.

    Nobody should say its words meanwhile.

    Files of ten minutes in OUT, for your eyes alone (0600); what is there already counts, so the same command goes on
    where an interrupted one stopped.
    """
    from ..progress import progress
    from ..recording.room import check_disk, free_bytes, record_room, recorded_s

    there_s = recorded_s(out)
    missing_s = 60 * minutes - there_s
    if missing_s < 1:
        click.echo(f"{out}: holds {there_s / 60:.1f} minutes already")
        return
    check_disk(out, missing_s, free_bytes)
    with _intake(config, device) as intake, progress("record", missing_s) as advance:
        added_s = record_room(intake, out, missing_s, advance, lambda line: click.echo(f"hark: {line}", err=True))
        lost_s = (intake.counts.lost_samples + intake.dropped_samples) / SAMPLE_RATE_HZ
    lost = f"; {lost_s:.1f} s were lost on the way" if lost_s else ""
    click.echo(f"{out}: {added_s / 60:.1f} minutes recorded, {(there_s + added_s) / 60:.1f} in all{lost}")


def _intake(config: Path | None, device: str | None) -> "Intake":
    from ..audio.intake import Intake
    from ..daemon import config as c
    from ..daemon.setup import source_of

    if config and device:
        raise click.UsageError("--device and --config exclude each other: the file names its device")
    audio = c.load(config).audio if config else c.Microphone(device=device)
    return Intake(source_of(audio), audio.channel)
