"""All clips that a recipe draws from, in one table: where their features lie, where the word is, how loud it is."""

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
    usable = np.array([_usable(recipe, clip) for clip in clips])
    bounds, level = _words(log_mel, start, frames)
    use, weight = np.array(uses), np.array(weights)
    label = np.array([clip.label for clip in clips])
    is_word = (use == "words") & usable
    keyword = np.isin(label, recipe.keywords)
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


def _usable(recipe: Recipe, clip: Clip) -> bool:
    return (
        clip.split == "train" and clip.label not in recipe.ignore_labels and clip.speaker not in recipe.exclude_speakers
    )


def _words(log_mel: LogMelQ8, start: Index, frames: Index) -> tuple[Index, NDArray[np.float64]]:
    """First and last frame of each word and of its core, [clips, 4]; the word's level, [clips]."""
    bounds, level = np.zeros((len(start), 4), np.int64), np.zeros(len(start))
    for i, (begin, count) in enumerate(zip(start.tolist(), frames.tolist(), strict=True)):
        clip = log_mel[begin : begin + count].astype(np.int32) << (LOG_BITS - STORE_BITS)
        first, last = word_bounds(clip)
        bounds[i] = first, last, *word_bounds(clip, CORE_DB)
        level[i] = np.log2(np.exp2(clip[first : last + 1] * 2.0**-LOG_BITS).sum(axis=1).mean())
    return bounds, level


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
