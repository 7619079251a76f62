"""What is drawn into a batch: shares, positions, pieces, levels, and the same again from the same seed."""

from collections.abc import Callable
from dataclasses import fields, replace

import msgspec.structs
import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.dsp.tables import band_centres_hz
from tinyhark.training.draw import (
    DB_PER_LOG2,
    FULL_SCALE_LEVEL,
    MOST_OF_A_PIECE,
    SILENCE,
    UNKNOWN,
    Draw,
    Placed,
    draw_batch,
)
from tinyhark.training.pool import Pool
from tinyhark.training.recipe import Recipe

changed = msgspec.structs.replace


@pytest.fixture(scope="module")
def drawn(pool: Pool, recipe: Recipe) -> Callable[..., Draw]:
    """`drawn(4000, classes={...}, augmentation={...})`: one large batch of a changed recipe."""

    def draw(count: int = 4000, seed: int = 1, window_frames: int = 97, **parts: dict[str, object]) -> Draw:
        made = changed(recipe, window_frames=window_frames)
        for name, values in parts.items():
            made = changed(made, **{name: changed(getattr(made, name), **values)})
        return draw_batch(pool, made, count, np.random.default_rng(seed))

    return draw


def lengths(pool: Pool, placed: Placed) -> NDArray[np.float64]:
    """Window frames that each word takes."""
    return (pool.word_last - pool.word_first + 1)[placed.ids] / placed.rate


def cores(pool: Pool, placed: Placed) -> NDArray[np.float64]:
    """Window frames that the core of each word takes."""
    return (pool.core_last - pool.core_first + 1)[placed.ids] / placed.rate


def inside(at: NDArray[np.float64], length: NDArray[np.float64], frames: int = 97) -> NDArray[np.float64]:
    """How much of [at, at + length] lies in the window."""
    return np.maximum(0, np.minimum(frames, at + length) - np.maximum(0, at))


def differ(one: Draw, other: Draw) -> bool:
    def arrays(draw: Draw) -> list[object]:
        values = [getattr(draw, f.name) for f in fields(draw)]
        return [v for x in values for v in ([getattr(x, f.name) for f in fields(x)] if isinstance(x, Placed) else [x])]

    return not all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


def test_the_same_generator_draws_the_same(drawn: Callable[..., Draw]) -> None:
    assert not differ(drawn(200), drawn(200))
    assert differ(drawn(200), drawn(200, seed=2))


@pytest.mark.parametrize(("silence", "unknown"), [(0.06, 0.25), (0.3, 0.4), (0.0, 0.5), (0.5, 0.0)])
def test_shares_are_those_of_the_recipe(drawn: Callable[..., Draw], silence: float, unknown: float) -> None:
    count = 20_000
    labels = drawn(count, classes={"silence": silence, "unknown": unknown}).label
    rest = (1 - silence - unknown) / 2
    got = np.bincount(labels, minlength=4) / count
    wanted = np.array([silence, unknown, rest, rest])
    assert (np.abs(got - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted) / count)).all()


def test_clips_are_of_their_label(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn()
    names = np.array([clip.label for clip in pool.clips])[draw.word.ids]
    assert set(names[draw.label == 2]) == {"low"}
    assert set(names[draw.label == 3]) == {"high"}
    assert set(names[draw.label == UNKNOWN]) == {"middle", "top", "bottom", "talk", "low", "high"}
    assert not draw.word.heard[draw.label == SILENCE].any()
    assert draw.word.heard[draw.label != SILENCE].all()
    assert set(draw.noise.ids) <= set(pool.noise.ids)


def test_unknown_is_made_of_what_the_recipe_says(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(20_000, classes={"unknown": 1.0, "silence": 0.0, "unknown_speech": 0.3, "unknown_pieces": 0.1})
    names = np.array([clip.label for clip in pool.clips])[draw.word.ids]
    assert (names == "talk").mean() == pytest.approx(0.3, abs=0.015)
    assert np.isin(names, ["low", "high"]).mean() == pytest.approx(0.1, abs=0.01)


def test_words_are_whole_in_the_window(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn()
    word, length = draw.word, lengths(pool, draw.word)
    whole = draw.label > UNKNOWN
    assert (word.at[whole] >= 0).all()
    assert (word.at + length <= 97 + 1e-9)[whole].all()
    free = word.at[whole] / (97 - length[whole])
    assert np.histogram(free, 4, (0, 1))[0].min() > 0.05 * whole.sum(), "positions are everywhere"
    np.testing.assert_array_equal(word.anchor[whole], pool.word_first[word.ids][whole])


def test_words_that_are_longer_than_the_window_fill_it(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(window_frames=25)
    length = lengths(pool, draw.word)
    long = (draw.label > UNKNOWN) & (length >= 25)
    assert long.any()
    assert inside(draw.word.at, length, 25)[long] == pytest.approx(25)


def test_pieces_show_at_most_45_percent(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(classes={"unknown": 1.0, "silence": 0.0, "unknown_speech": 0.0, "unknown_pieces": 1.0})
    length = cores(pool, draw.word)
    seen = inside(draw.word.at, length) / length
    np.testing.assert_array_equal(draw.word.anchor, pool.core_first[draw.word.ids])
    assert MOST_OF_A_PIECE == 0.45
    assert seen.max() <= 0.45 + 1e-9
    assert seen.min() >= 0.1 - 1e-9
    at_end = draw.word.at > 0
    assert at_end.mean() == pytest.approx(0.6, abs=0.03)
    assert not draw.after.heard.any(), "nothing follows a piece, or the word would sound continued"


def test_neighbours_keep_their_distance_and_keywords_stay_pieces(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(augmentation={"neighbour_share": 1.0, "neighbour_gap_frames": (3, 9)})
    end = draw.word.at + lengths(pool, draw.word)
    names = np.array([clip.label for clip in pool.clips])
    keyword = ("low", "high")
    for neighbour, gap in ((draw.before, draw.word.at - draw.before.at), (draw.after, draw.after.at - end)):
        heard = neighbour.heard
        assert 0.5 < heard.mean() < 1
        assert not heard[draw.label == SILENCE].any()
        assert (gap[heard] >= 3 - 1e-9).all()
        is_keyword = np.isin(names[neighbour.ids], keyword)
        assert (gap[heard & ~is_keyword] <= 9 + 1e-9).all()
        assert 0.15 < is_keyword[heard].mean() < 0.35
        length = cores(pool, neighbour)
        # `at` is where the last frame lies before the word, where the first one lies after it.
        first = neighbour.at - length + 1 if neighbour is draw.before else neighbour.at
        seen = inside(first, length)[heard & is_keyword]
        assert (seen <= 0.45 * length[heard & is_keyword] + 1 + 1e-9).all()


def test_no_neighbours_and_no_noise_where_the_recipe_has_none(drawn: Callable[..., Draw]) -> None:
    draw = drawn(augmentation={"neighbour_share": 0.0, "noise_share": 0.0, "mask_share": 0.0})
    assert not draw.before.heard.any()
    assert not draw.after.heard.any()
    assert not draw.noise.heard[draw.label != SILENCE].any()
    assert not draw.masks[:, [1, 3]].any()


def test_noise_has_the_drawn_ratio(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(augmentation={"snr_db": (5.0, 5.0), "noise_share": 1.0})
    spoken = draw.label != SILENCE
    assert draw.noise.heard[spoken].all()
    ratio_db = (pool.level[draw.word.ids] - pool.level[draw.noise.ids] - draw.noise.gain) * DB_PER_LOG2
    np.testing.assert_allclose(ratio_db[spoken], 5)


def test_silence_is_noise_at_every_level_or_nothing(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(classes={"silence": 1.0, "unknown": 0.0}, augmentation={"silence_dbfs": (-90.0, -10.0)})
    assert draw.noise.heard.mean() == pytest.approx(0.9, abs=0.02), "one in ten is digital silence"
    level_db = (pool.level[draw.noise.ids] + draw.noise.gain - FULL_SCALE_LEVEL) * DB_PER_LOG2
    assert np.histogram(level_db, 8, (-90, -10))[0].sum() == len(level_db)
    assert np.histogram(level_db, 8, (-90, -10))[0].min() > 0.09 * len(level_db)
    assert not draw.gain.any()


def test_gain_stays_below_full_scale(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(augmentation={"gain_db": (-20.0, 30.0)})
    spoken = draw.label != SILENCE
    assert (pool.level[draw.word.ids] + draw.gain <= FULL_SCALE_LEVEL + 1e-9)[spoken].all()
    assert (draw.gain[spoken] >= -20 / DB_PER_LOG2).all()
    assert np.ptp(draw.gain[spoken]) > 5


def test_rates_and_pitches_are_in_their_ranges(drawn: Callable[..., Draw]) -> None:
    draw = drawn(augmentation={"rate": (0.8, 1.1), "pitch": (0.95, 1.3)})
    for values, low, high in ((draw.word.rate, 0.8, 1.1), (draw.pitch, 0.95, 1.3)):
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high


def test_masks_fit(drawn: Callable[..., Draw]) -> None:
    masks = drawn(augmentation={"mask_share": 1.0, "mask_frames": 20, "mask_bands": 12}).masks
    for first, length, size, longest in ((0, 1, 97, 20), (2, 3, 40, 12)):
        assert masks[:, first].min() >= 0
        assert (masks[:, first] + masks[:, length]).max() <= size
        assert masks[:, length].max() == longest


def test_connected_speech_fills_the_window(drawn: Callable[..., Draw], pool: Pool) -> None:
    draw = drawn(classes={"unknown": 1.0, "silence": 0.0, "unknown_speech": 1.0, "unknown_pieces": 0.0})
    assert not draw.word.at.any()
    assert (draw.word.anchor + 97 <= pool.frames[draw.word.ids]).all()
    assert np.ptp(draw.word.anchor) > 200


def test_only_positions_change_where_a_clip_is_heard(drawn: Callable[..., Draw]) -> None:
    natural = drawn(augmentation={"free_position_share": 0.0, "position_frames": 0, "rate": (1.0, 1.0)})
    word = natural.word
    whole = natural.label > UNKNOWN
    np.testing.assert_array_equal(word.at[whole], word.anchor[whole])
    assert not differ(natural, replace(natural))


def test_joints_break_off_one_word_and_go_on_with_another(drawn: Callable[..., Draw], pool: Pool) -> None:
    only = {"unknown": 1.0, "silence": 0.0, "unknown_speech": 0.0, "unknown_pieces": 0.0}
    draw = drawn(classes={**only, "unknown_joint": 1.0})
    names = np.array([clip.label for clip in pool.clips])
    head, tail = draw.word, draw.after
    assert tail.heard.all()
    assert (head.last < pool.core_last[head.ids] + 1e-9).all(), "the head never ends its word"
    assert (tail.first > pool.core_first[tail.ids] - 1e-9).all(), "the tail never starts its word"
    np.testing.assert_allclose(tail.at, head.at + (head.last - head.anchor) / head.rate)
    keyword = np.isin(names[head.ids], ["low", "high"]), np.isin(names[tail.ids], ["low", "high"])
    assert not (keyword[0] & keyword[1]).any(), "two parts of keywords could make one"
    assert 0.4 < (keyword[0] | keyword[1]).mean() < 0.6
    whole = drawn(classes={**only, "unknown_joint": 0.0}).word
    np.testing.assert_array_equal(whole.last, pool.frames[whole.ids] - 1)


def test_reversed_words_run_from_their_end(drawn: Callable[..., Draw], pool: Pool) -> None:
    only = {"unknown": 1.0, "silence": 0.0, "unknown_speech": 0.0, "unknown_pieces": 0.0, "unknown_reversed": 1.0}
    draw = drawn(classes=only)
    assert (draw.word.rate < 0).all()
    np.testing.assert_array_equal(draw.word.anchor, pool.word_last[draw.word.ids])
    names = np.array([clip.label for clip in pool.clips])[draw.word.ids]
    assert not np.isin(names, ["low", "high"]).any()


def test_a_telephone_takes_both_ends_of_the_spectrum(drawn: Callable[..., Draw]) -> None:
    assert not drawn(augmentation={"telephone_share": 0.0}).line.any()
    line = drawn(augmentation={"telephone_share": 0.5}).line
    narrow = line.any(axis=1)
    assert 0.3 < narrow.mean() < 0.7
    assert (line[narrow][:, band_centres_hz() > 4_000] < -10).all()
    inside = (band_centres_hz() > 350) & (band_centres_hz() < 3_000)
    assert not line[:, inside].any()


def test_only_unknown_sounds_like_no_speaker(drawn: Callable[..., Draw]) -> None:
    usual = drawn(classes={"unknown_strange": 0.0})
    assert usual.pitch.max() < 1.2
    strange = drawn(classes={"unknown_strange": 0.5})
    far = (strange.pitch > 1.2) | (strange.pitch < 0.8)
    assert 0.3 < far[strange.label == UNKNOWN].mean() < 0.5
    assert not far[strange.label != UNKNOWN].any()


def test_colour_is_smooth_and_bounded(drawn: Callable[..., Draw]) -> None:
    assert not drawn(augmentation={"colour_db": 0.0}).colour.any()
    colour_db = drawn(augmentation={"colour_db": 6.0}).colour * DB_PER_LOG2
    assert np.abs(colour_db).max() <= 6 * 1.5 + 1e-9
    assert np.abs(np.diff(colour_db, axis=1)).max() < 1.5, "neighbouring bands differ little"
    assert colour_db.std(axis=0).max() > 1
