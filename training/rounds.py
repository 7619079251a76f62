"""Training in rounds: train, mine what the model wrongly hears in its training data, train on with that, repeat."""

from functools import partial
from pathlib import Path

from msgspec.structs import replace

from tinyhark.app.model import Model

from .mining import mine, mined_store
from .pipeline import Outcome, Report, train_model
from .recipe import MiningSpec, Recipe
from .train import Process, Start

MINED, MODEL = "mined", "model.onnx"  # in a round's folder: what it learns from, and, but for the last, its model


def train_in_rounds(recipe: Recipe, stores: Path, run: Path, path: Path, report: Report) -> Outcome | None:
    """`train_model`, then the recipe's rounds of mining in `run`/round-1, ...; goes on where a killed run left off."""
    rounds = recipe.mining.rounds
    process = Process.join()
    stages = [stage_of(recipe, number) for number in range(rounds + 1)]
    folders = [run, *(run / f"round-{number}" for number in range(1, rounds + 1))]
    mined = [folder / MINED for folder in folders]
    number = max((n for n in range(rounds + 1) if mined[n].exists()), default=0)  # earlier ones are finished
    while True:
        start = Start(folders[number - 1], stages[number - 1].digest) if number else None
        extra = [mined_store(store, recipe.mining.weight) for store in mined[: number + 1] if store.exists()]
        last = number == rounds
        model = path if last else folders[number] / MODEL
        told = partial(_tell, report, number)
        outcome = train_model(stages[number], stores, folders[number], model, told, mined=extra, start=start)
        if last:
            return outcome
        number += 1
        if process.rank == 0:
            mine(Model.load(model), recipe, stores, mined[number], partial(_tell, report, number, "mining", metrics={}))
        process.wait()


def stage_of(recipe: Recipe, number: int) -> Recipe:
    """The recipe of stage `number`: 0 is the recipe's own training; only the last is fine-tuned to int8."""
    training, quantization, mining = recipe.training, recipe.quantization, replace(recipe.mining, rounds=0)
    if number == 0:
        mining = MiningSpec()  # what comes after a stage does not change it: a finished one serves other rounds, too
    else:
        rate = training.learning_rate * mining.rate
        training = replace(training, steps=mining.steps, warmup_steps=mining.warmup_steps, learning_rate=rate)
    if number < recipe.mining.rounds:
        quantization = replace(quantization, steps=0)
    return replace(recipe, seed=recipe.seed + number, training=training, quantization=quantization, mining=mining)


def _tell(report: Report, number: int, stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
    report(f"round {number}: {stage}" if number else stage, done, total, metrics)
