"""The state of a run on disk: written beside, then renamed, so that a kill at any moment leaves the last whole one."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinyhark.app.errors import HarkError

TRAINING, FINE_TUNING = "checkpoint.pt", "fine-tune.pt"  # names in the folder of a run


class Average:
    """Exponential moving average of a network's parameters and buffers (Polyak 1992), with a warm start."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the network after `step`; young averages forget faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            kept = self.state[name]
            if value.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, whole or not at all."""
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def load(path: Path, digest: str) -> dict[str, Any] | None:
    """The state at `path`, None where there is none; raises HarkError where it belongs to another recipe."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"holds a {type(state).__name__}")
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise HarkError(f"{path}: not a checkpoint ({type(error).__name__}); remove it to start afresh") from error
    if state.get("recipe") != digest:
        raise HarkError(f"{path}: belongs to another recipe; train into another folder, or remove it to start afresh")
    return state


def cpu_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's state on the CPU, detached."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
