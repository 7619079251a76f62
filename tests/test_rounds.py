"""Training in rounds: what each stage learns from, and that a run goes on where it was."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tinyhark.app.model import Model
from tinyhark.training.recipe import MiningSpec, Recipe
from tinyhark.training.store import Store

pytest.importorskip("torch")

from tinyhark.training.rounds import stage_of, train_in_rounds


def test_stages_differ_in_what_they_should(recipe: Recipe) -> None:
    recipe = replace(recipe, mining=MiningSpec(rounds=2, steps=30, rate=0.5))
    first, middle, last = (stage_of(recipe, number) for number in range(3))
    assert first.training == recipe.training
    assert (middle.training.steps, middle.training.learning_rate) == (30, 0.005)
    assert [stage.quantization.steps for stage in (first, middle, last)] == [0, 0, recipe.quantization.steps]
    assert len({stage.seed for stage in (first, middle, last)}) == 3
    without = replace(recipe, mining=MiningSpec(rounds=0))
    assert stage_of(without, 0) == without, "without rounds it is training as ever"


@pytest.mark.slow
def test_a_round_learns_from_what_was_mined_and_a_killed_run_goes_on(
    recipe: Recipe,
    stores: Path,
    tmp_path: Path,
    make_store: Callable[..., None],
    word_clip: Callable[..., object],
) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    for name in ("words", "noise", "validation"):
        (folder / name).symlink_to(stores / name)
    make_store(folder / "speech", [("talk", f"t{i}", word_clip("low", 500 + i)) for i in range(8)])  # surely fires
    short = replace(recipe, training=replace(recipe.training, steps=40), mining=MiningSpec(rounds=1, steps=20))
    run, path = tmp_path / "run", tmp_path / "out.onnx"
    stages: list[str] = []
    train_in_rounds(short, folder, run, path, lambda stage, *_: stages.append(stage))
    assert "round 1: mining" in stages
    assert any(clip.speaker.startswith("t") for clip in Store.load(run / "round-1" / "mined").clips)
    made = path.read_bytes()
    Model.load(path).verify()
    path.unlink()
    (run / "round-1" / "checkpoint.pt").unlink()
    (run / "round-1" / "fine-tune.pt").unlink()
    stages.clear()
    train_in_rounds(short, folder, run, path, lambda stage, *_: stages.append(stage))
    assert not [stage for stage in stages if not stage.startswith("round 1")], "the first training is finished"
    assert "round 1: mining" not in stages
    assert path.read_bytes() == made
