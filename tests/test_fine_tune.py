"""Fine-tuning: nearer to the float network than calibration alone, and after a kill the same weights."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.training.pool import Pool
from tinyhark.training.recipe import Recipe

torch = pytest.importorskip("torch")

from tinyhark.export.quantization import QuantizedNetwork  # noqa: E402
from tinyhark.training.fine_tune import distance, quantize_network  # noqa: E402
from tinyhark.training.mixing import Mixer  # noqa: E402
from tinyhark.training.train import Process, Trained, train_network  # noqa: E402

ALONE = Process(0, 1, torch.device("cpu"))


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def trained(recipe: Recipe, pool: Pool, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    mixer = Mixer(pool, recipe, ALONE.device)
    return train_network(recipe, mixer, stores, tmp_path_factory.mktemp("run"), ALONE, lambda *_: None)


@pytest.fixture
def tune(recipe: Recipe, trained: Trained, tmp_path: Path) -> Callable[..., QuantizedNetwork]:
    """`tune(run="a", kill_at=7, steps=24)`: fine-tune in tmp_path/run with a checkpoint every ten steps."""

    def run_it(run: str = "run", kill_at: int | None = None, steps: int = 24, seed: int = 3) -> QuantizedNetwork:
        made = replace(
            recipe,
            seed=seed,
            training=replace(recipe.training, checkpoint_steps=10),
            quantization=replace(recipe.quantization, steps=steps),
        )
        (tmp_path / run).mkdir(exist_ok=True)

        def report(done: int) -> None:
            if done == kill_at:
                raise KilledError

        return quantize_network(made, trained, tmp_path / run, report)

    return run_it


def same(one: QuantizedNetwork, other: QuantizedNetwork) -> bool:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    return one.scales == other.scales and all(torch.equal(a[name], b[name]) for name in a)


def uneven(trained: Trained) -> Trained:
    """The same function with channels of very unequal ranges, which one scale for all of them serves badly."""
    network = copy.deepcopy(trained.network)
    with torch.no_grad():
        for i, block in enumerate(network.blocks):
            factor = torch.exp(2 * torch.sin(3.0 * torch.arange(16) + i))
            block.norm1.weight.mul_(factor)
            block.norm1.bias.mul_(factor)
            block.pointwise.weight.div_(factor[None, :, None, None])
    return dataclasses.replace(trained, network=network)


def test_it_comes_nearer_to_the_teacher(recipe: Recipe, trained: Trained, tmp_path: Path) -> None:
    features = torch.cat([trained.mixer.batch(5000 + i)[0] for i in range(6)])
    distances = []
    for steps in (0, 100):
        made = replace(recipe, quantization=replace(recipe.quantization, steps=steps))
        (tmp_path / str(steps)).mkdir()
        network = quantize_network(made, uneven(trained), tmp_path / str(steps), lambda _: None)
        with torch.no_grad():
            distances.append(float(distance(network(features), trained.network, features)))
    assert 0 < distances[1] < 0.7 * distances[0]


def test_the_distance_is_that_of_kullback_and_leibler(trained: Trained) -> None:
    features = trained.mixer.batch(5000)[0]
    with torch.no_grad():
        logits = trained.network(features)
        assert float(distance(logits, trained.network, features)) == pytest.approx(0, abs=1e-6)
        p, q = logits.softmax(1), torch.full_like(logits, 1 / 4)
        wanted = float((p * (p / q).log()).sum(1).mean())
        assert float(distance(torch.zeros_like(logits), trained.network, features)) == pytest.approx(wanted, rel=1e-4)


def test_without_steps_it_is_calibration_alone(tune: Callable[..., QuantizedNetwork], trained: Trained) -> None:
    network = tune(steps=0)
    assert not network.training
    assert torch.equal(network.biases["classify"], trained.network.classify.bias)


def test_the_teacher_is_left_alone(tune: Callable[..., QuantizedNetwork], trained: Trained) -> None:
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    tune()
    assert all(torch.equal(value, before[name]) for name, value in trained.network.state_dict().items())


@pytest.mark.parametrize("kill_at", [1, 11, 24])
def test_a_kill_changes_nothing(tune: Callable[..., QuantizedNetwork], kill_at: int) -> None:
    undisturbed = tune("undisturbed")
    with pytest.raises(KilledError):
        tune("killed", kill_at)
    assert same(tune("killed"), undisturbed)


def test_another_recipe_is_refused(tune: Callable[..., QuantizedNetwork]) -> None:
    tune(steps=1)
    with pytest.raises(HarkError, match=r"fine-tune\.pt: belongs to another recipe"):
        tune(steps=1, seed=4)


def test_a_damaged_checkpoint_is_one_line(tune: Callable[..., QuantizedNetwork], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fine-tune.pt").write_bytes(b"\0" * 100)
    with pytest.raises(HarkError, match=r"fine-tune\.pt: not a checkpoint") as caught:
        tune()
    assert "\n" not in str(caught.value)
