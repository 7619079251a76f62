"""What the tests of training and export share: recordings, stores and a recipe of two words that are tones.

`conftest.py` registers this file as a plugin. torch is imported only where a test has imported it already.
"""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.quantize import to_int16
from tinyhark.training.pool import Pool, build_pool
from tinyhark.training.recipe import AugmentationSpec, NetworkSpec, Recipe, load_recipe
from tinyhark.training.store import Clip, to_q8, write_store

if TYPE_CHECKING:
    from torch import Tensor

    from tinyhark.export.quantization import QuantizedNetwork
    from tinyhark.training.network import DSCNN

Sound = NDArray[np.int16]

RATE_HZ = 16_000
TONES_HZ = {"low": 440.0, "high": 2500.0, "middle": 1100.0, "top": 4200.0, "bottom": 200.0}

RECIPE = """\
name = "tones"
seed = 3
keywords = ["low", "high"]
validation = "validation"
{keys}
[network]
channels = 16
blocks = 2
kernel = 5

[training]
steps = {steps}
batch = 32
learning_rate = 0.01
warmup_steps = 5
ema = 0.9
checkpoint_steps = 20
validate_steps = 30

[quantization]
steps = {tuning_steps}
calibration_batches = 4

[detection]
threshold = 0.5

[[store]]
path = "words"
use = "words"
credit = "made by the tests"

[[store]]
path = "speech"
use = "speech"

[[store]]
path = "noise"
use = "noise"
"""


def pytest_collection_finish() -> None:
    """One thread: the networks here are small, and results must not depend on the machine."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def said(word: str, seed: int, seconds: float = 1.0) -> Sound:
    """A tone of 0.3 to 0.5 s somewhere in `seconds` of faint hiss."""
    rng = np.random.default_rng([seed, len(word), ord(word[0])])
    samples = round(seconds * RATE_HZ)
    length = int(rng.integers(4800, 8000))
    start = int(rng.integers(1600, samples - length - 1600))
    t = np.arange(length) / RATE_HZ
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
    sound = 0.001 * rng.standard_normal(samples)
    sound[start : start + length] += 10 ** (rng.uniform(-20, -6) / 20) * fade * np.sin(2 * np.pi * TONES_HZ[word] * t)
    return to_int16(sound)


def noise_of(seed: int, seconds: float = 4.0) -> Sound:
    """Noise of a level that wavers."""
    rng = np.random.default_rng([seed, 0x6E])
    samples = round(seconds * RATE_HZ)
    swell = 1 + 0.5 * np.sin(np.arange(samples) / RATE_HZ * 5)
    return to_int16(np.clip(0.05 * swell * rng.standard_normal(samples), -1, 1))


@pytest.fixture(scope="session")
def word_clip() -> Callable[..., Sound]:
    """`word_clip("low", seed=1)`: one second of int16 sound with one word, "low", "high" or another tone."""
    return said


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sound files: low/, high/ and middle/, two speakers with two takes each, `<speaker>_<take>.wav`."""
    folder = tmp_path_factory.mktemp("recordings")
    for word in ("low", "high", "middle"):
        (folder / word).mkdir()
        for seed in range(4):
            soundfile.write(folder / word / f"s{seed // 2}_{seed % 2}.wav", said(word, seed), RATE_HZ)
    return folder


def store_of(path: Path, sounds: list[tuple[str, str, Sound]], licence: str = "own") -> None:
    """A store of (label, speaker, sound)."""
    front_end = FrontEnd()
    origin = f"tones-{path.name}"
    clips = [
        (Clip(label, speaker, origin, licence, "train", f"{label}/{i}", 0, 0), to_q8(front_end.log_mel(sound)))
        for i, (label, speaker, sound) in enumerate(sounds)
    ]
    write_store(path, clips, "made by the tests")


@pytest.fixture(scope="session")
def make_store() -> Callable[..., None]:
    """`make_store(path, [(label, speaker, sound)], licence="own")` writes a store."""
    return store_of


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores words (five tones by six speakers), speech, noise and validation (two others)."""
    folder = tmp_path_factory.mktemp("stores")
    store_of(folder / "words", [(w, f"s{seed // 2}", said(w, seed)) for w in TONES_HZ for seed in range(12)])
    store_of(folder / "validation", [(w, f"v{seed % 2}", said(w, seed)) for w in TONES_HZ for seed in range(100, 108)])
    others = ("middle", "top", "bottom")
    joined = [np.concatenate([said(others[(i + j) % 3], 50 + 4 * i + j) for j in range(4)]) for i in range(4)]
    store_of(folder / "speech", [("talk", "", sound) for sound in joined])
    store_of(folder / "noise", [("noise", "", noise_of(seed)) for seed in range(2)])
    return folder


@pytest.fixture(scope="session")
def recipe_text() -> Callable[..., str]:
    """`recipe_text(steps=60)`: the TOML of a recipe for `stores`; keys: further lines before the first table."""

    def make(*, steps: int = 60, tuning_steps: int = 40, keys: str = "") -> str:
        return RECIPE.format(steps=steps, tuning_steps=tuning_steps, keys=keys)

    return make


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, recipe_text: Callable[..., str]) -> Recipe:
    """The recipe of `recipe_text()`."""
    path = tmp_path_factory.mktemp("recipe") / "tones.toml"
    path.write_text(recipe_text())
    return load_recipe(path)


@pytest.fixture(scope="session")
def still() -> AugmentationSpec:
    """Augmentation that changes nothing."""
    return AugmentationSpec(
        rate=(1, 1),
        pitch=(1, 1),
        gain_db=(0, 0),
        free_position_share=0,
        position_frames=0,
        neighbour_share=0,
        noise_share=0,
        mask_share=0,
    )


@pytest.fixture(scope="session")
def pool(recipe: Recipe, stores: Path) -> Pool:
    """The clips of `recipe`."""
    return build_pool(recipe, stores)


@pytest.fixture(scope="session")
def network_of() -> Callable[..., "DSCNN"]:
    """`network_of(kind="1d", padded=False)`: a network [n, 40, 97] -> [n, 4] with weights and statistics by chance."""
    torch = pytest.importorskip("torch")
    from tinyhark.training.network import DSCNN

    def make(frames: int = 97, seed: int = 5, **spec: Any) -> "DSCNN":
        torch.manual_seed(seed)
        network = DSCNN(NetworkSpec(**{"channels": 12, "blocks": 2, "kernel": 5} | spec), 40, frames, 4)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(layer.running_mean, 0, 0.5)
                torch.nn.init.uniform_(layer.running_var, 0.3, 2)
                torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
                torch.nn.init.normal_(layer.bias, 0, 0.3)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def windows() -> "Tensor":
    """[48, 40, 97] features as networks take them: noise, steady rows, edges and extremes, int8 values times 1/32."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    noise = rng.normal(0, 38, (24, 40, 97))
    rows = np.repeat(rng.normal(0, 38, (8, 40, 1)), 97, axis=2)
    ramps = np.linspace(-128, 127, 97) * rng.choice([-1, 1], (6, 40, 1))
    edges = np.where(np.arange(97) < rng.integers(10, 90, (6, 1, 1)), -128, rng.normal(60, 40, (6, 40, 97)))
    flat = np.array([-128, 127, 0, 1])[:, None, None] * np.ones((1, 40, 97))
    codes = np.clip(np.round(np.concatenate([noise, rows, ramps, edges, flat])), -128, 127)
    return torch.from_numpy(codes.astype(np.float32)) / 32


@pytest.fixture(scope="session")
def quantized_of(network_of: Callable[..., "DSCNN"], windows: "Tensor") -> "Callable[..., QuantizedNetwork]":
    """`quantized_of(kind="2d")`: the network of `network_of` in int8, calibrated on `windows`."""
    pytest.importorskip("torch")
    from tinyhark.export.graph import operators
    from tinyhark.export.quantization import QuantizedNetwork

    made: dict[str, QuantizedNetwork] = {}

    def make(**spec: Any) -> "QuantizedNetwork":
        key = repr(sorted(spec.items()))
        if key not in made:
            made[key] = QuantizedNetwork(operators(network_of(**spec)), 1 / 32).eval()
            made[key].calibrate([windows])
        return copy.deepcopy(made[key])

    return make


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, stores: Path) -> Path:
    """A finished run of `recipe`: tones.onnx, checkpoint.pt, fine-tune.pt, metrics.jsonl, outcome.json."""
    pytest.importorskip("torch")
    from tinyhark.training.pipeline import train_model

    run = tmp_path_factory.mktemp("runs") / "tones"
    assert train_model(recipe, stores, run, run / "tones.onnx", lambda *_: None)
    return run
