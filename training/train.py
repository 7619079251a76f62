"""The training loop: resumable at any moment, the same weights for the same seed, on one process or several."""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from . import checkpoint
from .checkpoint import Average
from .draw import UNKNOWN
from .mixing import Mixer, Normalisation
from .network import DSCNN
from .recipe import Recipe, TrainingSpec
from .validation import Validation, judge, load_validation

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Trained:
    """A float network (in evaluation mode), and the normalisation it was trained with."""

    network: DSCNN
    normalisation: Normalisation
    validation: Validation
    mixer: Mixer


@dataclass(frozen=True)
class Start:
    """What a run begins with instead of fresh weights: the average that the run in `folder` ended with.

    digest: of that run's recipe.
    """

    folder: Path
    digest: str


@dataclass(frozen=True)
class Process:
    """This process among those that torchrun started; alone without it."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> "Process":
        """Read torchrun's environment and meet the others."""
        rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        cuda = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        if count > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if cuda else "gloo")
        return cls(rank, count, device)

    def wait(self) -> None:
        """Until all others are here, too."""
        if self.count > 1:
            torch.distributed.barrier()

    def average_gradients(self, network: nn.Module) -> None:
        """Mean of the gradients over the processes."""
        if self.count > 1:
            for parameter in network.parameters():
                if parameter.grad is not None:
                    torch.distributed.all_reduce(parameter.grad)
                    parameter.grad /= self.count


def learning_rate(spec: TrainingSpec, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero (Loshchilov 2017)."""
    if step < spec.warmup_steps:
        return spec.learning_rate * (step + 1) / spec.warmup_steps
    share = (step - spec.warmup_steps) / max(1, spec.steps - spec.warmup_steps)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def make_optimiser(network: nn.Module, spec: TrainingSpec) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": spec.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=spec.learning_rate)


def train_network(
    recipe: Recipe,
    mixer: Mixer,
    stores: Path,
    run: Path,
    process: Process,
    report: Callable[[int, dict[str, float]], None],
    start: Start | None = None,
) -> Trained:
    """Train from the last checkpoint in `run`, else from `start`; `report` gets (steps done, metrics) now and then.

    Metrics go to `run`/metrics.jsonl as JSON lines.
    """
    spec = recipe.training
    torch.manual_seed(recipe.seed)
    network = new_network(recipe, process.device)
    optimiser = make_optimiser(network, spec)
    saved = checkpoint.load(run / checkpoint.TRAINING, recipe.digest)
    begun = checkpoint.load(start.folder / checkpoint.TRAINING, start.digest) if start and not saved else None
    if begun:
        network.load_state_dict(begun["average"])
    average = Average(network, spec.ema)
    if saved:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state = {k: v.to(process.device) for k, v in saved["average"].items()}
    normalisation = _normalisation(mixer, saved or begun)
    validation = load_validation(recipe, stores, normalisation)
    first = saved["step"] if saved else 0
    if process.rank == 0:
        _rewind(run, first)
    loss_of = nn.CrossEntropyLoss(label_smoothing=spec.label_smoothing)
    network.train()
    for step in range(first, spec.steps):
        features, labels = mixer.batch(step, process.rank)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(spec, step)
        optimiser.zero_grad()
        loss = loss_of(network(features), labels)
        loss.backward()
        process.average_gradients(network)
        optimiser.step()
        average.update(network, step)
        done = step + 1
        metrics = {"loss": float(loss.detach())}
        if done % spec.validate_steps == 0 or done == spec.steps:
            metrics |= judge(averaged(recipe, average, process.device), validation)
            _log(run, process, {"step": done, "rate": learning_rate(spec, step), **metrics})
        if process.rank == 0 and (done % spec.checkpoint_steps == 0 or done == spec.steps):
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "average": average.state}
            state |= {"offset": normalisation.offset.tolist(), "multiplier": normalisation.multiplier.tolist()}
            checkpoint.save(run / checkpoint.TRAINING, {"recipe": recipe.digest, "step": done, **state})
        report(done, metrics)
    return Trained(averaged(recipe, average, process.device), normalisation, validation, mixer)


def _normalisation(mixer: Mixer, saved: dict[str, Any] | None) -> Normalisation:
    """That of the checkpoint, else one chosen afresh; the mixer uses it."""
    if saved is None:
        return mixer.normalise()
    normalisation = Normalisation(np.array(saved["offset"], np.int32), np.array(saved["multiplier"], np.int16))
    mixer.use(normalisation)
    return normalisation


def new_network(recipe: Recipe, device: torch.device) -> DSCNN:
    """The recipe's network with fresh weights, channels last: twice as fast on a CPU."""
    network = DSCNN(recipe.network, recipe.n_mfcc, recipe.window_frames, len(recipe.labels)).to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def averaged(recipe: Recipe, average: Average, device: torch.device) -> DSCNN:
    """The network of the averaged weights with the recipe's bias of unknown, in evaluation mode."""
    network = new_network(recipe, device)
    network.load_state_dict(average.state)
    with torch.no_grad():
        network.classify.bias[UNKNOWN] += recipe.classes.unknown_bias
    return network.eval()


def _rewind(run: Path, step: int) -> None:
    """Forget what a killed run did after its last checkpoint: metrics beyond `step`; from step 0, its fine-tuning."""
    if step == 0:
        (run / checkpoint.FINE_TUNING).unlink(missing_ok=True)
    path = run / METRICS
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):  # the kill came while it was written
            continue
    beside = path.with_suffix(".part")
    beside.write_text("".join(kept), encoding="utf-8")
    beside.replace(path)


def _log(run: Path, process: Process, metrics: dict[str, Any]) -> None:
    if process.rank == 0:
        with (run / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 1), **metrics}) + "\n")
