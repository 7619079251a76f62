"""`hark eval`: how well a model hears."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import LazyGroup
from ..text import printable
from .options import make_spotter, model_option

if TYPE_CHECKING:
    from ..evaluation.farm import Farm


@click.group("eval", cls=LazyGroup, table={}, prefix="eval.")
def evaluate() -> None:
    """Measure how well a model hears."""


@evaluate.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@model_option
@click.option("--balance", is_flag=True, help="Other words and silence, each one tenth as many as keyword clips.")
@click.option("--noise", type=click.Path(path_type=Path), help="Recordings that --balance cuts its silence from.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what --balance draws.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write confusion.png there.")
def clips(folder: Path, model: str, as_json: bool, report: Path | None, **draw: Any) -> None:
    """Classify the clips DIR/<label>/*.

    A clip is zero-padded at its end or cut to the model's window. Folders whose name is no label of the model are other
    words (_unknown_); _background_noise_ is silence. --balance draws other words, and cuts one-second pieces of silence
    out of the recordings in --noise, at places and gains from -30 to 0 dB that the seed decides.
    """
    from ..evaluation.clips import Balance, evaluate_clips
    from ..evaluation.confusion import render, save_picture, to_json
    from ..model import Model
    from ..progress import progress

    if draw["balance"] != (draw["noise"] is not None):
        raise click.UsageError("--balance and --noise DIR go together")
    balance = Balance(draw["noise"], draw["seed"]) if draw["balance"] else None
    loaded = Model.load(model)
    with progress("clips", 0) as advance:
        confusion, problems, notes = evaluate_clips(loaded, folder, balance, advance)
    for line in (*problems, *notes):
        click.echo(f"hark: {printable(line)}", err=True)
    if not confusion.total:
        sys.exit(2)
    if as_json:
        click.echo(to_json(confusion, printable(loaded.name)))
    else:
        render(confusion, printable(loaded.name))
    if report:
        save_picture(confusion, report / "confusion.png")
    if problems:
        sys.exit(2)


class _Ratios(click.ParamType[tuple[float | None, ...]]):
    """Signal-to-noise ratios: "clean" and numbers of dB, with commas between."""

    name = "ratios"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float | None, ...]:
        """As click does it."""
        if isinstance(value, tuple):
            return value
        ratios: dict[float | None, None] = {}
        for text in str(value).split(","):
            try:
                snr_db = None if text.strip() == "clean" else float(text)
            except ValueError:
                snr_db = float("nan")
            if snr_db is not None and not -60 <= snr_db <= 60:
                self.fail(f"'{text}' is no ratio; give 'clean' or dB from -60 to 60, such as clean,10,5", param, ctx)
            ratios[snr_db] = None
        return tuple(ratios)


@evaluate.command()
@model_option
@click.option("--positives", type=click.Path(path_type=Path), multiple=True, help="Words: clips, labelled recordings.")
@click.option("--negatives", type=click.Path(path_type=Path), multiple=True, help="Sound in which no word counts.")
@click.option("--noise", type=click.Path(path_type=Path), help="Noise to hear the clips in, a kind a file or folder.")
@click.option("--snr", "snrs_db", type=_Ratios(), default="clean", show_default=True, help="Such as clean,10,5 (dB).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of order, gaps and noise.")
@click.option("--speaker", metavar="REGEX", help="Its group finds the speaker in a clip's file name.")
@click.option("--threshold", "thresholds", multiple=True, metavar="[WORD=]SCORE", help="In place of the model's own.")
@click.option("--counting", type=click.Choice(["own", "all"]), default="own", help="all: by others' rules, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write index.html there.")
@click.option("--examples", type=click.IntRange(0), default=20, show_default=True, help="In it, of each kind.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Where scores are kept.")
@click.option("--jobs", type=click.IntRange(1), help="Cores to use; all by default.")
@click.option("--dask", metavar="ADDRESS", help="Use the workers of this Dask scheduler.")
def stream(
    model: str,
    thresholds: tuple[str, ...],
    counting: str,
    as_json: bool,
    report: Path | None,
    examples: int,
    cache: Path | None,
    jobs: int | None,
    dask: str | None,
    **scenario: Any,
) -> None:
    """Measure a detector in streams: misses, false accepts per hour, latency.

    --positives is a folder of clips, DIR/<word>/*, a recording with labels in a CSV file of the same name beside it, or
    a folder with both. Clips are put into streams with gaps, and into noise for each ratio of --snr. Every stream is
    heard once, its scores are kept, and all thresholds are judged from them. docs/measuring.md explains the figures.
    """
    import msgspec

    from ..evaluation.cache import Cache, default_folder
    from ..evaluation.figures import figures
    from ..evaluation.measurement import Measurement
    from ..evaluation.scenario import Scenario
    from ..evaluation.scores import hear, silence_in
    from ..evaluation.stream_tables import show
    from ..progress import progress

    if not scenario["positives"] and not scenario["negatives"]:
        raise click.UsageError("give --positives, --negatives or both")
    if scenario["noise"] and scenario["snrs_db"] == (None,):
        raise click.UsageError("--noise is heard at the ratios of --snr, such as --snr clean,10")
    if report:
        from ..evaluation.report import write_report  # before the work, as a library may be missing
    spotter = make_spotter(
        model, (), None, gate=False, threshold=thresholds, smoothing_ms=(), rearm=(), refractory_ms=()
    )
    streams = Scenario(**scenario).streams(spotter.keywords)
    with progress("streams", len(streams)) as advance:
        kept = Cache(cache or default_folder())
        heard, problems = hear(spotter.model, streams, kept, _farm(jobs, dask), advance)
    for line in (*problems, *silence_in(heard)):
        click.echo(f"hark: {printable(line)}", err=True)
    if not heard:
        sys.exit(2)
    exclusion_ms = spotter.model.metadata.exclusion_ms
    measurement = Measurement.of(heard, spotter.keywords, spotter.parameters, exclusion_ms)
    found = figures(measurement, printable(spotter.model.name), all_rules=counting == "all")
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show(found)
    if report:
        with progress("examples", 0) as advance:
            write_report(report / "index.html", found, measurement, examples, advance)
        click.echo(printable(f"hark: {report / 'index.html'}: written; open it in a browser"), err=True)
    if problems:
        sys.exit(2)


def _farm(jobs: int | None, dask: str | None) -> "Farm":
    from ..evaluation.farm import on_cores, on_dask

    if dask and jobs:
        raise click.UsageError("--jobs and --dask do not go together")
    return on_dask(dask) if dask else on_cores(jobs or -1)
