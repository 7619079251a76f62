"""Hard negatives: what a model takes for a keyword, found by running it over the training data without keywords."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinyhark.app.model import Model
from tinyhark.dsp.replay import Replay

from .listening import joined, posteriors_over
from .pool import usable_in
from .recipe import Recipe, StoreSpec
from .store import Clip, LogMelQ8, Store, write_store

MARGIN_FRAMES = 20  # on both sides of the window that fired, so that it is drawn at other positions, too

Found = tuple[Clip, LogMelQ8]


def mined_store(path: Path, weight: float) -> StoreSpec:
    """The mined stretches at `path` as a store of a recipe: connected speech, drawn `weight` times as often."""
    return StoreSpec(path=str(path.resolve()), use="speech", weight=weight)


def mine(model: Model, recipe: Recipe, stores: Path, out: Path, advance: Callable[[int, int], None]) -> int:
    """Write a store of what the recipe trains on and the model wrongly hears; returns how many stretches it holds.

    Each recording is heard once, in the first store that has it. `advance` gets stores done and in all. Where nothing
    fires there is no store.
    """
    usable = usable_in(recipe)
    heard: set[tuple[str, str]] = set()
    found: list[Found] = []

    def wanted(clip: Clip) -> bool:
        return usable(clip) and clip.label not in recipe.keywords and (clip.origin, clip.recording) not in heard

    for number, spec in enumerate(recipe.store):
        advance(number, len(recipe.store))
        if not spec.mine:
            continue
        clips, log_mel = joined(Store.load(stores / spec.path), wanted)
        heard.update((clip.origin, clip.recording) for clip in clips)
        if clips:
            found += _stretches(model, clips, log_mel, recipe.mining.threshold)
    if found:
        write_store(out, found, f"mined by {model.name}")
    advance(len(recipe.store), len(recipe.store))
    return len(found)


def _stretches(model: Model, clips: list[Clip], log_mel: LogMelQ8, threshold: float) -> Iterator[Found]:
    """What fires in a stream of clips, each as a clip of its own, named after the one in the middle of the window."""
    m = model.metadata
    parameters = [m.keywords[keyword].parameters() for keyword in model.keywords]
    shares = posteriors_over(model, log_mel)
    replay = Replay(shares, parameters, m.stride_frames * m.front_end.hop, m.exclusion_ms)
    ends = np.cumsum([clip.frames for clip in clips])
    for firing in replay.firings([threshold] * len(parameters)):
        first = firing.step * m.stride_frames
        source = clips[int(np.searchsorted(ends, first + m.window_frames // 2, side="right"))]
        stretch = log_mel[max(0, first - MARGIN_FRAMES) : first + m.window_frames + MARGIN_FRAMES]
        yield replace(source, label="_unknown_"), stretch
