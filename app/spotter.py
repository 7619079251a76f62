"""The spotter: a stream of sound to detections, the same for every chunking."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import Decision, KeywordParameters, Step
from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.posterior import posteriors_of
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import FRAME_SAMPLES, SAMPLE_RATE_HZ

from .detection import Detection
from .errors import HarkError
from .model import DEFAULT_NAME, Model

LEAST_SENSITIVE, MOST_SENSITIVE = 0.98, 0.05  # thresholds at sensitivity 0 and 1
_PIECE_SAMPLES = SAMPLE_RATE_HZ  # a long chunk is taken in pieces, so that memory does not grow with it


class Spotter:
    """Hears the keywords of a model in a stream of 16 kHz int16 sound.

    model: a Model, the name of an installed one, or a path. sensitivity: 0 to 1, 0.5 means the model's own thresholds
    (`threshold_at`). threshold: one for all keywords, or keyword -> threshold; it takes the place of model and
    sensitivity. smoothing_ms, rearm, refractory_ms, exclusion_ms: in place of the model's. keywords: report these
    alone; the model's other words still compete with them. Raises HarkError for values out of range, ModelError for a
    model that cannot be used.

        spotter = Spotter("commands")
        for chunk in chunks:
            for detection in spotter.feed(chunk):
                print(detection.keyword, detection.time_s)
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str] = DEFAULT_NAME,
        *,
        sensitivity: float | None = None,
        threshold: float | Mapping[str, float] | None = None,
        smoothing_ms: float | None = None,
        rearm: float | None = None,
        refractory_ms: float | None = None,
        exclusion_ms: float | None = None,
        keywords: Collection[str] | None = None,
    ) -> None:
        self.model = model if isinstance(model, Model) else Model.load(model)
        metadata = self.model.metadata
        self.keywords = self.model.keywords
        self._reported = _known(self.model, keywords) if keywords else frozenset(self.keywords)
        changes = {"smoothing_ms": smoothing_ms, "rearm": rearm, "refractory_ms": refractory_ms}
        self.parameters = _parameters(self.model, sensitivity, threshold, changes)
        self._hop, self._stride = metadata.front_end.hop, metadata.stride_frames
        exclusion = metadata.exclusion_ms if exclusion_ms is None else exclusion_ms
        try:
            self._decision = Decision(self.parameters, self._stride * self._hop, exclusion)
        except ValueError as error:
            raise HarkError(str(error)) from error
        self._front_end = FrontEnd(self._hop, metadata.front_end.n_mfcc)
        self._offset, self._multiplier = np.array(metadata.offset), np.array(metadata.multiplier)
        self._table = metadata.posterior_table
        self._columns = [self.model.labels.index(keyword) for keyword in self.keywords]
        self._network = self.model.bind()
        self._window = self._network.input  # [n_mfcc, window_frames], the newest frame last
        self._window_bytes = self._window.reshape(-1)
        self._silence = quantize(np.zeros_like(self._offset), self._offset, self._multiplier)
        self._holding = 0  # samples in `_held`, where a stream of short chunks waits for the next posterior
        self._held = np.empty(FRAME_SAMPLES + self._stride * self._hop, np.int16)
        self.reset()

    def reset(self) -> None:
        """Start a new stream: sample 0, silence before it, every keyword armed."""
        self._begin(0)

    def skip(self, samples: int) -> None:
        """Tell that `samples` of the stream were lost: time jumps, the window is silence, decisions start afresh."""
        if samples < 0:
            raise ValueError(f"samples is {samples}; it must be 0 or more")
        self._begin(self.position_samples + samples)

    @property
    def position_samples(self) -> int:
        """How far the stream has come: samples fed and skipped since its start."""
        return self._origin + self._received

    def feed(self, chunk: Samples) -> list[Detection]:
        """The next [n] int16 of the stream, any n -> what was heard; ValueError for sound that is not [n] int16."""
        return [detection for _, detection in self.trace(chunk) if detection]

    def finish(self) -> list[Detection]:
        """End the stream with a window of silence -> what was heard last; the spotter is as new afterwards."""
        return [detection for _, detection in self.trace_end() if detection]

    def trace(self, chunk: Samples) -> Iterator[tuple[Step, Detection | None]]:
        """`feed` step by step: what was decided for each window, and the detection if one fired; run it to its end."""
        if chunk.dtype != np.int16 or chunk.ndim != 1:
            raise ValueError(f"sound is {chunk.dtype} of shape {chunk.shape}; it must be int16 of shape [samples]")
        for first in range(0, len(chunk), _PIECE_SAMPLES):
            piece = chunk[first : first + _PIECE_SAMPLES]
            self._received += len(piece)
            if self._received < self._due:
                self._hold(piece)
                continue
            sound = np.concatenate((self._held[: self._holding], piece)) if self._holding else piece
            self._holding = 0
            yield from self._advance(self._features(sound))

    def trace_end(self) -> Iterator[tuple[Step, Detection | None]]:
        """`finish` step by step; run it to its end."""
        last = self._features(self._held[: self._holding])
        yield from self._advance(np.concatenate((last, np.tile(self._silence, (self._window.shape[1], 1)))))
        self.reset()

    def _begin(self, origin: int) -> None:
        self._origin = origin  # frames and posteriors are counted from here
        self._received = 0
        self._frames = 0
        self._holding = 0
        self._front_end.reset()
        self._decision.reset()
        self._window[...] = self._silence[:, None]
        self._plan()

    def _plan(self) -> None:
        """The next posterior needs the frames up to this sample."""
        frames = (self._frames // self._stride + 1) * self._stride
        self._due = (frames - 1) * self._hop + FRAME_SAMPLES

    def _hold(self, piece: Samples) -> None:
        self._held[self._holding : self._holding + len(piece)] = piece
        self._holding += len(piece)

    def _features(self, sound: Samples) -> NDArray[np.int8]:
        """Next sound of the stream -> the [frames, n_mfcc] int8 that it completes."""
        return quantize(self._front_end.feed(sound), self._offset, self._multiplier)

    def _advance(self, features: NDArray[np.int8]) -> Iterator[tuple[Step, Detection | None]]:
        taken = 0
        while taken < len(features):
            some = features[taken : taken + self._stride - self._frames % self._stride]
            taken += len(some)
            self._push(some)
            if self._frames % self._stride == 0:
                yield self._decide()
        self._plan()

    def _push(self, features: NDArray[np.int8]) -> None:
        """Append [n, n_mfcc] frames, n at most the stride, to the window."""
        count = len(features)
        # All rows in one move: what runs over from the next row is where the new frames go.
        self._window_bytes[:-count] = self._window_bytes[count:]
        self._window[:, -count:] = features.T
        self._frames += count

    def _decide(self) -> tuple[Step, Detection | None]:
        shares = posteriors_of(self._network.run().tolist(), self._table)
        end_sample = self._origin + (self._frames - 1) * self._hop + FRAME_SAMPLES
        step = self._decision.step_of([shares[column] for column in self._columns], end_sample)
        if step.fired is None or self.keywords[step.fired] not in self._reported:
            return step, None
        start_sample = max(0, end_sample - self.model.metadata.window_samples)
        score = float(step.scores[step.fired])
        return step, Detection(self.keywords[step.fired], score, start_sample, end_sample, self.model.name)


def threshold_at(sensitivity: float, threshold: float) -> float:
    """A threshold at a sensitivity: from 0.98 at 0 straight to the model's `threshold` at 0.5, and on to 0.05 at 1."""
    if sensitivity <= 0.5:
        return threshold + (1 - 2 * sensitivity) * max(0.0, LEAST_SENSITIVE - threshold)
    return threshold - (2 * sensitivity - 1) * max(0.0, threshold - MOST_SENSITIVE)


def _parameters(
    model: Model,
    sensitivity: float | None,
    threshold: float | Mapping[str, float] | None,
    changes: Mapping[str, float | None],
) -> list[KeywordParameters]:
    """What decides, keyword by keyword: the model's parameters with what the user changed."""
    if sensitivity is not None and not 0 <= sensitivity <= 1:
        raise HarkError(f"sensitivity is {sensitivity}; it must be 0 to 1")
    if isinstance(threshold, Mapping):
        _known(model, threshold)
        own: Mapping[str, float] = threshold
    else:
        own = {} if threshold is None else dict.fromkeys(model.keywords, threshold)
    out = []
    for keyword in model.keywords:
        spec = model.metadata.keywords[keyword]
        chosen = own.get(keyword, threshold_at(0.5 if sensitivity is None else sensitivity, spec.threshold))
        values: dict[str, Any] = {
            name: getattr(spec, name) if value is None else value for name, value in changes.items()
        }
        try:
            out.append(KeywordParameters(threshold=chosen, **values))
        except ValueError as error:
            raise HarkError(f"{keyword}: {error}") from error
    return out


def _known(model: Model, keywords: Collection[str]) -> frozenset[str]:
    unknown = sorted(set(keywords) - set(model.keywords))
    if unknown:
        raise HarkError(f"the model {model.name} has no keyword '{unknown[0]}'; it has {', '.join(model.keywords)}")
    return frozenset(keywords)
