"""All clips that a recipe draws from, in one table: where their features lie, where the word is, how loud it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.tables import LOG_BITS
from tinyhark.dsp.word_bounds import word_bounds

from .recipe import Recipe
from .store import OPEN_LICENCES, STORE_BITS, Clip, LogMelQ8, Store, to_q8

Index = NDArray[np.int64]

SECOND = 16_000
NARROWER_DB = (20.0, 15.0, 10.0, 6.0, 3.0)  # instead of 30, where a word's bounds leave a window too little room
MOST_OF_A_WINDOW = 0.75
CORE_DB = 15.0  # in a noisy recording all of it is within 30 dB of the peak; what is within 15 is the word itself


@dataclass(frozen=True)
class Group:
    """Clips that are drawn together: `ids` into the pool with the probability `p` of each."""

    ids: Index
    p: NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """log_mel: [frames, 40] int16 Q8; the arrays: one entry a clip, in frames; level: log2 of its mean band sum.

    A word lies within 30 dB of its clip's peak, its core within 15 dB.
    """

    log_mel: LogMelQ8
    start: Index
    frames: Index
    word_first: Index
    word_last: Index
    core_first: Index
    core_last: Index
    level: NDArray[np.float64]
    keywords: tuple[Group, ...]
    any_keyword: Group
    unknown: Group
    speech: Group
    noise: Group
    clips: tuple[Clip, ...]


def build_pool(recipe: Recipe, stores: Path) -> Pool:
    """Gather the recipe's stores from the folder `stores`; raises HarkError for what is missing or not allowed."""
    blocks: list[LogMelQ8] = []
    clips: list[Clip] = []
    uses: list[str] = []
    weights: list[float] = []
    synthetic: list[bool] = []
    for spec in recipe.store:
        store = Store.load(stores / spec.path)
        _check_licence(recipe, store)
        blocks.append(np.asarray(store.log_mel))
        clips += store.clips
        uses += [spec.use] * len(store.clips)
        weights += [spec.weight] * len(store.clips)
        synthetic += [spec.synthetic] * len(store.clips)
    for name, made in made_noise(recipe.seed):
        blocks.append(made)
        clips.append(Clip("_silence_", "", "made", "own", "train", name, 0, len(made)))
        uses.append("noise")
        weights.append(20.0)
        synthetic.append(True)
    frames = np.array([clip.frames for clip in clips])
    start = np.concatenate([[0], np.cumsum(frames)[:-1]])
    log_mel = np.concatenate(blocks)
    usable = np.array([*map(usable_in(recipe), clips)])
    bounds, level = _words(log_mel, start, frames)
    use, weight = np.array(uses), np.array(weights)
    label = np.array([clip.label for clip in clips])
    is_word = (use == "words") & usable
    keyword = np.isin(label, recipe.keywords)
    _narrow(bounds, np.flatnonzero(is_word & keyword & (frames > recipe.window_frames)), log_mel, start, frames, recipe)
    groups = []
    for name in recipe.keywords:
        ids = np.flatnonzero(is_word & (label == name))
        if not len(ids):
            raise HarkError(f"recipe {recipe.name}: no clips of the keyword {name!r} in its stores")
        groups.append(Group(ids, _blended(weight[ids], np.array(synthetic)[ids], recipe.classes.synthetic)))
    other = np.flatnonzero(is_word & ~keyword)
    if not len(other):
        raise HarkError(f"recipe {recipe.name}: no words beside its keywords in its stores; unknown needs them")
    return Pool(
        log_mel,
        start,
        frames,
        bounds[:, 0],
        bounds[:, 1],
        bounds[:, 2],
        bounds[:, 3],
        level,
        tuple(groups),
        _joined(groups),
        Group(other, _label_balance(label[other], weight[other], recipe.classes.label_power)),
        _by_length(np.flatnonzero((use == "speech") & usable), frames, weight, recipe.name, "speech"),
        _by_length(np.flatnonzero((use == "noise") & usable), frames, weight, recipe.name, "noise"),
        tuple(clips),
    )


def _check_licence(recipe: Recipe, store: Store) -> None:
    if recipe.licence != "Apache-2.0":
        return
    closed = sorted({clip.licence for clip in store.clips} - OPEN_LICENCES)
    if closed:
        raise HarkError(
            f"{store.path}: licence {', '.join(closed)} does not allow Apache-2.0 weights; "
            f"allowed are {', '.join(sorted(OPEN_LICENCES))}"
        )


def usable_in(recipe: Recipe) -> Callable[[Clip], bool]:
    """Whether a recipe may train on a clip: split train, and neither its label nor its speaker left out."""
    labels, speakers = frozenset(recipe.ignore_labels), frozenset(recipe.exclude_speakers)

    def usable(clip: Clip) -> bool:
        return clip.split == "train" and clip.label not in labels and clip.who not in speakers

    return usable


def _words(log_mel: LogMelQ8, start: Index, frames: Index) -> tuple[Index, NDArray[np.float64]]:
    """First and last frame of each word and of its core, [clips, 4]; the word's level, [clips]."""
    bounds, level = np.zeros((len(start), 4), np.int64), np.zeros(len(start))
    for i, (begin, count) in enumerate(zip(start.tolist(), frames.tolist(), strict=True)):
        clip = log_mel[begin : begin + count].astype(np.int32) << (LOG_BITS - STORE_BITS)
        first, last = word_bounds(clip)
        bounds[i] = first, last, *word_bounds(clip, CORE_DB)
        level[i] = np.log2(np.exp2(clip[first : last + 1] * 2.0**-LOG_BITS).sum(axis=1).mean())
    return bounds, level


def _narrow(bounds: Index, ids: Index, log_mel: LogMelQ8, start: Index, frames: Index, recipe: Recipe) -> None:
    """Where noise lies within 30 dB of a long clip's word, draw its bounds in, so that a window holds all of it."""
    for i in ids.tolist():
        clip = log_mel[start[i] : start[i] + frames[i]].astype(np.int32) << (LOG_BITS - STORE_BITS)
        for range_db in NARROWER_DB:
            if bounds[i, 1] - bounds[i, 0] < MOST_OF_A_WINDOW * recipe.window_frames:
                break
            bounds[i, :2] = word_bounds(clip, range_db)
        bounds[i, 2:] = np.clip(bounds[i, 2:], bounds[i, 0], bounds[i, 1])


def _label_balance(labels: NDArray[np.str_], weight: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Probabilities by which a label of n clips is drawn in proportion to n ** power."""
    names, inverse = np.unique(labels, return_inverse=True)
    total = np.bincount(inverse, weight, minlength=len(names))
    p = np.asarray(weight * total[inverse] ** (power - 1), np.float64)
    return np.asarray(p / p.sum())


def _blended(weight: NDArray[np.float64], synthetic: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Probabilities by which synthetic clips are drawn in `share` of all cases, where there are both kinds."""
    p = np.asarray(weight / weight.sum(), np.float64)
    if synthetic.any() and not synthetic.all():
        p[synthetic] *= share / p[synthetic].sum()
        p[~synthetic] *= (1 - share) / p[~synthetic].sum()
    return p


def _joined(groups: list[Group]) -> Group:
    """All groups as one, each as likely as the others."""
    return Group(np.concatenate([g.ids for g in groups]), np.concatenate([g.p for g in groups]) / len(groups))


def _by_length(ids: Index, frames: Index, weight: NDArray[np.float64], recipe: str, use: str) -> Group:
    if not len(ids):
        raise HarkError(f"recipe {recipe}: needs at least one store with use = {use!r}")
    p = weight[ids] * frames[ids]
    return Group(ids, p / p.sum())


def made_noise(seed: int) -> list[tuple[str, LogMelQ8]]:
    """Noise that needs no recording: ten seconds each of noise with eight spectra (white, pink, brown, bands, hum)."""
    rng = np.random.default_rng([seed, 0x6E6F])
    samples = 10 * SECOND
    hz = np.fft.rfftfreq(samples, 1 / SECOND)
    shapes = {
        "white": np.ones_like(hz),
        "pink": 1 / np.sqrt(np.maximum(hz, 20)),
        "brown": 1 / np.maximum(hz, 20),
        "blue": np.sqrt(hz),
        "low": 1 / (1 + (hz / 300) ** 2),
        "middle": np.exp(-(((hz - 1000) / 600) ** 2)),
        "high": 1 / (1 + ((8000 - hz) / 2000) ** 2),
        "hum": np.exp(-(((hz % 50) / 1.5) ** 2)) / np.maximum(hz, 50) + 1e-6,
    }
    front_end, made = FrontEnd(), []
    for name, shape in shapes.items():
        spectrum = shape * (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz)))
        sound = np.fft.irfft(spectrum, samples)
        audio: Samples = np.round(sound / np.abs(sound).max() * 16_000).astype(np.int16)
        made.append((name, to_q8(front_end.log_mel(audio))))
    return made
