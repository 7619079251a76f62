"""Clips that a run was told to leave out, by label, speaker or recording, and how its model takes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.model import Model

from .mixing import FEATURE_SCALE, Normalisation
from .recipe import Recipe
from .store import Clip, LogMelQ8, Store
from .validation import window_of


@dataclass(frozen=True)
class HeldOut:
    """Of `count` clips of `label`: how many got that very label, and how many another keyword."""

    label: str
    count: int
    right: int
    taken_for_keyword: int


def codes_of_clip(model: Model, recipe: Recipe, log_mel: LogMelQ8) -> NDArray[np.int8]:
    """[frames, 40] Q8 -> [labels] int8 codes of the model for the clip."""
    metadata = model.metadata
    normalisation = Normalisation(np.array(metadata.offset, np.int32), np.array(metadata.multiplier, np.int16))
    window = (window_of(log_mel, recipe, normalisation) / FEATURE_SCALE).numpy().astype(np.int8)
    return model.infer(window)


def recorded_clips(recipe: Recipe, stores: Path) -> Iterable[tuple[Clip, LogMelQ8]]:
    """Every recording in the recipe's word stores and its validation, once, as it was recorded.

    Recordings have a known speaker, or are left out by their own names; speech that a machine spoke is neither.
    """
    seen: set[tuple[str, str]] = set()
    left_out = frozenset(recipe.exclude_speakers)
    paths = [spec.path for spec in recipe.store if spec.use == "words"]
    for path in (*paths, recipe.validation):
        store = Store.load(stores / path)
        for clip in store.clips:
            key = (clip.origin, clip.recording)
            if (clip.speaker or clip.recording in left_out) and key not in seen:
                seen.add(key)
                yield clip, np.asarray(store.log_mel[clip.first_frame : clip.first_frame + clip.frames])


def judge_held_out(model: Model, recipe: Recipe, stores: Path, labels: Iterable[str]) -> list[HeldOut]:
    """The model's answers for recordings of `labels` and of the recipe's excluded speakers, by label."""
    wanted, keywords, left_out = set(labels), set(recipe.keywords), frozenset(recipe.exclude_speakers)
    counts: dict[str, list[int]] = {}
    for clip, log_mel in recorded_clips(recipe, stores):
        if clip.label not in wanted and clip.who not in left_out:
            continue
        winner = model.labels[int(codes_of_clip(model, recipe, log_mel).argmax())]
        count = counts.setdefault(clip.label, [0, 0, 0])
        count[0] += 1
        count[1] += winner == clip.label
        count[2] += winner in keywords and winner != clip.label
    return [HeldOut(label, *counts[label]) for label in sorted(counts)]
