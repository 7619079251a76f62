"""`hark train`: a recipe to a model file."""

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyhark.app.errors import HarkError

if TYPE_CHECKING:
    from ..held_out import HeldOut
    from ..recipe import Recipe

RECIPES = Path(__file__).parent.parent / "recipes"


def _speakers(table: Path, fold: str | None) -> tuple[str, ...]:
    from ..recordings import read_table

    rows = read_table(table)
    if "speaker" not in rows[0] or (fold is not None and "fold" not in rows[0]):
        raise HarkError(f"{table}: needs a column speaker, and fold where --fold is given")
    speakers = tuple(row["speaker"] for row in rows if fold is None or row["fold"] == fold)
    if not speakers:
        raise HarkError(f"{table}: no speakers in fold {fold}; it has {', '.join(sorted({r['fold'] for r in rows}))}")
    return speakers


def _recipe(name: str) -> Path:
    path = Path(name)
    packaged = RECIPES / f"{name}.toml"
    if path.exists():
        return path
    if not packaged.exists():
        names = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise HarkError(f"{name}: no such recipe; give a TOML file, or the name of a packaged one ({names})")
    return packaged


def _prepare(run: Path, out: Path) -> None:
    """Make the folders before hours are spent; raises HarkError where they cannot be written."""
    for folder in (run, out.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HarkError(f"{folder}: cannot be made ({error.strerror}); name another by --run or --out") from error
        if not os.access(folder, os.W_OK):
            raise HarkError(f"{folder}: cannot be written; name another by --run or --out")
    if out.is_dir():
        raise HarkError(f"{out}: is a folder; --out names the model file")


@click.command()
@click.argument("recipe")
@click.option(
    "--stores", default="stores", show_default=True, type=click.Path(path_type=Path), help="Folder of stores."
)
@click.option("--run", type=click.Path(path_type=Path), help="Where the run's state lives.  [default: runs/NAME]")
@click.option("--out", type=click.Path(path_type=Path), help="The model file.  [default: RUN/NAME.onnx]")
@click.option("--steps", type=click.IntRange(min=1), help="In place of the recipe's, for a trial.")
@click.option("--without-label", multiple=True, help="Leave a label out of training, then judge the model on it.")
@click.option("--without-speakers", type=click.Path(exists=True, path_type=Path), help="CSV: speakers to leave out.")
@click.option("--fold", help="Of --without-speakers: the rows with this fold.")
@click.option("--threads", type=click.IntRange(min=1), help="Of the CPU.  [default: all cores]")
def train(
    recipe: str,
    stores: Path,
    run: Path | None,
    out: Path | None,
    steps: int | None,
    without_label: tuple[str, ...],
    without_speakers: Path | None,
    fold: str | None,
    threads: int | None,
) -> None:
    """Train, quantize and export the model that RECIPE (a TOML file, or a packaged one's name) describes.

    A run that was killed goes on from its last checkpoint when the same command is given again. On several processes:
    torchrun --nproc-per-node N --no-python -- hark train ...
    """
    if fold is not None and without_speakers is None:
        raise click.UsageError("--fold needs --without-speakers")
    import torch
    from msgspec.structs import replace

    from ..held_out import judge_held_out
    from ..pipeline import train_model
    from ..recipe import load_recipe

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(_recipe(recipe))
    loaded = replace(loaded, ignore_labels=(*loaded.ignore_labels, *without_label))
    if without_speakers:
        loaded = replace(loaded, exclude_speakers=(*loaded.exclude_speakers, *_speakers(without_speakers, fold)))
    if steps:
        loaded = replace(loaded, training=replace(loaded.training, steps=steps))
    run = run or Path("runs") / loaded.name
    path = out or run / f"{loaded.name}.onnx"
    _prepare(run, path)
    with _Progress() as progress:
        outcome = train_model(loaded, stores, run, path, progress.report)
    if outcome is None:
        return
    for name, value in outcome.metrics.items():
        click.echo(f"{name:28} {value}")
    if without_label or without_speakers:
        from tinyhark.app.model import Model

        _show_held_out(judge_held_out(Model.load(path), loaded, stores, without_label), loaded, run)
    click.echo(f"{path}: {path.stat().st_size:,} bytes")


def _show_held_out(judged: "list[HeldOut]", recipe: "Recipe", run: Path) -> None:
    """Print how the clips that training left out were taken, and keep it as `run`/held-out.csv."""
    from tinyhark.dsp.intervals import wilson

    with (run / "held-out.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "clips", "right", "taken_for_keyword"])
        writer.writerows([h.label, h.count, h.right, h.taken_for_keyword] for h in judged)
    click.echo("left out of training:")
    for held in judged:
        right = f"{held.right} right, " if held.label in recipe.keywords else ""
        click.echo(f"  {held.label:10} {held.count:6} clips, {right}{held.taken_for_keyword} taken for a keyword")
    others = [h for h in judged if h.label not in recipe.keywords]
    total, taken = sum(h.count for h in others), sum(h.taken_for_keyword for h in others)
    if total:
        low, high = wilson(taken, total)
        click.echo(f"  words never heard: {taken / total:.2%} of {total} taken for a keyword ({low:.2%} to {high:.2%})")


class _Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1, metrics="")
        self._stage = ""
        self._quiet = int(os.environ.get("RANK", "0")) > 0  # of several processes the first one speaks

    def __enter__(self) -> "_Progress":
        if not self._quiet:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
        """Show that `done` of `total` steps of `stage` are done."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._bar.update(self._task, description=stage, completed=done, total=total, metrics=shown)
        if not self._quiet and not self._console.is_terminal and (stage != self._stage or len(metrics) > 1):
            click.echo(f"{stage} {done}/{total}  {shown}", err=True)
        self._stage = stage
