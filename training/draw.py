"""What goes into each window of a batch: classes, clips, positions, levels; `mixing` makes the features of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.tables import BANDS, band_centres_hz

from .pool import Group, Index, Pool
from .recipe import AugmentationSpec, Range, Recipe

Floats = NDArray[np.float64]

SILENCE, UNKNOWN = 0, 1  # labels; the keywords follow
MOST_OF_A_PIECE = 0.45  # so little of a keyword is none
STRANGE_LOG2 = (-0.8, 0.8)  # of pitch and rate, where they are those of no speaker
DB_PER_LOG2 = 10 * np.log10(2)
# Level (log2 of the band sum over the floor of 2**8) of a sound whose RMS is full scale, 2**15: by Parseval the 257
# bins of 512 points hold 256 * 512 times its power, of which the window leaves 3/8.
FULL_SCALE_LEVEL = 2 * 15 + np.log2(256 * 512 * 3 / 8) - 8


@dataclass(frozen=True)
class Placed:
    """Clips laid into windows, one each: frame `anchor` of clip `ids` lies at window frame `at`; power scale 2**gain.

    From `first` to `last` (clip frames) is heard, over and over where `endless`. A negative rate runs backwards.
    """

    ids: Index
    anchor: Floats
    at: Floats
    rate: Floats
    gain: Floats
    heard: NDArray[np.bool_]
    first: Floats
    last: Floats
    endless: bool = False


@dataclass(frozen=True)
class Draw:
    """A batch before it is mixed; arrays have one entry a window."""

    label: Index
    word: Placed
    before: Placed
    after: Placed
    noise: Placed
    pitch: Floats
    fill: NDArray[np.bool_]
    gain: Floats
    colour: Floats  # [batch, 40] log2 of power
    line: Floats  # the same, of all that is heard, noise too
    masks: Index  # [batch, 4]: first frame, frames, first band, bands


def _choose(rng: np.random.Generator, group: Group, count: int) -> Index:
    return group.ids[np.searchsorted(np.cumsum(group.p), rng.random(count) * 0.999999)]


def _between(rng: np.random.Generator, bounds: Range, count: int) -> Floats:
    return rng.uniform(bounds[0], bounds[1], count)


def _labels(rng: np.random.Generator, recipe: Recipe, count: int) -> Index:
    keywords = len(recipe.keywords)
    silence, unknown = recipe.classes.silence, recipe.classes.unknown
    shares = [silence, unknown, *[(1 - silence - unknown) / keywords] * keywords]
    return np.searchsorted(np.cumsum(shares), rng.random(count) * 0.999999)


def draw_batch(pool: Pool, recipe: Recipe, count: int, rng: np.random.Generator) -> Draw:
    """Draw `count` windows; the same generator state gives the same batch."""
    augment, frames = recipe.augmentation, recipe.window_frames
    label = _labels(rng, recipe, count)
    ids = np.where(label == UNKNOWN, _choose(rng, pool.unknown, count), 0)
    for index, group in enumerate(pool.keywords, UNKNOWN + 1):
        mine = label == index
        ids[mine] = _choose(rng, group, int(mine.sum()))
    kind = rng.random(count)
    speech = (label == UNKNOWN) & (kind < recipe.classes.unknown_speech)
    piece = (label == UNKNOWN) & (kind > 1 - recipe.classes.unknown_pieces)
    ids[speech] = _choose(rng, pool.speech, int(speech.sum()))
    ids[piece] = _choose(rng, pool.any_keyword, int(piece.sum()))
    rate = _between(rng, augment.rate, count)
    strange = _strange(rng, recipe, label)
    rate[strange] = np.exp2(rng.uniform(*STRANGE_LOG2, int(strange.sum())))
    first, last = pool.word_first[ids].astype(np.float64), pool.word_last[ids].astype(np.float64)
    length = (last - first + 1) / rate
    at = _positions(rng, augment, first, length, frames)
    cut = (label == UNKNOWN) & (rng.random(count) < recipe.classes.unknown_cut)
    at = np.where(cut, rng.uniform(-0.7, 0.7, count) * length + rng.random(count) * (frames - length), at)
    core_first = pool.core_first[ids].astype(np.float64)
    core_length = (pool.core_last[ids] + 1 - core_first) / rate
    at = np.where(piece, _cut_positions(rng, core_length, frames), at)
    inside = rng.random(count) * np.maximum(0, pool.frames[ids] - frames)  # connected speech: any stretch of it
    anchor, at = np.where(speech, inside, np.where(piece, core_first, first)), np.where(speech, 0, at)
    silent = label == SILENCE
    end = (pool.frames[ids] - 1).astype(np.float64)
    word = Placed(ids, anchor, at, rate, np.zeros(count), ~silent, np.zeros(count), end)
    neighbours = ~silent & ~speech
    before = _neighbour(rng, pool, recipe, ids, neighbours, at, before=True)
    after = _neighbour(rng, pool, recipe, ids, neighbours & ~piece, at + length, before=False)
    noise, gain = _levels(rng, pool, augment, ids, silent)
    masks = _masks(rng, augment, frames, count)
    fill = rng.random(count) < 0.7
    pitch, colour = _between(rng, augment.pitch, count), _colour(rng, augment, count)
    pitch[strange] = np.exp2(rng.uniform(*STRANGE_LOG2, int(strange.sum())))
    other = (label == UNKNOWN) & ~speech & ~piece
    word, after = _joined(rng, pool, word, after, other & (rng.random(count) < recipe.classes.unknown_joint))
    word = _reversed(pool, word, other & (rng.random(count) < recipe.classes.unknown_reversed))
    line = _line(rng, augment, count)
    return Draw(label, word, before, after, noise, pitch, fill, gain, colour, line, masks)


def _strange(rng: np.random.Generator, recipe: Recipe, label: Index) -> NDArray[np.bool_]:
    """Which windows of unknown sound as no one speaks: what cries or sings is no keyword either."""
    share = recipe.classes.unknown_strange
    return (label == UNKNOWN) & (rng.random(len(label)) < share) if share else np.zeros(len(label), bool)


def _joined(
    rng: np.random.Generator, pool: Pool, word: Placed, after: Placed, chosen: NDArray[np.bool_]
) -> tuple[Placed, Placed]:
    """Where `chosen`, break words off in the middle of their core and go on with the last part of another word.

    One of both is a keyword in half the cases, never both: two parts of keywords could be one.
    """
    count = len(chosen)
    tail, kind = _choose(rng, pool.unknown, count), rng.random(count)
    head = np.where(kind < 0.25, _choose(rng, pool.any_keyword, count), word.ids)
    tail = np.where(kind > 0.75, _choose(rng, pool.any_keyword, count), tail)
    head_core, tail_core = pool.core_first[head].astype(np.float64), pool.core_first[tail].astype(np.float64)
    head_cut = head_core + rng.uniform(0.3, 0.7, count) * (pool.core_last[head] - pool.core_first[head])
    tail_cut = tail_core + rng.uniform(0.3, 0.7, count) * (pool.core_last[tail] - pool.core_first[tail])
    start = np.minimum(word.at, 60)
    joint = start + (head_cut - head_core) / word.rate
    gain = pool.level[head] - pool.level[tail]
    first = Placed(head, head_core, start, word.rate, np.zeros(count), word.heard, np.zeros(count), head_cut)
    second = Placed(
        tail, tail_cut, joint, word.rate, gain, np.ones(count, bool), tail_cut, pool.word_last[tail].astype(np.float64)
    )
    return _where(chosen, first, word), _where(chosen, second, after)


def _reversed(pool: Pool, word: Placed, chosen: NDArray[np.bool_]) -> Placed:
    """Where `chosen`, words from their end to their start."""
    anchor = pool.word_last[word.ids].astype(np.float64)
    backwards = Placed(word.ids, anchor, word.at, -word.rate, word.gain, word.heard, word.first, word.last)
    return _where(chosen & (word.last == pool.frames[word.ids] - 1), backwards, word)


def _where(chosen: NDArray[np.bool_], one: Placed, other: Placed) -> Placed:
    return Placed(
        np.where(chosen, one.ids, other.ids),
        np.where(chosen, one.anchor, other.anchor),
        np.where(chosen, one.at, other.at),
        np.where(chosen, one.rate, other.rate),
        np.where(chosen, one.gain, other.gain),
        np.where(chosen, one.heard, other.heard),
        np.where(chosen, one.first, other.first),
        np.where(chosen, one.last, other.last),
    )


def _colour(rng: np.random.Generator, augment: AugmentationSpec, count: int) -> Floats:
    """[count, 40] smooth curves over the bands, log2 of power: a tilt of `colour_db` at most, a wave of half of it."""
    x = np.linspace(-1, 1, BANDS)
    tilt, wave, phase = rng.uniform(-1, 1, (count, 1)), rng.uniform(0, 0.5, (count, 1)), rng.random((count, 1))
    curve = tilt * x + wave * np.sin(2 * np.pi * (x + phase))
    return np.asarray(curve * augment.colour_db / DB_PER_LOG2)


def _line(rng: np.random.Generator, augment: AugmentationSpec, count: int) -> Floats:
    """[count, 40] what a telephone leaves of each band, log2 of power: 40 dB less outside its range."""
    low, high = rng.uniform(100, 350, (count, 1)), rng.uniform(3_000, 4_000, (count, 1))
    centres = band_centres_hz()
    outside = (centres < low) | (centres > high)
    over_it = rng.random((count, 1)) < augment.telephone_share
    return np.where(outside & over_it, -40 / DB_PER_LOG2, 0.0)


def _positions(
    rng: np.random.Generator, augment: AugmentationSpec, first: Floats, length: Floats, frames: int
) -> Floats:
    """Where words begin: near where the clip has them, or anywhere that leaves them whole (or the window full)."""
    count = len(first)
    natural = first + rng.integers(-augment.position_frames, augment.position_frames + 1, count)
    free = rng.random(count) * (frames - length)
    is_free = (rng.random(count) < augment.free_position_share) | (length >= frames)
    return np.where(is_free, free, np.clip(natural, 0, np.maximum(0, frames - length)))


def _cut_positions(rng: np.random.Generator, length: Floats, frames: int) -> Floats:
    """Positions at which at most 45 % of a word is inside the window, at its end or at its start."""
    seen = rng.uniform(0.1, MOST_OF_A_PIECE, len(length)) * length
    return np.where(rng.random(len(length)) < 0.6, frames - seen, seen - length)


def _neighbour(
    rng: np.random.Generator,
    pool: Pool,
    recipe: Recipe,
    ids: Index,
    allowed: NDArray[np.bool_],
    edge: Floats,
    *,
    before: bool,
) -> Placed:
    """Another word that ends a gap before `edge` or starts a gap after it; of a keyword at most 45 % is inside."""
    count, augment = len(ids), recipe.augmentation
    kind = rng.random(count)
    other = np.where(kind < 0.5, _choose(rng, pool.unknown, count), _choose(rng, pool.speech, count))
    keyword = kind > 0.75
    other[keyword] = _choose(rng, pool.any_keyword, int(keyword.sum()))
    gap = _between(rng, augment.neighbour_gap_frames, count)
    seen = MOST_OF_A_PIECE * (pool.core_last - pool.core_first + 1)[other]
    if before:
        at = np.where(keyword, np.minimum(edge - gap, seen), edge - gap)
    else:
        at = np.where(keyword, np.maximum(edge + gap, recipe.window_frames - seen), edge + gap)
    anchor = (pool.core_last if before else pool.core_first)[other].astype(np.float64)
    heard = allowed & (rng.random(count) < augment.neighbour_share)
    gain = pool.level[ids] - pool.level[other] + rng.uniform(-8, 6, count) / DB_PER_LOG2
    first, last = pool.word_first[other].astype(np.float64), pool.word_last[other].astype(np.float64)
    return Placed(other, anchor, at, np.ones(count), gain, heard, first, last)


def _levels(
    rng: np.random.Generator, pool: Pool, augment: AugmentationSpec, ids: Index, silent: NDArray[np.bool_]
) -> tuple[Placed, Floats]:
    """The noise of each window and the gain (log2 of power) of all of it."""
    count = len(ids)
    noise_ids = _choose(rng, pool.noise, count)
    snr_db = _between(rng, augment.snr_db, count)
    relative = pool.level[ids] - pool.level[noise_ids] - snr_db / DB_PER_LOG2
    target = FULL_SCALE_LEVEL + _between(rng, augment.silence_dbfs, count) / DB_PER_LOG2
    alone = target - pool.level[noise_ids]
    heard = np.where(silent, rng.random(count) > 0.1, rng.random(count) < augment.noise_share)
    start = rng.random(count) * np.maximum(1, pool.frames[noise_ids] - 1)
    scale = np.where(silent, alone, relative)
    end = (pool.frames[noise_ids] - 1).astype(np.float64)
    zero, one = np.zeros(count), np.ones(count)
    noise = Placed(noise_ids, start, zero, one, scale, heard, zero, end, endless=True)
    loudest = FULL_SCALE_LEVEL - pool.level[ids]  # speech cannot be louder than the converter
    gain = np.minimum(_between(rng, augment.gain_db, count) / DB_PER_LOG2, loudest)
    return noise, np.where(silent, 0, gain)


def _masks(rng: np.random.Generator, augment: AugmentationSpec, frames: int, count: int) -> Index:
    """SpecAugment (Park 2019): one stretch of time and one of bands, [batch, 4] first and length of each."""
    out = np.zeros((count, 4), np.int64)
    for column, (size, longest) in enumerate([(frames, augment.mask_frames), (40, augment.mask_bands)]):
        length = np.where(rng.random(count) < augment.mask_share, rng.integers(0, longest + 1, count), 0)
        out[:, 2 * column] = rng.random(count) * (size - length)
        out[:, 2 * column + 1] = length
    return out
