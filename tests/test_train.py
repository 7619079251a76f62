"""The training loop: it learns, goes on after a kill with the same weights, and writes each step's metrics once."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.training.pool import Pool
from tinyhark.training.recipe import Recipe, TrainingSpec

torch = pytest.importorskip("torch")

from tinyhark.training.mixing import Mixer  # noqa: E402
from tinyhark.training.train import (  # noqa: E402
    Process,
    Trained,
    learning_rate,
    make_optimiser,
    new_network,
    train_network,
)

ALONE = Process(0, 1, torch.device("cpu"))


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def train(recipe: Recipe, pool: Pool, stores: Path, tmp_path: Path) -> Callable[..., Trained]:
    """`train(run="a", kill_at=22, steps=40, ...)`: train in tmp_path/run, up to an error after step 22."""

    def run_it(run: str = "run", kill_at: int | None = None, made: Recipe = recipe, **training: Any) -> Trained:
        made = replace(made, training=replace(made.training, **training))
        folder = tmp_path / run
        folder.mkdir(exist_ok=True)

        def report(done: int, _metrics: dict[str, float]) -> None:
            if done == kill_at:
                raise KilledError

        return train_network(made, Mixer(pool, made, ALONE.device), stores, folder, ALONE, report)

    return run_it


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def same(one: Trained, other: Trained) -> bool:
    a, b = one.network.state_dict(), other.network.state_dict()
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_rate_rises_and_falls() -> None:
    spec = TrainingSpec(steps=100, learning_rate=0.01, warmup_steps=10)
    rates = [learning_rate(spec, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == rates[9] == pytest.approx(0.01)
    assert rates[55] == pytest.approx(0.005)
    assert 0 < rates[99] < 1e-5
    assert all(math.isfinite(learning_rate(TrainingSpec(steps=5, warmup_steps=w), 4)) for w in (0, 5, 9))


def test_only_weights_decay(recipe: Recipe) -> None:
    network = new_network(recipe, ALONE.device)
    decayed, others = make_optimiser(network, recipe.training).param_groups
    assert decayed["weight_decay"] == recipe.training.weight_decay
    assert others["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_it_learns_and_says_so(trained_run: Path) -> None:
    said = lines(trained_run)
    assert [line["step"] for line in said] == [30, 60]
    for line in said:
        assert line.keys() == {
            "time", "step", "rate", "loss", "keyword_recall", "unknown_recall", "silence_taken", "accuracy",
        }  # fmt: skip
        assert all(math.isfinite(value) for value in line.values())
    assert said[-1]["accuracy"] > 0.8
    assert said[-1]["loss"] < 1.2


def test_the_result_is_the_average_in_evaluation_mode(train: Callable[..., Trained], tmp_path: Path) -> None:
    trained = train(steps=8, validate_steps=8)
    assert not trained.network.training
    assert trained.validation.features.shape == (40, 40, 97)
    assert sorted(set(trained.validation.labels.tolist())) == [1, 2, 3]
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 8
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, saved["average"][name])
    assert not torch.equal(saved["network"]["stem.weight"], saved["average"]["stem.weight"])


def test_unknown_gets_its_bias_when_training_ends(train: Callable[..., Trained], recipe: Recipe) -> None:
    trained = train(steps=8, made=replace(recipe, classes=replace(recipe.classes, unknown_bias=-0.5)))
    plain = train("plain", steps=8)
    moved = trained.network.classify.bias - plain.network.classify.bias
    torch.testing.assert_close(moved, torch.tensor([0.0, -0.5, 0.0, 0.0]))
    assert torch.equal(trained.network.classify.weight, plain.network.classify.weight)


def test_the_same_seed_gives_the_same_weights(train: Callable[..., Trained], recipe: Recipe) -> None:
    one, two = train("a", steps=12), train("b", steps=12)
    assert same(one, two)
    assert not same(one, train("c", steps=12, made=replace(recipe, seed=9)))


@pytest.mark.parametrize("kill_at", [1, 9, 10, 11, 19, 22])
def test_a_killed_run_ends_with_the_same_weights(train: Callable[..., Trained], tmp_path: Path, kill_at: int) -> None:
    diet = {"steps": 24, "checkpoint_steps": 10, "validate_steps": 4}
    undisturbed = train("undisturbed", **diet)
    with pytest.raises(KilledError):
        train("killed", kill_at, **diet)
    assert same(train("killed", **diet), undisturbed)
    expected, got = lines(tmp_path / "undisturbed"), lines(tmp_path / "killed")
    for line in (*expected, *got):
        del line["time"]
    assert got == expected


def test_a_run_may_be_killed_many_times(train: Callable[..., Trained], tmp_path: Path) -> None:
    diet = {"steps": 24, "checkpoint_steps": 5, "validate_steps": 7}
    for kill_at in (3, 6, 9, 14, 23):
        with pytest.raises(KilledError):
            train("killed", kill_at, **diet)
    assert same(train("killed", **diet), train("undisturbed", **diet))
    assert [line["step"] for line in lines(tmp_path / "killed")] == [7, 14, 21, 24]


def test_a_line_that_was_cut_by_the_kill_is_dropped(train: Callable[..., Trained], tmp_path: Path) -> None:
    diet = {"steps": 12, "checkpoint_steps": 4, "validate_steps": 4}
    with pytest.raises(KilledError):
        train("killed", 10, **diet)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"time": 1.0, "st')
    train("killed", **diet)
    assert [line["step"] for line in lines(tmp_path / "killed")] == [4, 8, 12]


def test_a_finished_run_is_not_trained_again(train: Callable[..., Trained], tmp_path: Path) -> None:
    one = train(steps=8, validate_steps=8)
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert same(train(kill_at=1, steps=8, validate_steps=8), one)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_fresh_start_forgets_an_older_run(train: Callable[..., Trained], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fine-tune.pt").write_bytes(b"of other weights")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 4}\n{"step": 8}\n')
    train(steps=4, validate_steps=2)
    assert not (tmp_path / "run" / "fine-tune.pt").exists()
    assert [line["step"] for line in lines(tmp_path / "run")] == [2, 4]


def test_another_recipe_in_the_same_folder_is_refused(train: Callable[..., Trained], recipe: Recipe) -> None:
    train(steps=2)
    with pytest.raises(HarkError, match="another recipe"):
        train(steps=2, made=replace(recipe, seed=9))
    with pytest.raises(HarkError, match="another recipe"):
        train(steps=3)


def test_validation_needs_keywords_and_others(
    train: Callable[..., Trained],
    recipe: Recipe,
    make_store: Callable[..., None],
    word_clip: Callable[..., Any],
    tmp_path: Path,
) -> None:
    for words in (("low", "high"), ("top", "middle")):
        make_store(tmp_path / words[0], [(word, "v", word_clip(word, 3)) for word in words])
        with pytest.raises(HarkError, match="keywords and of other words"):
            train(words[0] + "-run", made=replace(recipe, validation=str(tmp_path / words[0])), steps=2)
