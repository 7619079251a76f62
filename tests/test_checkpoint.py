"""Checkpoints: whole or not there, of this recipe or refused; the average of the weights."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tinyhark.app.errors import HarkError  # noqa: E402
from tinyhark.training.checkpoint import Average, cpu_state, load, save  # noqa: E402

STATE: dict[str, Any] = {"recipe": "abc", "step": 7, "network": {"w": torch.arange(6.0).reshape(2, 3)}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save(tmp_path / "checkpoint.pt", STATE)
    return tmp_path / "checkpoint.pt"


def test_what_was_saved_is_loaded(file: Path) -> None:
    got = load(file, "abc")
    assert got
    assert (got["recipe"], got["step"]) == ("abc", 7)
    assert torch.equal(got["network"]["w"], STATE["network"]["w"])
    assert [path.name for path in file.parent.iterdir()] == ["checkpoint.pt"]


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "checkpoint.pt", "abc") is None


def test_another_recipe_is_refused(file: Path) -> None:
    with pytest.raises(HarkError, match=r"checkpoint\.pt: belongs to another recipe.*another folder") as caught:
        load(file, "abd")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped"])
def test_a_damaged_one_is_one_line(file: Path, damage: str) -> None:
    data = file.read_bytes()
    at = data.index(b"abc")
    flipped = data[:at] + b"\xff\xff\xff" + data[at + 3 :]
    half = data[: len(data) // 2]
    file.write_bytes({"empty": b"", "cut": half, "text": b"no checkpoint", "flipped": flipped}[damage])
    with pytest.raises(HarkError) as caught:
        load(file, "abc")
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_something_else_that_torch_saved(file: Path) -> None:
    torch.save(torch.zeros(3), file)
    with pytest.raises(HarkError, match="not a checkpoint"):
        load(file, "abc")


def test_code_in_a_checkpoint_is_not_run(file: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "trapped",)

    torch.save({"recipe": "abc", "trap": Trap()}, file)
    with pytest.raises(HarkError, match="not a checkpoint"):
        load(file, "abc")
    assert not (tmp_path / "trapped").exists()


def test_half_of_a_newer_one_does_no_harm(file: Path) -> None:
    file.with_suffix(".part").write_bytes(b"half")
    assert load(file, "abc")
    save(file, STATE | {"step": 8})
    got = load(file, "abc")
    assert got
    assert got["step"] == 8
    assert [path.name for path in file.parent.iterdir()] == ["checkpoint.pt"]


def test_the_average_follows_and_forgets() -> None:
    network = nn.BatchNorm2d(2)
    average = Average(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(3)
    network.num_batches_tracked += 5
    average.update(network, 0)
    assert average.state["weight"].tolist() == pytest.approx([1 + 2 * 0.9] * 2), "a young average forgets fast: 1 / 10"
    assert int(average.state["num_batches_tracked"]) == 5, "whole numbers are taken over"
    for step in range(1000, 1010):
        average.update(network, step)
    assert average.state["weight"].tolist() == pytest.approx([3 - 0.2 * 0.9**10] * 2)
    assert network.weight.tolist() == [3, 3]


def test_a_state_is_a_copy() -> None:
    layer = nn.Linear(2, 2)
    state = cpu_state(layer)
    with torch.no_grad():
        layer.weight.add_(1)
    assert not torch.equal(state["weight"], layer.weight)
    assert not state["weight"].requires_grad
