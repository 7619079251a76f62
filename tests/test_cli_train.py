"""`hark train`: from a recipe to a model that hears, after a kill too; what is wrong is one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from tinyhark.app.cli import hark
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.training.recipe import Recipe

torch = pytest.importorskip("torch")

Sound = NDArray[np.int16]


@pytest.fixture
def train(tmp_path: Path, stores: Path) -> Callable[..., Result]:
    """`train(recipe, ...)`: `hark train` on the stores of the tests, into tmp_path/run."""

    def run(recipe: object, *arguments: object) -> Result:
        options = ["--stores", str(stores), "--run", str(tmp_path / "run"), "--threads", "1"]
        return CliRunner().invoke(hark, ["train", str(recipe), *options, *map(str, arguments)])

    return run


@pytest.fixture
def recipe_file(tmp_path: Path, recipe_text: Callable[..., str]) -> Path:
    path = tmp_path / "tones.toml"
    path.write_text(recipe_text())
    return path


def refusal(result: Result) -> str:
    """The one line of a refusal; progress may stand before it."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("reading the stores")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("hark: ")
    return lines[0]


def steps_of(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(file, weights_only=True)["network"]
    return state


def same_weights(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_from_a_recipe_to_a_model_that_hears(
    train: Callable[..., Result], recipe_file: Path, tmp_path: Path, trained_run: Path, word_clip: Callable[..., Sound]
) -> None:
    result = train(recipe_file, "--out", tmp_path / "models" / "mine.onnx")
    assert result.exit_code == 0, result.output
    model = Model.load(tmp_path / "models" / "mine.onnx")
    model.verify()
    assert result.stdout.splitlines()[-1] == f"{model.path}: {model.size_bytes:,} bytes"
    assert "training 60/60" in result.stderr
    assert steps_of(tmp_path / "run") == [30, 60]
    assert model.path.read_bytes() == (trained_run / "tones.onnx").read_bytes(), "the same recipe, the same file"
    said = ["low", "middle", "high", "top", "low", "high", "bottom", "low"]
    spotter = Spotter(model)
    heard = spotter.feed(np.concatenate([word_clip(word, 200 + i, seconds=1.5) for i, word in enumerate(said)]))
    heard += spotter.finish()
    right = [d for d in heard if said[min(len(said) - 1, (d.end_sample - 6000) // 24_000)] == d.keyword]
    assert len(right) >= 4, heard
    assert len(heard) - len(right) <= 2, heard


def test_the_file_says_where_it_comes_from(trained_run: Path, recipe: Recipe) -> None:
    metadata = Model.load(trained_run / "tones.onnx").metadata
    provenance = metadata.provenance
    assert [(source.name, source.licence, source.credit, source.clips) for source in provenance.data] == [
        ("tones-noise", "own", "", 2),
        ("tones-speech", "own", "", 4),
        ("tones-words", "own", "made by the tests", 60),
    ]
    assert (provenance.recipe_digest, provenance.seed) == (recipe.digest, 3)
    assert {"tinyhark", "torch", "onnxruntime", "numpy", "python"} == provenance.versions.keys()
    metrics = provenance.metrics
    assert 0.8 < metrics["accuracy"] <= 1
    assert metrics["accuracy_low"] < metrics["accuracy"] <= metrics["accuracy_high"]
    assert metrics["accuracy_clips"] == 40
    assert metrics["parity_codes_within_one"] >= 0.999
    assert metrics["float_same_winner"] > 0.9
    assert metadata.keywords["low"].threshold == 0.5
    assert metadata.stride_frames == recipe.detection.stride_frames
    outcome = json.loads((trained_run / "outcome.json").read_text())
    assert outcome["accuracy"] == metrics["accuracy"]


def test_without_a_label_and_speakers(train: Callable[..., Result], recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("speaker,fold\ns1,0\ns2,1\n")
    options = ["--steps", "8", "--without-label", "top", "--without-speakers", tmp_path / "folds.csv", "--fold", "1"]
    result = train(recipe_file, *options)
    assert result.exit_code == 0, result.output
    table = (tmp_path / "run" / "held-out.csv").read_text().splitlines()
    assert table[0] == "label,clips,right,taken_for_keyword"
    counts = {row.split(",")[0]: int(row.split(",")[1]) for row in table[1:]}
    assert counts == {"bottom": 2, "high": 2, "low": 2, "middle": 2, "top": 20}
    assert "words never heard" in result.stdout


def test_what_is_missing_is_one_line(train: Callable[..., Result], recipe_file: Path, tmp_path: Path) -> None:
    line = refusal(train("nothing-like-it"))
    assert "nothing-like-it" in line
    assert "commands" in line, "the packaged recipes are named"
    assert "none.toml" in refusal(train(tmp_path / "none.toml"))
    line = refusal(train(recipe_file, "--stores", tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere" / "words") in line
    assert "hark features" in line


def test_a_wrong_recipe_is_one_line(
    train: Callable[..., Result], recipe_file: Path, recipe_text: Callable[..., str], tmp_path: Path
) -> None:
    for text, named in (
        ("name = ", "tones.toml"),
        (recipe_text(keys="speed = 3"), "speed"),
        (
            recipe_text().replace("kernel = 5", "kernel = 9\npadded = false").replace("blocks = 2", "blocks = 9"),
            "column",
        ),
        (recipe_text().replace('path = "speech"', 'path = "words"').replace('"low", "high"', '"lo", "high"'), "'lo'"),
    ):
        recipe_file.write_text(text)
        assert named in refusal(train(recipe_file))
    assert refusal(train(tmp_path))


def test_speakers_that_cannot_be_left_out(train: Callable[..., Result], recipe_file: Path, tmp_path: Path) -> None:
    table = tmp_path / "speakers.csv"
    for text, options, named in (
        ("name\nx\n", [], "speaker"),
        ("speaker\ns1\n", ["--fold", "1"], "fold"),
        ("speaker,fold\ns1,0\n", ["--fold", "7"], "no speakers in fold 7"),
        ("", [], "speakers.csv"),
    ):
        table.write_text(text)
        assert named in refusal(train(recipe_file, "--without-speakers", table, *options))


def test_places_that_cannot_be_written_are_said_at_once(
    train: Callable[..., Result], recipe_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file") in refusal(train(recipe_file, "--out", tmp_path / "file" / "x.onnx"))
    assert str(tmp_path / "file") in refusal(train(recipe_file, "--run", tmp_path / "file" / "run"))
    assert "is a folder" in refusal(train(recipe_file, "--out", tmp_path))


def test_a_checkpoint_that_is_none_or_of_another_recipe(
    train: Callable[..., Result], recipe_file: Path, tmp_path: Path, trained_run: Path
) -> None:
    shutil.copytree(trained_run, tmp_path / "run")
    assert "another recipe" in refusal(train(recipe_file, "--steps", "61"))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK\3\4 damaged")
    assert "not a checkpoint" in refusal(train(recipe_file))


def test_a_finished_run_is_exported_again_at_once(
    train: Callable[..., Result], recipe_file: Path, tmp_path: Path, trained_run: Path
) -> None:
    shutil.copytree(trained_run, tmp_path / "run")
    (tmp_path / "run" / "tones.onnx").unlink()
    recipe_file.write_text(recipe_file.read_text().replace("threshold = 0.5", "threshold = 0.7"))
    assert train(recipe_file).exit_code == 0
    metadata = Model.load(tmp_path / "run" / "tones.onnx").metadata
    assert metadata.keywords["low"].threshold == 0.7
    before = Model.load(trained_run / "tones.onnx").metadata
    assert msgspec.structs.replace(metadata, keywords=before.keywords) == before
    assert steps_of(tmp_path / "run") == [30, 60]


class Job:
    """`hark train` as a process of its own."""

    def __init__(self, folder: Path, stores: Path, recipe: Path) -> None:
        self.run = folder
        self.command = [sys.executable, "-m", "tinyhark.app", "train", str(recipe)]
        self.command += ["--stores", str(stores), "--run", str(folder), "--threads", "1"]

    def finish(self) -> None:
        result = subprocess.run(self.command, capture_output=True, text=True, timeout=240, check=False)
        assert result.returncode == 0, result.stderr

    def kill_once(self, reached: Callable[[], bool]) -> None:
        """Start, and SIGKILL as soon as `reached()`."""
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not reached():
                assert process.poll() is None, "it ended before it was killed"
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL


def saved_step(file: Path) -> int:
    try:
        return int(torch.load(file, weights_only=True)["step"]) if file.exists() else 0
    except (RuntimeError, EOFError):
        return 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_kill_9_changes_nothing(tmp_path: Path, stores: Path, recipe_text: Callable[..., str]) -> None:
    recipe = tmp_path / "tones.toml"
    recipe.write_text(recipe_text(steps=240, tuning_steps=160))
    whole, killed = (Job(tmp_path / name / "run", stores, recipe) for name in ("whole", "killed"))
    whole.finish()
    training, tuning = killed.run / "checkpoint.pt", killed.run / "fine-tune.pt"
    metrics = killed.run / "metrics.jsonl"
    killed.kill_once(lambda: metrics.exists() and metrics.stat().st_size > 0)
    assert saved_step(training) < 240
    killed.kill_once(lambda: saved_step(training) >= 120)
    assert 120 <= saved_step(training) < 240
    assert not tuning.exists()
    killed.kill_once(lambda: saved_step(tuning) >= 40)
    assert saved_step(training) == 240
    assert 40 <= saved_step(tuning) < 160
    assert not (killed.run / "tones.onnx").exists()
    killed.finish()
    for name in ("checkpoint.pt", "fine-tune.pt"):
        assert same_weights(whole.run / name, killed.run / name), name
    assert (killed.run / "tones.onnx").read_bytes() == (whole.run / "tones.onnx").read_bytes()
    assert steps_of(killed.run) == steps_of(whole.run) == [30, 60, 90, 120, 150, 180, 210, 240]
    assert {path.name for path in killed.run.iterdir()} == {path.name for path in whole.run.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo and torchrun differ there")
def test_two_processes(tmp_path: Path, stores: Path, recipe_text: Callable[..., str]) -> None:
    recipe = tmp_path / "tones.toml"
    recipe.write_text(recipe_text(steps=40, tuning_steps=5) + "\n[mining]\nrounds = 1\nsteps = 20\nthreshold = 0.01\n")
    job = Job(tmp_path / "run", stores, recipe)
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--no-python",
        "--",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        launcher + job.command, capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    Model.load(tmp_path / "run" / "tones.onnx").verify()
    assert steps_of(tmp_path / "run") == [30, 40]
    assert result.stdout.count("bytes") == 1, "one of them speaks"
    assert result.stderr.count("training 40/40") == 1
    assert "round 1: mining" in result.stderr
