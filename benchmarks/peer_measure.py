"""Streams heard by peers, and by tinyhark, judged by one rule: `dsp/matching.py`, as in `hark eval stream`.

A peer that gives scores fires when its score reaches the threshold, and again once the score has been below it and a
second has passed: its library leaves that to the program around it. One that decides for itself is taken at its word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from peer_spotters import Peer

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import Farm
from tinyhark.app.evaluation.measurement import Judged, Measurement
from tinyhark.app.evaluation.scores import Heard, Scores
from tinyhark.app.evaluation.streams import Stream, render, words_of
from tinyhark.app.model import Model
from tinyhark.dsp.decision import KeywordParameters
from tinyhark.dsp.operating import grid, outcomes
from tinyhark.dsp.posterior import POSTERIOR_BITS
from tinyhark.dsp.replay import Firing, Replay, Timing
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

_RULE = KeywordParameters(threshold=0.5, smoothing_ms=0, rearm=1.0, refractory_ms=1000)
_SILENCE = np.zeros(3 * SAMPLE_RATE_HZ // 2, np.int16)  # ends each stream, as for tinyhark


class Fired:
    """What a peer fired at each of its settings, in the place of a `Replay`; fired: [steps, settings x words]."""

    def __init__(self, fired: NDArray[np.uint16], settings: Sequence[float]) -> None:
        self._fired = fired.reshape(len(fired), len(settings), -1) > 0
        self._settings = settings

    def firings(self, setting: Sequence[float]) -> list[Firing]:
        """In time order; all of `setting` are the same."""
        steps, words = np.nonzero(self._fired[:, self._settings.index(setting[0])])
        return [Firing(word, step) for step, word in zip(steps.tolist(), words.tolist(), strict=True)]


@dataclass(frozen=True)
class _Scoring:
    """The work of one stream, in any process."""

    peer: Peer

    def __call__(self, stream: Stream) -> Scores | str:
        try:
            return score(self.peer, stream)
        except HarkError as error:
            return str(error)


def score(peer: Peer, stream: Stream) -> Scores:
    """The peer's scores in Q15, one row every `step_samples`; no new one: the last one holds."""
    sound = render(stream)
    feed, size = peer.feed(peer.settings), 2 * peer.step_samples
    row = np.zeros(len(peer.words) * max(1, len(peer.settings)))
    rows, rest, samples = [], b"", 0
    for block in chain(sound.blocks, [_SILENCE]):
        samples += len(block)
        data = rest + block.tobytes()
        whole = len(data) // size * size
        for first in range(0, whole, size):
            if new := feed(data[first : first + size]):
                row = np.max(new, axis=0)
            rows.append(row)
        rest = data[whole:]
    q15 = np.rint(np.clip(rows, 0, 1) * (1 << POSTERIOR_BITS)).astype(np.uint16)
    samples -= len(_SILENCE)
    return Scores(q15, samples, sound.silence.samples, tuple(sound.spans), tuple(sound.words), tuple(sound.problems))


def hear_peer(
    peer: Peer, streams: Sequence[Stream], cache: Cache, farm: Farm, advance: Callable[[float], None]
) -> list[Heard]:
    """`scores.hear` for a peer; raises HarkError where a stream cannot be heard: all must hear the same."""
    key = f"{peer.name} {peer.version} {peer.words} {peer.settings}"
    found: list[Scores | None] = []
    for stream in streams:
        kept = cache.load(key, stream)
        found.append(Scores(**kept) if kept else None)
    missing = [place for place, scores in enumerate(found) if scores is None]
    advance(len(streams) - len(missing))
    for place, result in farm(_Scoring(peer), [streams[place] for place in missing]):
        if isinstance(result, str) or result.problems:
            raise HarkError(result if isinstance(result, str) else result.problems[0])
        found[missing[place]] = result
        cache.store(key, streams[missing[place]], result)
        advance(1)
    timing = Timing(peer.step_samples, peer.step_samples)
    pairs = [(stream, scores) for stream, scores in zip(streams, found, strict=True) if scores is not None]
    return [Heard(s, scores, words_of(s, scores.spans, scores.words), timing) for s, scores in pairs]


def judge_peer(peer: Peer, heard: Sequence[Heard]) -> Measurement:
    """At all its settings, or over all thresholds; its default is the setting in use."""
    words = list(peer.words)
    at = peer.settings or [setting[0] for setting in grid(1)]
    settings = [(value,) * len(words) for value in (*at, peer.default)]
    judged = []
    for one in heard:
        replay: Replay | Fired = (
            Fired(one.scores.posteriors, peer.settings) if peer.settings else one.replay([_RULE] * len(words), 0)
        )
        labels = [word.label for word in one.words]
        judged.append(Judged(one, outcomes(replay, one.timing, labels, words, settings)))
    return Measurement(words, [], 0, settings, judged)


def judge_ours(folds: Sequence[tuple[Model, Sequence[Heard]]]) -> Measurement:
    """Every fold as its model hears it, at its own parameters and over all thresholds, as one measurement."""
    by_fold = []
    for model, heard in folds:
        parameters = [model.metadata.keywords[word].parameters() for word in model.keywords]
        by_fold.append(Measurement.of(heard, model.keywords, parameters, model.metadata.exclusion_ms))
    first = by_fold[0]
    if any(one.keywords != first.keywords for one in by_fold):
        raise HarkError("the models of the folds have different keywords; they must have the same")
    judged = [one for fold in by_fold for one in fold.judged]
    return Measurement(first.keywords, first.parameters, first.exclusion_ms, first.settings, judged)
