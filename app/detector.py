"""One model on a stream of features: its window moves along, its network answers every stride, its decision follows."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import Decision, KeywordParameters, Step
from tinyhark.dsp.front_end import Frames
from tinyhark.dsp.posterior import posteriors_of
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import FRAME_SAMPLES

from .detection import Detection
from .model import Model


class Detector:
    """Hears the keywords of one model in the frames of a stream.

    parameters: one a keyword, in the model's order; reported: the keywords whose detections are given. Raises
    ValueError for an exclusion out of range.
    """

    def __init__(
        self, model: Model, parameters: Sequence[KeywordParameters], exclusion_ms: float, reported: Collection[str]
    ) -> None:
        metadata = model.metadata
        self.model = model
        self.window_frames = metadata.window_frames
        self._keywords, self._reported = model.keywords, frozenset(reported)
        self._hop, self._stride = metadata.front_end.hop, metadata.stride_frames
        self._decision = Decision(parameters, self._stride * self._hop, exclusion_ms)
        self._n_mfcc = metadata.front_end.n_mfcc
        self._offset, self._multiplier = np.array(metadata.offset), np.array(metadata.multiplier)
        self._table = metadata.posterior_table
        self._columns = [model.labels.index(keyword) for keyword in model.keywords]
        self._unheard = [0] * len(self._columns)  # posteriors where the network was not asked
        self._network = model.bind()
        self._window = self._network.input  # [n_mfcc, window_frames], the newest frame last
        self._window_bytes = self._window.reshape(-1)
        self._silence = quantize(np.zeros_like(self._offset), self._offset, self._multiplier)
        self.reset(0)

    def reset(self, origin: int) -> None:
        """Begin at this sample: silence before it, every keyword armed."""
        self._origin = origin  # frames and posteriors are counted from here
        self._frames = 0
        self._decision.reset()
        self._window[...] = self._silence[:, None]

    @property
    def due_samples(self) -> int:
        """The next posterior needs so many samples, counted from the origin."""
        frames = (self._frames // self._stride + 1) * self._stride
        return (frames - 1) * self._hop + FRAME_SAMPLES

    def advance(self, mfcc: Frames, quiet: list[int] | None) -> Iterator[tuple[Step, Detection | None]]:
        """Next [frames, n_mfcc or more] MFCC Q16 -> every step, with the detection if one fired; run it to its end.

        quiet: the run of quiet frames at each frame (dsp/gate.py). A window that is all quiet is not shown to the
        network: its keywords get posteriors of 0.
        """
        features = quantize(mfcc[:, : self._n_mfcc], self._offset, self._multiplier)
        taken = 0
        while taken < len(features):
            some = features[taken : taken + self._stride - self._frames % self._stride]
            taken += len(some)
            self._push(some)
            if self._frames % self._stride == 0:
                yield self._decide(is_quiet=quiet is not None and quiet[taken - 1] >= self.window_frames)

    def _push(self, features: NDArray[np.int8]) -> None:
        """Append [n, n_mfcc] frames, n at most the stride, to the window."""
        count = len(features)
        # All rows in one move: what runs over from the next row is where the new frames go.
        self._window_bytes[:-count] = self._window_bytes[count:]
        self._window[:, -count:] = features.T
        self._frames += count

    def _decide(self, *, is_quiet: bool) -> tuple[Step, Detection | None]:
        if is_quiet:
            posteriors = self._unheard
        else:
            shares = posteriors_of(self._network.run().tolist(), self._table)
            posteriors = [shares[column] for column in self._columns]
        end_sample = self._origin + (self._frames - 1) * self._hop + FRAME_SAMPLES
        step = self._decision.step_of(posteriors, end_sample)
        if step.fired is None or self._keywords[step.fired] not in self._reported:
            return step, None
        start_sample = max(0, end_sample - self.model.metadata.window_samples)
        score = float(step.scores[step.fired])
        return step, Detection(self._keywords[step.fired], score, start_sample, end_sample, self.model.name)
