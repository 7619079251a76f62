"""The decisions of several models as steps of one, for what follows them: traces and the live view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import Step, Verdict


@dataclass(frozen=True, slots=True)
class JointStep:
    """A step of one model beside the newest steps of the others; keywords are those of all models, in order.

    newest: a step for each model, None before its first; sizes: how many keywords each has; model: whose step it is.
    """

    newest: tuple[Step | None, ...]
    sizes: tuple[int, ...]
    model: int

    @property
    def end_sample(self) -> int:
        """One past the last sample that the step knows of."""
        return self._own.end_sample

    @property
    def fired(self) -> int | None:
        """The keyword that fired at this step, by its index among those of all models, or None."""
        own = self._own.fired
        return None if own is None else sum(self.sizes[: self.model]) + own

    @property
    def scores(self) -> NDArray[np.float64]:
        """[keywords of all models] float64 scores, 0..1, each the newest."""
        pairs = zip(self.newest, self.sizes, strict=True)
        return np.concatenate([np.zeros(size) if step is None else step.scores for step, size in pairs])

    def verdicts(self) -> list[tuple[Verdict, int | None]]:
        """For each keyword of all models the verdict of the newest step of its model, as Step has it."""
        out: list[tuple[Verdict, int | None]] = []
        for step, size in zip(self.newest, self.sizes, strict=True):
            first = len(out)
            own = [(Verdict.BELOW_THRESHOLD, None)] * size if step is None else step.verdicts()
            out += [(verdict, None if other is None else first + other) for verdict, other in own]
        return out

    @property
    def _own(self) -> Step:
        step = self.newest[self.model]
        assert step is not None
        return step
