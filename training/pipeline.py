"""From a recipe and its stores to an exported, judged model file."""

import json
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from tinyhark.app import __version__
from tinyhark.app.model_file import DataSource, KeywordSpec
from tinyhark.dsp.intervals import wilson
from tinyhark.export.model_export import Description, export_model
from tinyhark.export.quantization import QuantizedNetwork

from .cost import multiply_accumulates, stream_multiply_accumulates
from .fine_tune import quantize_network
from .mixing import FEATURE_SCALE, Mixer
from .pool import build_pool
from .recipe import Recipe, StoreSpec
from .store import Store
from .train import Process, Start, Trained, train_network
from .validation import judge

PARITY_BATCHES = 20  # windows of training kind, beside all of validation

Report = Callable[[str, int, int, dict[str, float]], None]  # stage, steps done, steps in all, metrics


@dataclass(frozen=True)
class Outcome:
    """The model file and what was measured on the way."""

    path: Path
    metrics: dict[str, float | str | int]


def train_model(
    recipe: Recipe,
    stores: Path,
    run: Path,
    path: Path,
    report: Report,
    *,
    mined: Sequence[StoreSpec] = (),
    start: Start | None = None,
) -> Outcome | None:
    """Train, quantize, export; None on every process but the first. Goes on where a killed run left off.

    mined: stores to train on beside the recipe's; start: the run whose weights to begin with.
    """
    process = Process.join()
    if process.rank == 0:
        run.mkdir(parents=True, exist_ok=True)
    steps = recipe.training.steps
    report("reading the stores", 0, steps, {})
    pool = build_pool(replace(recipe, store=(*recipe.store, *mined)), stores)
    mixer = Mixer(pool, recipe, process.device)
    trained = train_network(
        recipe, mixer, stores, run, process, lambda done, metrics: report("training", done, steps, metrics), start
    )
    if process.rank:
        return None
    tuning = recipe.quantization.steps
    network = quantize_network(recipe, trained, run, lambda done: report("int8", done, tuning, {}))
    report("exporting", 0, 1, {})
    metrics = measure(recipe, trained, network)
    windows = torch.cat(
        [trained.validation.features, *(mixer.batch(-1 - i & 0xFFFF)[0].cpu() for i in range(PARITY_BATCHES))]
    )
    parity = export_model(network, describe(recipe, trained, stores), windows, FEATURE_SCALE, metrics, path)
    metrics["parity_codes_within_one"] = parity.within_one
    (run / "outcome.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return Outcome(path, metrics)


@torch.no_grad()
def measure(recipe: Recipe, trained: Trained, network: QuantizedNetwork) -> dict[str, float | str | int]:
    """Accuracy of both networks on the validation clips, their agreement, and what a window costs."""
    validation = trained.validation
    float_network = trained.network
    float_network.cpu()
    in_float, in_int8 = judge(float_network, validation), judge(network, validation)
    count = len(validation.labels)
    anew, reused = stream_multiply_accumulates(float_network, recipe)
    low, high = wilson(round(in_int8["accuracy"] * count), count)
    return {
        "accuracy": round(in_int8["accuracy"], 5),
        "accuracy_low": round(low, 5),
        "accuracy_high": round(high, 5),
        "accuracy_clips": count,
        "accuracy_data": f"{recipe.validation}, clips, unknown weighted as one keyword, silence left out",
        "keyword_recall": round(in_int8["keyword_recall"], 5),
        "unknown_recall": round(in_int8["unknown_recall"], 5),
        "float_accuracy": round(in_float["accuracy"], 5),
        "float_same_winner": round(agreement(float_network(validation.features), network(validation.features)), 5),
        "parameters": sum(p.numel() for p in network.parameters()),
        "multiply_accumulates_window": multiply_accumulates(float_network, recipe.n_mfcc, recipe.window_frames),
        "multiply_accumulates_second": anew,
        "multiply_accumulates_second_reusing_columns": reused,
        "time_stride_frames": recipe.network.stride,
    }


def agreement(one: Tensor, other: Tensor) -> float:
    """Share of rows with the same winner."""
    return float((one.argmax(1) == other.argmax(1)).float().mean())


def describe(recipe: Recipe, trained: Trained, stores: Path) -> Description:
    """What goes into the model file beside the network."""
    import onnxruntime  # after tinyhark.app, which keeps it from reporting

    spec = recipe.detection
    keywords = {
        word: KeywordSpec(
            spec.thresholds.get(word, spec.threshold), spec.smoothing_ms, spec.rearm, spec.refractory_ms, []
        )
        for word in recipe.keywords
    }
    versions = {"tinyhark": __version__, "torch": str(torch.__version__), "onnxruntime": onnxruntime.__version__}
    return Description(
        recipe.name,
        recipe.labels,
        trained.normalisation.offset,
        trained.normalisation.multiplier,
        recipe.window_frames,
        spec.stride_frames,
        spec.exclusion_ms,
        keywords,
        tuple(data_sources(recipe, stores)),
        recipe.digest,
        recipe.seed,
        versions | {"python": platform.python_version(), "numpy": np.__version__},
        recipe.licence,
    )


def data_sources(recipe: Recipe, stores: Path) -> list[DataSource]:
    """The origins of the clips, with licence, credit and how many there are."""
    counts: Counter[tuple[str, str]] = Counter()
    credit: dict[str, str] = {}
    for spec in {spec.path: spec for spec in reversed(recipe.store)}.values():  # a store may serve two uses
        for clip in Store.load(stores / spec.path).clips:
            counts[clip.origin, clip.licence] += 1
            credit.setdefault(clip.origin, spec.credit)
    return [DataSource(origin, licence, credit[origin], n) for (origin, licence), n in sorted(counts.items())]
