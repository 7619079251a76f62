"""`hark tune`: thresholds, smoothing and re-arm for a target, from the user's own recordings."""

import sys
from pathlib import Path
from typing import Any

import click

from ..text import printable
from .options import Finite


@click.command()
@click.option(
    "--positives", type=click.Path(path_type=Path), multiple=True, required=True, help="Words, as in hark eval stream."
)
@click.option(
    "--negatives", type=click.Path(path_type=Path), multiple=True, required=True, help="Hours in which no word is said."
)
@click.option("--fa-per-hour", type=Finite(0, min_open=True), help="At most so many false accepts, all words together.")
@click.option("--miss", type=Finite(0, 0.5, min_open=True), help="At most this share missed, 0.05 say, of each word.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The daemon's; [detection] is written.")
@click.option("--model", metavar="NAME|FILE", help="Without --config: what to tune; commands by default.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Where scores are kept.")
@click.option("--jobs", type=click.IntRange(1), help="Cores to use; all by default.")
def tune(
    fa_per_hour: float | None,
    miss: float | None,
    config: Path | None,
    model: str | None,
    cache: Path | None,
    jobs: int | None,
    **recordings: Any,
) -> None:
    """Choose threshold, smoothing and re-arm for a target, on your own recordings.

    Give --fa-per-hour or --miss. With --config, the model of that file is tuned, for the keywords that it reports. The
    recordings are heard once: another target takes seconds. docs/tuning.md explains it.
    """
    from ..daemon.config import Config, Model, load
    from ..evaluation.cache import Cache, default_folder
    from ..evaluation.farm import on_cores
    from ..evaluation.scenario import Scenario
    from ..evaluation.scores import hear, silence_in
    from ..progress import progress
    from ..tuning.choice import STEPS, choose
    from ..tuning.detector import Detector, values_of, write_values
    from ..tuning.material import Material
    from ..tuning.section import assignments
    from ..tuning.tables import show
    from ..tuning.targets import FewFalseAccepts, FewMisses

    if (fa_per_hour is None) == (miss is None):
        raise click.UsageError("give --fa-per-hour or --miss, one of them")
    if config and model:
        raise click.UsageError("--model and --config exclude each other: the file names its model")
    detector = Detector.of(load(config) if config else Config(model=Model(name=model or "commands")))
    streams = Scenario(**recordings).streams(detector.model.keywords)
    with progress("hear", len(streams)) as advance:
        heard, problems = hear(detector.model, streams, Cache(cache or default_folder()), on_cores(jobs or -1), advance)
    for line in (*problems, *silence_in(heard)):
        click.echo(f"hark: {printable(line)}", err=True)
    keywords = detector.model.keywords
    material = Material(heard, keywords, detector.parameters, detector.exclusion_ms, detector.reported)
    target = FewFalseAccepts(fa_per_hour) if fa_per_hour is not None else FewMisses(miss or 0.0)
    with progress("choose", STEPS) as advance:
        choice = choose(material, target, advance)
    show(choice, keywords, target)
    values = values_of(keywords, choice.parameters)
    if config:
        write_values(config, values)
        click.echo(f"{config}: [detection] now has this choice; a running daemon takes it over when it is reloaded")
    else:
        click.echo("\n".join(["For the daemon's configuration:", "[detection]", *assignments(values)]))
    if problems:
        sys.exit(2)
