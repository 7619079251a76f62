"""Streams to posteriors, each heard once: through front end and network, or out of the cache."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.operating import SAMPLES_PER_HOUR
from tinyhark.dsp.posterior import posteriors
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.replay import Replay, Timing
from tinyhark.dsp.tables import FRAME_SAMPLES

from ..errors import HarkError
from ..model import Codes, Model
from .batch import Batch
from .cache import Cache, digest_of
from .farm import Farm
from .streams import Bounds, Stream, Word, labels_beyond, render, words_of

Posteriors = NDArray[np.uint16]  # [steps, keywords] Q15


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model makes of a stream: all that decides, at any threshold.

    posteriors: [steps, keywords] uint16 Q15, raw, the same as in `Spotter`, with those of the silence that ends the
    stream; samples: its length; silent: so many of them are digital silence; spans, words: where its clips and their
    words lie, as in `streams.Rendered`; problems: a line for each file that could not be read.
    """

    posteriors: Posteriors
    samples: int
    silent: int
    spans: tuple[Bounds, ...]
    words: tuple[Bounds, ...]
    problems: tuple[str, ...] = ()

    @property
    def lived(self) -> int:
        """Samples that count as hours: nobody is heard by a microphone that is off."""
        return self.samples - self.silent


@dataclass(frozen=True, slots=True)
class Heard:
    """A stream with its scores, the words that were said in it, in time order, and when its steps end."""

    stream: Stream
    scores: Scores
    words: list[Word]
    timing: Timing

    def replay(self, parameters: Sequence[KeywordParameters], exclusion_ms: float) -> Replay:
        """Its posteriors ready to be decided at any thresholds; parameters: one entry a keyword of the model."""
        return Replay(self.scores.posteriors, parameters, self.timing.stride_samples, exclusion_ms)


def silence_in(heard: Iterable[Heard]) -> Iterator[str]:
    """A line on digital silence in sound that counts as hours; nothing where there is none."""
    found = [one for one in heard if one.stream.is_life and one.scores.silent]
    if found:
        most = max(found, key=lambda one: one.scores.silent).stream
        place = os.path.commonpath([clip.path for clip in most.clips])  # of short files joined it is their folder
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        hours = sum(one.scores.silent for one in found) / SAMPLES_PER_HOUR
        length = f"{hours:.2f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
        yield (
            f"{place}{others}: {length} of digital silence, a microphone that was off; they do not count as "
            "hours without a false accept"
        )


def timing_of(model: Model) -> Timing:
    """When the steps of a model's posteriors end."""
    hop, stride = model.metadata.front_end.hop, model.metadata.stride_frames
    return Timing((stride - 1) * hop + FRAME_SAMPLES, stride * hop)


def hear(
    model: Model, streams: Sequence[Stream], cache: Cache, farm: Farm, advance: Callable[[float], None]
) -> tuple[list[Heard], list[str]]:
    """Score streams, from the cache where they are in it; -> those that could be heard, in order, and the problems.

    farm: where the work is done (`farm.here`, `farm.on_cores`, `farm.on_dask`); advance: called with 1 for each stream.
    Each is kept as soon as it is scored, so an interrupted run goes on where it was.
    """
    work = _Scoring(model.path.absolute(), digest_of(model.path))
    found: dict[int, Scores] = {}
    missing: list[int] = []
    for index, stream in enumerate(streams):
        kept = cache.load(work.digest, stream)
        if kept is None:
            missing.append(index)
        else:
            found[index] = Scores(**kept)
            advance(1)
    problems: set[str] = set()
    for place, result in farm(work, [streams[index] for index in missing]):
        if isinstance(result, str):
            problems.add(result)
        else:
            if result.samples:  # else no file of it could be read
                found[missing[place]] = result
            problems.update(result.problems)
            cache.store(work.digest, streams[missing[place]], result)
        advance(1)
    timing = timing_of(model)
    heard = [
        Heard(streams[index], one, words_of(streams[index], one.spans, one.words), timing)
        for index, one in sorted(found.items())
    ]
    problems.update(line for one in heard for line in labels_beyond(one.stream, one.scores.samples))
    return heard, sorted(problems)


@dataclass(frozen=True, slots=True)
class _Scoring:
    """The work: a stream to its scores, or to the line that says why not; it may run in another process or machine."""

    model: Path
    digest: str

    def __call__(self, stream: Stream) -> Scores | str:
        try:
            return score(_load(self.model, self.digest), stream)
        except HarkError as error:
            return str(error)


@lru_cache(maxsize=1)
def _load(path: Path, digest: str) -> Model:
    """A worker keeps its model; the digest tells one that was replaced meanwhile."""
    if digest_of(path) != digest:
        raise HarkError(f"{path}: differs from the model that was asked for; all machines must see the same files")
    return Model.load(path)


def score(model: Model, stream: Stream) -> Scores:
    """Hear a stream; raises AudioError where its noise cannot be read."""
    sound = render(stream)
    codes, samples = codes_of(model, sound.blocks)
    table = np.array(model.metadata.posterior_table)
    columns = [model.labels.index(keyword) for keyword in model.keywords]
    shares = posteriors(codes, table)[:, columns].astype(np.uint16)
    return Scores(shares, samples, sound.silence.samples, tuple(sound.spans), tuple(sound.words), tuple(sound.problems))


def codes_of(model: Model, blocks: Iterable[Samples]) -> tuple[Codes, int]:
    """A stream of int16 blocks of any size -> [steps, labels] logit codes, one row each stride, and its samples.

    The window before the stream and after it is silence. In long blocks this costs less than feeding a `Spotter`.
    """
    m = model.metadata
    network = Batch(model)
    front_end = FrontEnd(m.front_end.hop, m.front_end.n_mfcc)
    offset, multiplier = np.array(m.offset), np.array(m.multiplier)
    silence = quantize(np.zeros((m.window_frames, m.front_end.n_mfcc), np.int64), offset, multiplier).T
    columns = silence[:, m.stride_frames :]  # [n_mfcc, frames]: from the start of the next window on
    codes: list[Codes] = []
    samples = 0
    for block in blocks:
        samples += len(block)
        columns = np.concatenate((columns, quantize(front_end.feed(block), offset, multiplier).T), axis=1)
        steps = (columns.shape[1] - m.window_frames) // m.stride_frames + 1
        if whole := steps // network.windows * network.windows:
            codes.append(network.codes(columns[:, : (whole - 1) * m.stride_frames + m.window_frames]))
            columns = columns[:, whole * m.stride_frames :]
    codes.append(network.codes(np.concatenate((columns, silence), axis=1)))
    return np.concatenate(codes), samples
