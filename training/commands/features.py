"""`hark features`: recordings to a store."""

import os
import sys
from pathlib import Path

import click

from tinyhark.app.commands.options import Finite
from tinyhark.app.errors import HarkError

_LEAST_SEGMENT_S = 0.032  # a frame


def _range(_context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in value.split(":"))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not LOW:HIGH", param=parameter) from None
    if not 0 <= low < high <= 1:
        raise click.BadParameter(f"{value!r}: 0 <= LOW < HIGH <= 1 is needed", param=parameter)
    return low, high


def _splits(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    from ..recordings import read_table

    rows = read_table(path)
    if not {"recording", "split"} <= rows[0].keys():
        raise HarkError(f"{path}: needs the columns recording and split, has {', '.join(rows[0])}")
    return {row["recording"]: row["split"] for row in rows}


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The store to make (a folder).")
@click.option("--origin", required=True, help="Where the recordings come from, as NOTICE credits them.")
@click.option("--licence", required=True, help="SPDX name, or 'own'.")
@click.option("--label", help="One label for all; otherwise the folder's name, or the CSV's column.")
@click.option("--speaker-pattern", help="Regular expression; its first group, found in the file name, is the speaker.")
@click.option("--split", default="train", show_default=True, help="Split of recordings that --splits does not list.")
@click.option("--splits", type=click.Path(exists=True, path_type=Path), help="CSV: recording, split.")
@click.option("--segment-s", type=Finite(min=_LEAST_SEGMENT_S), help="Cut recordings into pieces of so many seconds.")
@click.option("--part", default="0:1", show_default=True, callback=_range, help="Take this share of each recording.")
@click.option(
    "--copies",
    default=0,
    type=click.IntRange(min=0),
    help="So many degraded copies of each instead of the recording itself.",
)
@click.option("--rooms", type=click.Path(exists=True, path_type=Path), help="Impulse responses for the copies.")
@click.option(
    "--overdrive-db",
    default=12.0,
    type=Finite(min=0),
    show_default=True,
    help="Clipping of the copies, at most.",
)
@click.option("--seed", default=0, type=click.IntRange(min=0), show_default=True)
@click.option("--jobs", default=os.cpu_count() or 1, type=click.IntRange(min=1), show_default="all cores")
def features(
    sources: tuple[Path, ...],
    out: Path,
    origin: str,
    licence: str,
    label: str | None,
    speaker_pattern: str | None,
    split: str,
    splits: Path | None,
    segment_s: float | None,
    part: tuple[float, float],
    copies: int,
    rooms: Path | None,
    overdrive_db: float,
    seed: int,
    jobs: int,
) -> None:
    """Make a store of features to train with.

    SOURCES are folders of recordings, or CSV files that list pieces of recordings.
    """
    from rich.console import Console
    from rich.progress import Progress

    from tinyhark.dsp.tables import SAMPLE_RATE_HZ

    from ..features import FeatureOptions, make_clips
    from ..recordings import find_recordings, read_labels
    from ..store import check_place, write_store

    check_place(out)
    listed = _splits(splits)
    recordings = []
    for source in sources:
        if source.suffix == ".csv":
            recordings += read_labels(source, source.parent, label, split)
        else:
            recordings += find_recordings(source, label, speaker_pattern, split, listed)
    segment = None if segment_s is None else int(segment_s * SAMPLE_RATE_HZ)
    options = FeatureOptions(origin, licence, segment, part, copies, rooms, overdrive_db, seed)
    console = Console(stderr=True)
    refused: list[str] = []
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(out.name, total=len(recordings))
            clips = make_clips(recordings, options, jobs, lambda: progress.advance(task), refused.append)
            count = write_store(out, clips, " ".join(["hark", *sys.argv[1:]]))
    finally:
        for line in refused:
            click.echo(f"hark: {line}", err=True)
    click.echo(f"{out}: {count} clips of {len(recordings) - len(refused)} recordings")
    if refused:
        raise HarkError(f"{len(refused)} of {len(recordings)} recordings could not be used")
