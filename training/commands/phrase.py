"""`hark train --phrase`: a wake word from its text, and what to expect of it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tinyhark.dsp.operating import Point

    from ..phrase_measure import Learned
    from ..recipe import Recipe


def learn_phrase(
    phrase: str,
    recipe: "Recipe",
    recordings: Path | None,
    kokoro: Path | None,
    stores: Path,
    run: Path | None,
    out: Path | None,
) -> None:
    """Train the wake word and print what was measured; its state lives in `run`, the model goes to `out`."""
    import torch

    from ..phrase import Wish, train_phrase
    from ..synthesis.engines import available
    from .progress import TrainingProgress
    from .train import prepare

    threads = torch.get_num_threads()
    engines = available(kokoro, threads)
    wish = Wish(phrase, engines, recordings, stores, recipe)
    run = run or Path("runs") / wish.keyword
    path = out or run / f"{wish.keyword}.onnx"
    prepare(run, path)
    with TrainingProgress() as progress:
        learned = train_phrase(wish, run, path, min(threads, os.cpu_count() or 1), progress.report)
    _show(learned, [engine.name for engine in engines])


def _show(learned: "Learned", engines: list[str]) -> None:
    from tinyhark.app.evaluation.stream_tables import per_hour, share

    def line(name: str, point: "Point") -> str:
        return f"  {name:8} misses {share(point.misses)}"

    click.echo(f"threshold {learned.threshold:.2f}")
    click.echo("on synthetic voices that training never heard:")
    for condition, point in learned.synthetic.items():
        click.echo(line(condition, point))
    if learned.recorded:
        click.echo("on your recordings that training never heard:")
        for condition, point in learned.recorded.items():
            click.echo(line(condition, point))
    speech = next(iter(learned.synthetic.values())).false_accepts
    if speech.of:
        click.echo(f"on {speech.of:.1f} hours of other speech, by which the threshold was chosen: {per_hour(speech)}")
    else:
        click.echo("no recordings of other speech in --stores: nothing is known of false accepts")
    if not learned.recorded:
        click.echo(_HONESTY)
    if "kokoro" not in engines:
        click.echo("espeak-ng alone spoke: `hark data kokoro` brings better voices, and far fewer misses")
    click.echo(f"{learned.path}: {learned.path.stat().st_size:,} bytes")


_HONESTY = (
    "Real voices differ from synthetic ones: of a phrase trained so, for which there were recordings, this missed more "
    "than a third. Record the phrase (hark record) and train again with --recordings, or tune the threshold on your "
    "own sound (hark tune)."
)
