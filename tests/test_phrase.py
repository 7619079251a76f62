"""A wake word from its text: what is spoken, what is left out, and the whole way with a synthesiser of tones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.training.recipe import Recipe, load_recipe
from tinyhark.training.store import Store
from tinyhark.training.synthesis.takes import Samples, Take

pytest.importorskip("torch")

from tinyhark.training import phrase_clips
from tinyhark.training.commands.train import RECIPES
from tinyhark.training.phrase import Wish, recipe_of, train_phrase, window_for
from tinyhark.training.phrase_clips import Share, speak
from tinyhark.training.phrase_stores import is_held_out, recordings_of


class Tones:
    """An engine whose voices hum: the phrase rises, everything else is steady."""

    name = "tones"
    licence = "own"
    mixes = False
    voices = ("a_f3", "a_m1", "b_m3", "b_f1", "c_f2")

    def weight(self, voice: str) -> float:
        del voice
        return 1.0

    def speak(self, take: Take) -> Samples:
        t = np.arange(int(8000 / take.speed)) / 16_000
        pitch = take.pitch * (1 + 0.05 * self.voices.index(take.voice))
        hz = (400 + 3000 * t if take.text.startswith("hey") else np.full_like(t, 900.0 + 7 * len(take.text))) * pitch
        fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
        return np.round(8000 * fade * np.sin(2 * np.pi * np.cumsum(hz) / 16_000)).astype(np.int16)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to say, so that tests are quick."""

    def shares(phrase: str, *_: object, **__: object) -> list[Share]:
        return [
            Share("phrase", (phrase,), 12),
            Share("near", ("lantern",), 4),
            Share("other", ("apple", "pear"), 4),
            Share("speech", ("one two three",), 4),
            Share("validation", (phrase, "pear"), 5, held_out=True),
        ]

    monkeypatch.setattr(phrase_clips, "shares", shares)


@pytest.fixture
def template() -> Recipe:
    return load_recipe(RECIPES / "phrase.toml")


def wish(template: Recipe, folder: Path, phrase: str = "hey lantern") -> Wish:
    return Wish(phrase, [Tones()], None, folder / "general", template)


@pytest.mark.usefixtures("few")
def test_held_out_voices_speak_for_validation_alone(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    speak("hey lantern", [Tones()], tmp_path, lambda *told: done.append(told))
    assert done[-1] == (12 + 4 + 8 + 4 + 10, 38)
    for path in tmp_path.rglob("*.flac"):
        assert (path.parts[-3] == "validation") == path.name.startswith(("a_f3", "b_m3")), path


def test_a_phrase_needs_letters(template: Recipe, tmp_path: Path) -> None:
    with pytest.raises(HarkError, match="Latin letters"):
        _ = wish(template, tmp_path, "?!").keyword
    assert wish(template, tmp_path, "Hey, Lantern!").keyword == "hey-lantern"


def test_the_window_holds_the_phrase(tmp_path: Path, make_store: Callable[..., None], word_clip: Any) -> None:
    sounds = [("low", "", np.tile(word_clip("low", i), 2)[:24_000]) for i in range(4)]
    make_store(tmp_path / "long", sounds)
    make_store(tmp_path / "short", [("low", "", word_clip("low", i)) for i in range(4)])
    long, short = (window_for(Store.load(tmp_path / name)) for name in ("long", "short"))
    assert short == 98
    assert 130 < long < 180
    assert long % 4 == 2


def test_some_people_stay_out_and_missing_stores_are_left_out(
    template: Recipe, tmp_path: Path, make_store: Callable[..., None], word_clip: Any
) -> None:
    stores, general = tmp_path / "stores", tmp_path / "general"
    for name in ("phrase", "near"):
        make_store(stores / name, [("hey-lantern", "", word_clip("low", i)) for i in range(2)])
    make_store(general / "sc-train", [("low", f"s{i}", word_clip("low", i)) for i in range(40)])
    recipe = recipe_of(wish(template, tmp_path), stores)
    assert [spec.path for spec in recipe.store] == ["phrase", "near", "sc-train"]
    assert recipe.keywords == ("hey-lantern",)
    assert set(recipe.exclude_speakers) == {f"s{i}" for i in range(40) if is_held_out(f"s{i}")}
    assert 2 <= len(recipe.exclude_speakers) <= 16
    assert recipe == recipe_of(wish(template, tmp_path), stores), "the links are there already"


def test_some_recordings_are_held_out_and_few_are_refused(tmp_path: Path, word_clip: Any) -> None:
    for number in range(30):
        soundfile.write(tmp_path / f"{number}.wav", word_clip("low", number), 16_000)
    found = recordings_of(tmp_path, "hey-lantern")
    assert {one.label for one in found} == {"hey-lantern"}
    held_out = [one for one in found if one.split == "validation"]
    assert 2 <= len(held_out) <= 12
    assert held_out == [one for one in found if is_held_out(one.name)]
    for number in range(3, 30):
        (tmp_path / f"{number}.wav").unlink()
    with pytest.raises(HarkError, match="too few"):
        recordings_of(tmp_path, "hey-lantern")


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_whole_way(
    template: Recipe,
    tmp_path: Path,
    stores: Path,
) -> None:
    (tmp_path / "general").mkdir()
    (tmp_path / "general" / "sc-train").symlink_to(stores / "words")
    small = replace(
        template,
        network=replace(template.network, channels=16, blocks=2),
        training=replace(template.training, steps=60, batch=32, learning_rate=0.01, warmup_steps=5, ema=0.9),
        quantization=replace(template.quantization, steps=20),
        mining=replace(template.mining, steps=10),
    )
    path = tmp_path / "hey-lantern.onnx"
    learned = train_phrase(wish(small, tmp_path), tmp_path / "run", path, 1, lambda *_: None)
    assert list(learned.synthetic) == ["clean", "10 dB", "5 dB"]
    assert learned.synthetic["clean"].misses.of == 5
    assert learned.synthetic["clean"].misses.count <= 2
    assert learned.recorded == {}
    from tinyhark.app.model import Model

    spec = Model.load(path).metadata.keywords["hey-lantern"]
    assert spec.threshold == learned.threshold
    assert [point.data for point in spec.operating_points] == [
        "synthetic voices, clean",
        "synthetic voices, 10 dB",
        "synthetic voices, 5 dB",
    ]
