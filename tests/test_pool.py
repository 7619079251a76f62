"""The pool: which clips get in, how often each is drawn, and where its word lies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.dsp.word_bounds import word_bounds
from tinyhark.training.draw import FULL_SCALE_LEVEL
from tinyhark.training.pool import CORE_DB, Group, Pool, build_pool, made_noise
from tinyhark.training.recipe import Recipe, StoreSpec
from tinyhark.training.store import OPEN_LICENCES, Clip, write_store


def labels_of(pool: Pool, group: Group) -> set[str]:
    return {pool.clips[i].label for i in group.ids}


def groups_of(pool: Pool) -> list[Group]:
    return [*pool.keywords, pool.any_keyword, pool.unknown, pool.speech, pool.noise]


def share(pool: Pool, group: Group, wanted: Callable[[Clip], bool]) -> float:
    return float(sum(p for i, p in zip(group.ids, group.p, strict=True) if wanted(pool.clips[i])))


def test_clips_go_to_their_groups(pool: Pool) -> None:
    assert [labels_of(pool, group) for group in pool.keywords] == [{"low"}, {"high"}]
    assert labels_of(pool, pool.any_keyword) == {"low", "high"}
    assert labels_of(pool, pool.unknown) == {"middle", "top", "bottom"}
    assert labels_of(pool, pool.speech) == {"talk"}
    assert labels_of(pool, pool.noise) == {"noise", "_silence_"}
    for group in groups_of(pool):
        assert group.p.sum() == pytest.approx(1)
        assert len(set(group.ids.tolist())) == len(group.ids) == len(group.p)


def test_positions_are_those_of_the_features(pool: Pool) -> None:
    assert pool.frames.sum() == len(pool.log_mel)
    np.testing.assert_array_equal(pool.start[1:], np.cumsum(pool.frames)[:-1])
    for i in (0, 7, 30, len(pool.clips) - 1):
        clip = pool.log_mel[pool.start[i] : pool.start[i] + pool.frames[i]]
        first, last = word_bounds(clip.astype(np.int32) << 8)
        assert (pool.word_first[i], pool.word_last[i]) == (first, last)
        assert (pool.core_first[i], pool.core_last[i]) == word_bounds(clip.astype(np.int32) << 8, CORE_DB)
        assert first <= pool.core_first[i] <= pool.core_last[i] <= last
        energy = np.exp2(clip[first : last + 1] / 256).sum(axis=1).mean()
        assert pool.level[i] == pytest.approx(np.log2(energy), abs=1e-4)


def test_words_are_found_and_at_their_level(pool: Pool) -> None:
    words = np.concatenate([pool.any_keyword.ids, pool.unknown.ids])
    length = (pool.word_last - pool.word_first + 1)[words]
    assert ((length >= 28) & (length <= 53)).all()  # 0.3 to 0.5 s and what a frame looks ahead
    level_db = (pool.level[words] - FULL_SCALE_LEVEL) * 10 * np.log10(2)
    assert ((level_db > -25) & (level_db < -8)).all()  # peaks of -20 to -6 dBFS, faded, RMS 3 dB below


def test_full_scale_has_the_level_it_should() -> None:
    from tinyhark.dsp.front_end import FrontEnd

    rng = np.random.default_rng(0)
    sound = np.clip(np.round(rng.standard_normal(16_000) * 2**15 / 10), -32_768, 32_767).astype(np.int16)
    log_mel = FrontEnd().log_mel(sound)
    level = np.log2(np.exp2(log_mel / 2**16).sum(axis=1).mean())
    # The triangles reach from 60 to 7600 Hz and overlap to a sum of 1, so white noise lies just below.
    assert level == pytest.approx(FULL_SCALE_LEVEL - np.log2(100), abs=0.25)


def test_other_splits_labels_and_speakers_never_get_in(recipe: Recipe, stores: Path) -> None:
    small = replace(recipe, ignore_labels=("top",), exclude_speakers=("s1", "s4"))
    pool = build_pool(small, stores)
    for group in groups_of(pool):
        assert len(group.ids)
        for i in group.ids:
            clip = pool.clips[i]
            assert clip.split == "train"
            assert clip.label != "top"
            assert clip.speaker not in ("s1", "s4")
    assert labels_of(pool, pool.unknown) == {"middle", "bottom"}
    assert {pool.clips[i].speaker for i in pool.keywords[0].ids} == {"s0", "s2", "s3", "s5"}


def test_recordings_of_nobody_known_stay_out_by_name(recipe: Recipe, stores: Path) -> None:
    pool = build_pool(replace(recipe, exclude_speakers=("talk/1", "noise/0", "low/3")), stores)
    assert {pool.clips[i].recording for i in pool.speech.ids} == {"talk/0", "talk/2", "talk/3"}
    assert "noise/0" not in {pool.clips[i].recording for i in pool.noise.ids}
    # The recording low/3 has a speaker, by whom it would be left out.
    assert "low/3" in {pool.clips[i].recording for i in pool.keywords[0].ids}


def test_noise_of_a_long_keyword_clip_is_not_the_word(
    recipe: Recipe, stores: Path, tmp_path: Path, make_store: Callable[..., None]
) -> None:
    rng = np.random.default_rng(3)
    sound = 400 * rng.standard_normal(40_000)  # 25 dB below the word, for two and a half seconds
    sound[16_000:24_000] += 10_000 * np.sin(np.arange(8000))
    noisy = np.round(sound).astype(np.int16)
    for name in ("speech", "noise", "validation"):
        (tmp_path / name).symlink_to(stores / name)
    make_store(tmp_path / "words", [(word, "", noisy) for word in ("low", "high", "top")])
    pool = build_pool(recipe, tmp_path)
    length = pool.word_last - pool.word_first
    for i in pool.any_keyword.ids:
        assert 45 < length[i] < 60
        assert 95 <= pool.word_first[i] <= pool.core_first[i] <= pool.core_last[i] <= pool.word_last[i] <= 155
    assert (length[pool.unknown.ids] > 200).all(), "other words keep all that is in them"


@pytest.fixture
def other(tmp_path: Path, stores: Path) -> Callable[..., Path]:
    """A folder of stores whose word store is of these (label, licence, split, frames)."""

    def make(*rows: tuple[str, str, str, int]) -> Path:
        folder = tmp_path / "stores"
        folder.mkdir()
        for name in ("speech", "noise", "validation"):
            (folder / name).symlink_to(stores / name)
        rng = np.random.default_rng(1)
        clips = [
            (Clip(label, "s", "set", licence, split, f"{i}", 0, 0), rng.integers(0, 5000, (n, 40)).astype(np.int16))
            for i, (label, licence, split, n) in enumerate(rows)
        ]
        write_store(folder / "words", clips, "x")
        return folder

    return make


def test_test_clips_stay_out(recipe: Recipe, other: Callable[..., Path]) -> None:
    rows = [(word, "own", split, 60) for word in ("low", "high", "top") for split in ("train", "validation", "test")]
    pool = build_pool(recipe, other(*rows))
    for group in (*pool.keywords, pool.unknown):
        assert [pool.clips[i].split for i in group.ids] == ["train"]


@pytest.mark.parametrize("licence", ["CC-BY-SA-4.0", "ODbL-1.0", "CC-BY-NC-4.0", "", "unknown"])
def test_a_licence_that_forbids_the_weights(recipe: Recipe, other: Callable[..., Path], licence: str) -> None:
    folder = other(("low", "own", "train", 60), ("high", "own", "train", 60), ("top", licence, "train", 60))
    with pytest.raises(HarkError, match=r"words: licence .*does not allow Apache-2\.0 weights") as caught:
        build_pool(recipe, folder)
    assert licence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_under_another_licence_may_use_all(recipe: Recipe, other: Callable[..., Path]) -> None:
    folder = other(*((word, "CC-BY-SA-4.0", "train", 60) for word in ("low", "high", "top")))
    assert build_pool(replace(recipe, licence="CC-BY-SA-4.0"), folder)


def test_licences_that_allow_it_and_any_for_validation(recipe: Recipe, other: Callable[..., Path]) -> None:
    words = ("low", "high", "top")
    folder = other(*((word, licence, "train", 60) for word in words for licence in sorted(OPEN_LICENCES)))
    (folder / "validation").unlink()
    clip = Clip("low", "v", "set", "CC-BY-SA-4.0", "test", "v", 0, 0)
    write_store(folder / "validation", [(clip, np.ones((60, 40), np.int16))], "x")
    assert {clip.licence for clip in build_pool(recipe, folder).clips} == OPEN_LICENCES


def test_what_is_missing_is_named(recipe: Recipe, other: Callable[..., Path]) -> None:
    folder = other(("low", "own", "train", 60), ("top", "own", "train", 60), ("high", "own", "test", 60))
    with pytest.raises(HarkError, match="no clips of the keyword 'high'"):
        build_pool(recipe, folder)
    with pytest.raises(HarkError, match="no words beside its keywords"):
        build_pool(replace(recipe, keywords=("low", "top")), folder)
    by_use = {spec.use: spec for spec in recipe.store}
    one = replace(recipe, keywords=("low",))
    for use in ("speech", "noise"):
        without = tuple(spec for spec in recipe.store if spec.use != use)
        if use == "noise":
            assert build_pool(replace(one, store=without), folder).noise.ids.size == 8, "noise is made as well"
        else:
            with pytest.raises(HarkError, match="use = 'speech'"):
                build_pool(replace(one, store=without), folder)
    with pytest.raises(HarkError, match="hark features"):
        build_pool(replace(recipe, store=(StoreSpec(path="nowhere", use="words"), by_use["speech"])), folder)


@pytest.fixture
def doubled(other: Callable[..., Path]) -> Callable[[StoreSpec, Recipe], tuple[Pool, Callable[[Clip], bool]]]:
    """A pool of two equal stores, the second as `more` says, and which of its clips are of the second."""

    def make(more: StoreSpec, recipe: Recipe) -> tuple[Pool, Callable[[Clip], bool]]:
        rows = [*[("low", "own", "train", 60)] * 3, ("high", "own", "train", 60), *[("top", "own", "train", 60)] * 4]
        folder = other(*rows)
        (folder / "more").symlink_to(folder / "words")
        pool = build_pool(replace(recipe, store=(*recipe.store, more)), folder)
        second = {id(clip) for clip in pool.clips[-8 - len(rows) : -8]}  # the last eight are made noises
        return pool, lambda clip: id(clip) in second

    return make


def test_weights_say_how_often(doubled: Callable[..., Any], recipe: Recipe) -> None:
    pool, second = doubled(StoreSpec(path="more", use="words", weight=2.0), recipe)
    assert share(pool, pool.keywords[0], second) == pytest.approx(2 / 3)
    assert share(pool, pool.unknown, second) == pytest.approx(2 / 3)
    assert share(pool, pool.any_keyword, lambda clip: clip.label == "low") == pytest.approx(1 / 2)


def test_synthetic_speech_has_its_share_of_the_keywords(doubled: Callable[..., Any], recipe: Recipe) -> None:
    made = replace(recipe, classes=replace(recipe.classes, synthetic=0.2))
    pool, second = doubled(StoreSpec(path="more", use="words", weight=3.0, synthetic=True), made)
    for group in pool.keywords:
        assert share(pool, group, second) == pytest.approx(0.2)
    assert share(pool, pool.unknown, second) == pytest.approx(3 / 4)


def test_a_keyword_of_synthetic_speech_alone_keeps_all(recipe: Recipe, stores: Path) -> None:
    store = tuple(replace(spec, synthetic=spec.use == "words") for spec in recipe.store)
    pool = build_pool(replace(recipe, store=store), stores)
    assert [group.p.sum() for group in pool.keywords] == [pytest.approx(1)] * 2


@pytest.mark.parametrize(("power", "ratio"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0)])
def test_labels_are_balanced_by_a_power(recipe: Recipe, other: Callable[..., Path], power: float, ratio: float) -> None:
    rows = [("low", 1), ("high", 1), ("top", 9), ("middle", 1)]
    folder = other(*[(word, "own", "train", 60) for word, count in rows for _ in range(count)])
    pool = build_pool(replace(recipe, classes=replace(recipe.classes, label_power=power)), folder)
    top = share(pool, pool.unknown, lambda clip: clip.label == "top")
    assert top / (1 - top) == pytest.approx(ratio)


def test_long_talks_are_drawn_more(pool: Pool) -> None:
    np.testing.assert_allclose(pool.speech.p, pool.frames[pool.speech.ids] / pool.frames[pool.speech.ids].sum())


def test_made_noise_is_loud_different_and_from_the_seed() -> None:
    one, again, other_seed = (dict(made_noise(seed)) for seed in (1, 1, 2))
    assert len(one) == 8
    means = [log_mel.mean(axis=0) for log_mel in one.values()]
    for i, (name, log_mel) in enumerate(one.items()):
        np.testing.assert_array_equal(log_mel, again[name])
        assert not np.array_equal(log_mel, other_seed[name])
        assert log_mel.shape == (997, 40)
        assert means[i].max() > 17 << 8
        assert all(np.abs(means[i] - mean).max() > 256 for mean in means[:i])
