"""A wake word from its text, and recordings where there are any: spoken, trained, given a threshold, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.app.model import Model
from tinyhark.dsp.tables import LOG_BITS
from tinyhark.dsp.word_bounds import word_bounds

from .phrase_clips import NEAR, OTHER, PHRASE, SPEECH, VALIDATION, speak
from .phrase_measure import Learned, measure
from .phrase_stores import is_held_out, make_scenery, make_stores, recordings_of
from .pipeline import Report
from .recipe import Recipe
from .rounds import train_in_rounds
from .store import STORE_BITS, Store
from .synthesis.takes import Engine, slug

_MADE = {PHRASE, f"{PHRASE}-rooms", NEAR, OTHER, SPEECH, VALIDATION, "recorded", "recorded-rooms"}
_SHORTEST_FRAMES, _LONGEST_FRAMES = 98, 298
_ROOM_TO_MOVE_FRAMES = 36
_SHIFT = LOG_BITS - STORE_BITS


@dataclass(frozen=True)
class Wish:
    """What is to be learnt: a phrase, spoken by engines and, where `recordings` is a folder, by people.

    general: stores of other speech and of noise; those that the recipe names are used where they are there.
    recipe: without name, keyword, window and people to leave out, which are filled in.
    """

    phrase: str
    engines: Sequence[Engine]
    recordings: Path | None
    general: Path
    recipe: Recipe

    @property
    def keyword(self) -> str:
        """The phrase as a label; raises HarkError where it has no letter."""
        keyword = slug(self.phrase)
        if not keyword:
            raise HarkError(f"{self.phrase!r}: nothing that can be spoken; write words in Latin letters")
        return keyword


def train_phrase(wish: Wish, run: Path, path: Path, jobs: int, report: Report) -> Learned:
    """Do all of it in the folder `run`, the model to `path`; goes on where a killed run left off."""
    keyword, stores = wish.keyword, run / "stores"
    recorded = recordings_of(wish.recordings, keyword) if wish.recordings else []
    speak(wish.phrase, wish.engines, run / "clips", lambda done, total: report("speaking", done, total, {}))
    make_scenery(run / "rooms", run / "noise")
    make_stores(
        run / "clips", recorded, run / "rooms", stores, jobs, lambda what, done, total: report(what, done, total, {})
    )
    recipe = recipe_of(wish, stores)
    train_in_rounds(recipe, stores, run, path, report)
    report("measuring", 0, 1, {})
    held_out = [one.file for one in recorded if one.split == VALIDATION]
    return measure(Model.load(path), recipe, stores, run, held_out)


def recipe_of(wish: Wish, stores: Path) -> Recipe:
    """The recipe filled in for the stores there are; the general ones are linked into `stores`.

    One in five speakers of the general stores is left out, to be measured on.
    """
    left_out: set[str] = set()
    there = []
    for spec in wish.recipe.store:
        link, target = stores / spec.path, (wish.general / spec.path).absolute()
        if spec.path not in _MADE and not link.exists() and target.exists():
            link.symlink_to(target)
        if not link.exists():
            continue
        there.append(spec)
        if spec.path not in _MADE:
            left_out |= {clip.who for clip in Store.load(link).clips if is_held_out(clip.who)}
    return replace(
        wish.recipe,
        name=wish.keyword,
        keywords=(wish.keyword,),
        store=tuple(there),
        window_frames=window_for(Store.load(stores / PHRASE)),
        exclude_speakers=tuple(sorted(left_out)),
    )


def window_for(store: Store) -> int:
    """Frames that hold 95 % of the phrases in `store`, with room for positions, in steps of the network's stride."""
    lengths = []
    for clip in store.clips:
        log_mel = store.log_mel[clip.first_frame : clip.first_frame + clip.frames].astype(np.int32) << _SHIFT
        first, last = word_bounds(log_mel)
        lengths.append(last - first + 1)
    wanted = int(np.quantile(lengths, 0.95)) + _ROOM_TO_MOVE_FRAMES
    return min(max(wanted + (-wanted - 2) % 4, _SHORTEST_FRAMES), _LONGEST_FRAMES)
