"""Hard negatives: what a model takes for a keyword in training data that holds none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tinyhark.app.model import Model
from tinyhark.dsp.posterior import posteriors
from tinyhark.training.recipe import Recipe, StoreSpec
from tinyhark.training.store import Store

pytest.importorskip("torch")

from tinyhark.training.held_out import codes_of_clip
from tinyhark.training.listening import joined, posteriors_over
from tinyhark.training.mining import MARGIN_FRAMES, mine, mined_store


@pytest.fixture(scope="module")
def model(trained_run: Path) -> Model:
    return Model.load(trained_run / "tones.onnx")


@pytest.fixture
def wrong(tmp_path: Path, make_store: Callable[..., None], word_clip: Callable[..., Any]) -> Path:
    """A folder of stores in which three clips of "low" are labelled as another word, by three speakers."""
    sounds = [("middle", f"s{i}", word_clip("middle", i)) for i in range(6)]
    for place, speaker in ((1, "anna"), (4, "bert"), (7, "carl")):
        sounds.insert(place, ("top", speaker, word_clip("low", 300 + place)))
    make_store(tmp_path / "wrong", [*sounds, ("low", "dora", word_clip("low", 400))], "CC-BY-4.0")
    return tmp_path


def only(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, store=(StoreSpec(path="wrong", use="words"),), **changes)


def mined(model: Model, recipe: Recipe, folder: Path) -> Store | None:
    count = mine(model, recipe, folder, folder / "mined", lambda *_: None)
    store = Store.load(folder / "mined") if (folder / "mined").exists() else None
    assert count == (len(store.clips) if store else 0)
    return store


def test_what_fires_is_cut_out_and_says_where_it_comes_from(model: Model, recipe: Recipe, wrong: Path) -> None:
    store = mined(model, only(recipe), wrong)
    assert store
    assert len(store.clips) >= 3
    assert {clip.label for clip in store.clips} == {"_unknown_"}
    for clip in store.clips:
        assert (clip.licence, clip.origin, clip.split) == ("CC-BY-4.0", "tones-wrong", "train")
        assert clip.speaker != "dora", "clips of the keyword itself are none"
        assert clip.frames <= recipe.window_frames + 2 * MARGIN_FRAMES
        log_mel = store.log_mel[clip.first_frame : clip.first_frame + clip.frames]
        assert posteriors_over(model, log_mel)[:, 0].max() > recipe.mining.threshold * 2**15, "it holds what fired"


def test_each_recording_is_heard_once(model: Model, recipe: Recipe, wrong: Path) -> None:
    once = mined(model, only(recipe), wrong)
    twice = mined(model, replace(only(recipe), store=only(recipe).store * 2), wrong)
    assert once
    assert twice
    assert once.clips == twice.clips


def test_what_may_not_be_trained_on_is_not_mined(model: Model, recipe: Recipe, wrong: Path) -> None:
    some, all_of_them = (mined(model, only(recipe, exclude_speakers=who), wrong) for who in (("anna", "carl"), ()))
    assert some
    assert all_of_them
    assert len(some.clips) < len(all_of_them.clips)
    assert not {"anna", "carl"} & {clip.speaker for clip in some.clips}


def test_a_store_where_keywords_may_be_said_is_not_mined(model: Model, recipe: Recipe, wrong: Path) -> None:
    said = StoreSpec(path="wrong", use="words", mine=False)
    assert mined(model, replace(only(recipe), store=(said,)), wrong) is None


def test_where_nothing_fires_there_is_no_store(model: Model, recipe: Recipe, wrong: Path) -> None:
    assert mined(model, only(recipe, ignore_labels=("top",)), wrong) is None


def test_a_mined_store_is_speech_of_a_recipe_wherever_the_others_are(wrong: Path, recipe: Recipe, model: Model) -> None:
    assert mined(model, only(recipe), wrong)
    spec = mined_store(wrong / "mined", 7.0)
    assert (spec.use, spec.weight) == ("speech", 7.0)
    assert Store.load(Path("elsewhere") / spec.path).clips


def test_posteriors_are_those_of_every_window(model: Model, recipe: Recipe, stores: Path) -> None:
    clips, log_mel = joined(Store.load(stores / "words"), lambda clip: clip.speaker == "s1")
    assert [clip.speaker for clip in clips] == ["s1"] * 10
    got = posteriors_over(model, log_mel)
    stride, table = model.metadata.stride_frames, np.array(model.metadata.posterior_table)
    assert got.shape == ((len(log_mel) - recipe.window_frames) // stride + 1, 2)
    for step in (0, 1, len(got) // 2, len(got) - 1):
        window = log_mel[step * stride : step * stride + recipe.window_frames]
        shares = posteriors(codes_of_clip(model, recipe, window), table)
        assert got[step].tolist() == [shares[model.labels.index(keyword)] for keyword in model.keywords]


def test_a_stream_shorter_than_a_window_has_no_posteriors(model: Model, stores: Path) -> None:
    _, log_mel = joined(Store.load(stores / "words"), lambda _: False)
    assert posteriors_over(model, log_mel).shape == (0, 2)
