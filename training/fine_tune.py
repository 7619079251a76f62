"""From a float network to one that int8 does not hurt: calibration, then fine-tuning with the rounding in the loop."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinyhark.export.graph import operators
from tinyhark.export.quantization import QuantizedNetwork

from . import checkpoint
from .mixing import FEATURE_SCALE
from .recipe import Recipe
from .train import Trained

_FIRST_BATCH = 1 << 24  # batches that training never drew


def quantize_network(recipe: Recipe, trained: Trained, run: Path, report: Callable[[int], None]) -> QuantizedNetwork:
    """Calibrate and fine-tune; goes on from the last checkpoint in `run`. `report` gets the steps done.

    The float network is the teacher (Hinton 2015): int8 is to answer as it does, right or wrong.
    """
    spec = recipe.quantization
    teacher = trained.network.eval()
    device = next(teacher.parameters()).device
    network = QuantizedNetwork(operators(trained.network), FEATURE_SCALE)
    batches = [trained.mixer.batch(_FIRST_BATCH + i)[0].cpu() for i in range(spec.calibration_batches)]
    network.calibrate(batches)
    network, teacher = network.to(device), teacher.to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
    saved = checkpoint.load(run / checkpoint.FINE_TUNING, recipe.digest)
    if saved:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
    for step in itertools.takewhile(lambda n: n < spec.steps, itertools.count(saved["step"] if saved else 0)):
        features, _ = trained.mixer.batch(_FIRST_BATCH + spec.calibration_batches + step)
        for group in optimiser.param_groups:
            group["lr"] = spec.learning_rate * 0.5 * (1 + math.cos(math.pi * step / spec.steps))
        optimiser.zero_grad()
        loss = distance(network(features), teacher, features)
        torch.autograd.backward(loss)
        optimiser.step()
        done = step + 1
        if done % recipe.training.checkpoint_steps == 0 or done == spec.steps:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            checkpoint.save(run / checkpoint.FINE_TUNING, {"recipe": recipe.digest, "step": done, **state})
        report(done)
    return network.cpu().eval()


def distance(logits: Tensor, teacher: nn.Module, features: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the teacher's posteriors from ours, mean over the batch."""
    with torch.no_grad():
        wanted = F.log_softmax(teacher(features), 1)
    return F.kl_div(F.log_softmax(logits, 1), wanted, reduction="batchmean", log_target=True)
