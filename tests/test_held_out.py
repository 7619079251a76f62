"""What was left out of training: found once, never trained on, and judged by the exported model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.training.recipe import Recipe, StoreSpec
from tinyhark.training.store import Store

pytest.importorskip("torch")

from tinyhark.training.held_out import codes_of_clip, judge_held_out, recorded_clips


@pytest.fixture(scope="module")
def model(trained_run: Path) -> Model:
    return Model.load(trained_run / "tones.onnx")


def test_every_recording_comes_once(recipe: Recipe, stores: Path) -> None:
    again = replace(recipe, store=(*recipe.store, StoreSpec(path="words", use="words", weight=0.5)))
    clips = [clip for clip, _ in recorded_clips(again, stores)]
    assert len(clips) == 5 * 12 + 5 * 8
    assert len({(clip.origin, clip.recording) for clip in clips}) == len(clips)
    assert {clip.label for clip in clips} == {"low", "high", "middle", "top", "bottom"}


def test_clips_without_a_speaker_are_no_recordings(
    recipe: Recipe, stores: Path, tmp_path: Path, make_store: Callable[..., None], word_clip: Callable[..., object]
) -> None:
    make_store(tmp_path / "made", [("low", "", word_clip("low", 1)), ("low", "anna", word_clip("low", 2))])
    (tmp_path / "validation").symlink_to(stores / "validation")
    only = replace(recipe, store=(StoreSpec(path="made", use="words"),))
    assert [clip.speaker for clip, _ in recorded_clips(only, tmp_path)][:1] == ["anna"]
    assert sum(clip.origin == "tones-made" for clip, _ in recorded_clips(only, tmp_path)) == 1


def test_features_are_those_of_the_clip(recipe: Recipe, stores: Path) -> None:
    store = Store.load(stores / "words")
    clip, log_mel = list(recorded_clips(recipe, stores))[17]
    np.testing.assert_array_equal(log_mel, store.log_mel[clip.first_frame : clip.first_frame + clip.frames])


def test_the_model_answers_as_it_does_to_the_sound(
    model: Model, recipe: Recipe, stores: Path, word_clip: Callable[..., NDArray[np.int16]]
) -> None:
    for clip, log_mel in list(recorded_clips(recipe, stores))[:60:7]:
        sound = word_clip(clip.label, int(clip.recording.split("/")[1]) % 12)
        wanted = model.infer(model.window_of(sound)).astype(int)
        assert np.abs(codes_of_clip(model, recipe, log_mel) - wanted).max() <= 3  # the rounding of Q8 in all features


def test_held_out_labels_are_judged(model: Model, recipe: Recipe, stores: Path) -> None:
    got = judge_held_out(model, replace(recipe, ignore_labels=("top",)), stores, ["top"])
    assert [(held.label, held.count, held.right) for held in got] == [("top", 20, 0)]
    assert 0 <= got[0].taken_for_keyword <= 20


def test_held_out_speakers_are_judged_by_label(model: Model, recipe: Recipe, stores: Path) -> None:
    got = judge_held_out(model, replace(recipe, exclude_speakers=("s1", "v0")), stores, [])
    assert [(held.label, held.count) for held in got] == [(w, 6) for w in ("bottom", "high", "low", "middle", "top")]
    by_label = {held.label: held for held in got}
    assert by_label["low"].right + by_label["high"].right >= 10
    assert by_label["middle"].right == 0, "the label of other words is no answer"
    for held in got:
        assert held.right + held.taken_for_keyword <= held.count


def test_recordings_of_nobody_known_are_left_out_by_name(
    model: Model,
    recipe: Recipe,
    stores: Path,
    tmp_path: Path,
    make_store: Callable[..., None],
    word_clip: Callable[..., object],
) -> None:
    make_store(tmp_path / "words", [(w, "", word_clip(w, 1)) for w in ("low", "high", "middle")])
    (tmp_path / "validation").symlink_to(stores / "validation")
    only = replace(recipe, store=(StoreSpec(path="words", use="words"),), exclude_speakers=("low/0", "middle/2"))
    got = judge_held_out(model, only, tmp_path, [])
    assert [(held.label, held.count) for held in got] == [("low", 1), ("middle", 1)]


def test_a_keyword_taken_for_another_is_not_right(model: Model, recipe: Recipe, stores: Path) -> None:
    swapped = {"low": "high", "high": "low"}

    class Swapped(Model):
        @property
        def labels(self) -> list[str]:
            return [swapped.get(label, label) for label in super().labels]

    wrong = Swapped.load(model.path)
    got = {held.label: held for held in judge_held_out(wrong, recipe, stores, ["low"])}
    assert got.keys() == {"low"}
    assert got["low"].taken_for_keyword >= 15
    assert got["low"].right <= 5


def test_nothing_held_out_is_nothing_judged(model: Model, recipe: Recipe, stores: Path) -> None:
    assert judge_held_out(model, recipe, stores, []) == []
