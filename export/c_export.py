"""A model file to a self-contained C99 project."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from tinyhark.app.atomic import write_text
from tinyhark.app.errors import ModelError
from tinyhark.app.model import Model
from tinyhark.app.model_file import Metadata
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from . import c_tables
from .c_expected import expectations
from .c_network import Network, read_network

TEMPLATES = Path(__file__).with_name("c")
COPIED = (
    "hark_frontend.c",
    "hark_frontend.h",
    "hark_tables.h",
    "hark_model.c",
    "hark_model.h",
    "hark_spotter.c",
    "hark_spotter.h",
    "README.md",
    "Makefile",
    "CMakeLists.txt",
    "examples/hark_wav.c",
    "test/hark_test.c",
    "test/hark_fuzz.c",
    "arm/run",
    "arm/link.ld",
    "arm/startup.c",
    "arm/count.c",
)


@dataclass(frozen=True)
class Export:
    """What was written: the network; multiply-accumulates a second of sound, and of a whole window."""

    network: Network
    second: int
    window: int


def export_c(model: Model, out: Path) -> Export:
    """Write the C project of a model into the folder `out`; raises ModelError for a network of another form."""
    try:
        network = read_network(onnx.load(model.path))
        _check(network, model.metadata)
        texts = dict(_texts(model, network))
    except ModelError as error:
        raise ModelError(f"{model.path}: {error}") from error
    for name, text in texts.items():
        write_text(out / name, text)
    window, second = costs(network, model.metadata)
    return Export(network, second, window)


def costs(network: Network, metadata: Metadata) -> tuple[int, int]:
    """Multiply-accumulates of a whole window, and of a second of a stream as the C project computes it."""
    stem, count = network.stem, _stem_columns(network, metadata)
    window, column = count * stem.multiply_accumulates, stem.multiply_accumulates
    for block in network.blocks:
        count -= block.depthwise.taps - 1 - 2 * block.depthwise.padding
        each = block.depthwise.multiply_accumulates + block.pointwise.multiply_accumulates
        window, column = window + count * each, column + each
    window += network.classifier.multiply_accumulates
    frames = SAMPLE_RATE_HZ / metadata.front_end.hop
    windows = frames / metadata.stride_frames
    if network.padded:
        return window, round(window * windows)
    return window, round(column * frames / stem.stride + network.classifier.multiply_accumulates * windows)


def _stem_columns(network: Network, metadata: Metadata) -> int:
    stem = network.stem
    return (metadata.window_frames + 2 * stem.padding - stem.taps) // stem.stride + 1


def _check(network: Network, metadata: Metadata) -> None:
    """What the C sources take for granted."""
    if not network.padded and metadata.stride_frames % network.stem.stride:
        raise ModelError(
            f"its windows are {metadata.stride_frames} frames apart; C that keeps columns needs a multiple of the "
            f"network's stride, {network.stem.stride}"
        )


def _texts(model: Model, network: Network) -> Iterator[tuple[str, str]]:
    metadata = model.metadata
    for name in COPIED:
        yield name, (TEMPLATES / name).read_text(encoding="utf-8")
    yield "hark_config.h", c_tables.configuration(metadata, network)
    yield "hark_weights.h", c_tables.layers(metadata, network)
    yield "hark_decision.h", c_tables.decision(metadata)
    yield "test/hark_expected.h", expectations(model)
