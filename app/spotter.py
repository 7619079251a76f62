"""The spotter: a stream of sound to detections, the same for every chunking."""

import heapq
import os
from collections.abc import Collection, Iterator, Sequence
from itertools import repeat

import numpy as np

from tinyhark.dsp.decision import Step
from tinyhark.dsp.front_end import Frames, FrontEnd, Samples
from tinyhark.dsp.gate import Gate
from tinyhark.dsp.tables import BANDS, FRAME_SAMPLES, SAMPLE_RATE_HZ

from .detection import Detection
from .detector import Detector
from .errors import HarkError
from .joint_step import JointStep
from .model import DEFAULT_NAME, Model
from .parameters import Override, check_known, parameters_of

ModelLike = Model | str | os.PathLike[str]
Steps = Iterator[tuple[Step, Detection | None]]

_PIECE_SAMPLES = SAMPLE_RATE_HZ  # a long chunk is taken in pieces, so that memory does not grow with it


class Spotter:
    """Hears the keywords of a model, or of several at once, in a stream of 16 kHz int16 sound.

    model: a Model, the name of an installed one, or a path; or a sequence of them, of equal hop, which share the front
    end and decide each for itself. sensitivity: 0 to 1, 0.5 means the model's own thresholds (`threshold_at`).
    threshold, smoothing_ms, rearm, refractory_ms: in place of the model's, one for all keywords or keyword -> value; a
    threshold takes the place of sensitivity, too. exclusion_ms: in place of the model's. keywords: report these alone;
    the other words still compete with them. gate: skip the network where the whole window is quiet. Raises HarkError
    for values out of range and models that do not go together, ModelError for a model that cannot be used.

        spotter = Spotter("commands")
        for chunk in chunks:
            for detection in spotter.feed(chunk):
                print(detection.keyword, detection.time_s)
    """

    def __init__(
        self,
        model: ModelLike | Sequence[ModelLike] = DEFAULT_NAME,
        *,
        sensitivity: float | None = None,
        threshold: Override = None,
        smoothing_ms: Override = None,
        rearm: Override = None,
        refractory_ms: Override = None,
        exclusion_ms: float | None = None,
        keywords: Collection[str] | None = None,
        gate: bool = False,
    ) -> None:
        self.models = _loaded(model)
        self.keywords = [keyword for one in self.models for keyword in one.keywords]
        overrides = {
            "threshold": threshold,
            "smoothing_ms": smoothing_ms,
            "rearm": rearm,
            "refractory_ms": refractory_ms,
        }
        for named in (keywords, *overrides.values()):
            if isinstance(named, Collection):
                check_known(self.models, named)
        level = 0.5 if sensitivity is None else sensitivity
        by_model = [parameters_of(one, level, overrides) for one in self.models]
        self.parameters = [parameters for some in by_model for parameters in some]
        self._detectors = []
        for one, parameters in zip(self.models, by_model, strict=True):
            exclusion = one.metadata.exclusion_ms if exclusion_ms is None else exclusion_ms
            try:
                self._detectors.append(Detector(one, parameters, exclusion, keywords or one.keywords))
            except ValueError as error:
                raise HarkError(str(error)) from error
        hop = self.models[0].metadata.front_end.hop
        # Coefficients do not depend on how many there are: a model that wants fewer takes the first ones.
        self._front_end = FrontEnd(hop, max(one.metadata.front_end.n_mfcc for one in self.models))
        self._gate = Gate(hop) if gate else None
        self._holding = 0  # samples in `_held`, where a stream of short chunks waits for the next posterior
        self._held = np.empty(FRAME_SAMPLES + hop * max(one.metadata.stride_frames for one in self.models), np.int16)
        self.reset()

    @property
    def model(self) -> Model:
        """The model, the first of several."""
        return self.models[0]

    @property
    def name(self) -> str:
        """The model's name, or those of all."""
        return " + ".join(model.name for model in self.models)

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

    def trace(self, chunk: Samples) -> Steps:
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
            yield from self._advance(self._front_end.feed_log_mel(sound))

    def trace_end(self) -> Steps:
        """`finish` step by step; run it to its end."""
        last = self._front_end.feed_log_mel(self._held[: self._holding])
        silence = np.zeros((max(detector.window_frames for detector in self._detectors), BANDS), np.int32)
        yield from self._advance(np.concatenate((last, silence)), len(last))
        self.reset()

    def _begin(self, origin: int) -> None:
        self._origin = origin  # frames and posteriors are counted from here
        self._received = 0
        self._holding = 0
        self._front_end.reset()
        if self._gate:
            self._gate.reset()
        self._newest: list[Step | None] = [None] * len(self._detectors)
        for detector in self._detectors:
            detector.reset(origin)
        self._plan()

    def _plan(self) -> None:
        """The next posterior needs the frames up to this sample."""
        self._due = min(detector.due_samples for detector in self._detectors)

    def _hold(self, piece: Samples) -> None:
        self._held[self._holding : self._holding + len(piece)] = piece
        self._holding += len(piece)

    def _advance(self, log_mel: Frames, sound_frames: int | None = None) -> Steps:
        """Next [frames, 40] log-mel -> the steps of all models by time.

        sound_frames: given where silence follows so many, of which each model takes one window.
        """
        mfcc = self._front_end.cepstrum(log_mel)
        quiet = self._gate.feed(log_mel) if self._gate else None
        steps = [
            detector.advance(mfcc if sound_frames is None else mfcc[: sound_frames + detector.window_frames], quiet)
            for detector in self._detectors
        ]
        yield from steps[0] if len(steps) == 1 else self._joined(steps)
        self._plan()

    def _joined(self, steps: Sequence[Steps]) -> Steps:
        """The steps of several models as one trace, at equal times in the order of the models."""
        numbered = [zip(repeat(index), some) for index, some in enumerate(steps)]
        sizes = tuple(len(model.keywords) for model in self.models)
        for index, (step, detection) in heapq.merge(*numbered, key=lambda one: one[1][0].end_sample):
            self._newest[index] = step
            yield JointStep(tuple(self._newest), sizes, index), detection


def _loaded(model: ModelLike | Sequence[ModelLike]) -> list[Model]:
    """The models, loaded; HarkError where they cannot share a front end."""
    several = [model] if isinstance(model, Model | str | os.PathLike) else list(model)
    if not several:
        raise HarkError("there is no model to listen with; it must be one or more")
    models = [one if isinstance(one, Model) else Model.load(one) for one in several]
    for other in models[1:]:
        hop, other_hop = (one.metadata.front_end.hop for one in (models[0], other))
        if other_hop != hop:
            raise HarkError(
                f"the model {other.name} has a hop of {other_hop} samples and {models[0].name} one of {hop}; models "
                "that listen together must have the same"
            )
    return models
