"""The gate of an export: what torch computed and what onnxruntime computes, on real windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import ModelError

CLOSE_SHARE = 0.999  # of the codes within one step
WINNER_SHARE = 0.995  # of the windows with the same winner


@dataclass(frozen=True)
class Parity:
    """How far two sets of logit codes agree: over `windows` windows."""

    windows: int
    within_one: float
    same_winner: float


def compare(reference: NDArray[np.int8], other: NDArray[np.int8]) -> Parity:
    """[windows, labels] codes of both sides; a tie for the winner agrees with either of the tied."""
    difference = np.abs(reference.astype(np.int16) - other)
    top = reference.max(axis=1)
    chosen = np.take_along_axis(reference, other.argmax(axis=1)[:, None], axis=1)[:, 0]
    return Parity(len(reference), float((difference <= 1).mean()), float((chosen == top).mean()))


def require(parity: Parity, what: str) -> None:
    """Raise ModelError where the agreement is less than an export must have."""
    if parity.within_one < CLOSE_SHARE or parity.same_winner < WINNER_SHARE:
        raise ModelError(
            f"{what}: onnxruntime and torch agree on {parity.within_one:.2%} of the codes and "
            f"{parity.same_winner:.2%} of the winners over {parity.windows} windows; {CLOSE_SHARE:.1%} and "
            f"{WINNER_SHARE:.1%} are needed, so nothing was written"
        )
