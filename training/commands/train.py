"""`hark train`: a recipe to a model file."""

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyhark.app.errors import HarkError

if TYPE_CHECKING:
    from ..recipe import Recipe

_FOLDER = click.Path(file_okay=False, path_type=Path)
_PHRASE = "phrase"  # the recipe of --phrase
RECIPES = Path(__file__).parent.parent / "recipes"


def _speakers(table: Path | None, fold: str | None) -> tuple[str, ...]:
    if table is None:
        return ()
    from ..recordings import read_table

    rows = read_table(table)
    column = next((name for name in ("speaker", "recording") if name in rows[0]), None)
    if column is None or (fold is not None and "fold" not in rows[0]):
        raise HarkError(f"{table}: needs a column speaker or recording, and fold where --fold is given")
    speakers = tuple(row[column] for row in rows if fold is None or row["fold"] == fold)
    if not speakers:
        raise HarkError(f"{table}: no {column}s in fold {fold}; it has {', '.join(sorted({r['fold'] for r in rows}))}")
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


def prepare(run: Path, out: Path) -> None:
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
@click.argument("recipe", required=False)
@click.option("--phrase", help="Instead of RECIPE: a wake word, learnt from its text alone.")
@click.option("--recordings", type=_FOLDER, help="Of --phrase: people who say it, one phrase a file.")
@click.option("--kokoro", type=_FOLDER, help="Of --phrase: Kokoro's folder [TINYHARK_KOKORO, user's data].")
@click.option(
    "--stores", default="stores", show_default=True, type=click.Path(path_type=Path), help="Folder of stores."
)
@click.option("--run", type=click.Path(path_type=Path), help="Where the run's state lives.  [default: runs/NAME]")
@click.option("--out", type=click.Path(path_type=Path), help="The model file.  [default: RUN/NAME.onnx]")
@click.option("--steps", type=click.IntRange(min=1), help="In place of the recipe's, for a trial.")
@click.option("--without-label", multiple=True, help="Leave a label out of training, then judge the model on it.")
@click.option(
    "--without-speakers",
    type=click.Path(exists=True, path_type=Path),
    help="CSV of speakers, or of recordings, to leave out, then judge the model on them.",
)
@click.option("--fold", help="Of --without-speakers: the rows with this fold.")
@click.option("--threads", type=click.IntRange(min=1), help="Of the CPU.  [default: all cores]")
def train(
    recipe: str | None,
    phrase: str | None,
    recordings: Path | None,
    kokoro: Path | None,
    stores: Path,
    run: Path | None,
    out: Path | None,
    steps: int | None,
    without_label: tuple[str, ...],
    without_speakers: Path | None,
    fold: str | None,
    threads: int | None,
) -> None:
    """Train a model, or a wake word from its text.

    The model that RECIPE (a TOML file, or a packaged one's name) describes is trained, quantized and exported.

    Or, with --phrase "hey lantern": speak a wake word in many voices, train, choose its threshold and measure it, with
    no recording of it or with those in --recordings.

    A run that was killed goes on from its last checkpoint when the same command is given again. On several processes:
    torchrun --nproc-per-node N --no-python -- hark train ...
    """
    if (recipe is None) == (phrase is None):
        raise click.UsageError("give a RECIPE, or --phrase and its text")
    if fold is not None and without_speakers is None:
        raise click.UsageError("--fold needs --without-speakers")
    import torch
    from msgspec.structs import replace

    from ..recipe import load_recipe
    from ..rounds import train_in_rounds
    from .phrase import learn_phrase
    from .progress import TrainingProgress

    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(_recipe(recipe or _PHRASE))
    loaded = replace(loaded, training=replace(loaded.training, steps=steps or loaded.training.steps))
    if phrase is not None:
        learn_phrase(phrase, loaded, recordings, kokoro, stores, run, out)
        return
    loaded = replace(
        loaded,
        ignore_labels=(*loaded.ignore_labels, *without_label),
        exclude_speakers=(*loaded.exclude_speakers, *_speakers(without_speakers, fold)),
    )
    run = run or Path("runs") / loaded.name
    path = out or run / f"{loaded.name}.onnx"
    prepare(run, path)
    with TrainingProgress() as progress:
        outcome = train_in_rounds(loaded, stores, run, path, progress.report)
    if outcome is None:
        return
    for name, value in outcome.metrics.items():
        click.echo(f"{name:28} {value}")
    if without_label or without_speakers:
        _show_held_out(path, loaded, stores, without_label, run)
    click.echo(f"{path}: {path.stat().st_size:,} bytes")


def _show_held_out(path: Path, recipe: "Recipe", stores: Path, labels: tuple[str, ...], run: Path) -> None:
    """Print how the model takes the clips that training left out, and keep it as `run`/held-out.csv."""
    from tinyhark.app.model import Model
    from tinyhark.dsp.intervals import wilson

    from ..held_out import judge_held_out

    judged = judge_held_out(Model.load(path), recipe, stores, labels)
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
