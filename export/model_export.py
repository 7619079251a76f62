"""A quantized network with its metadata to a model file, written only when onnxruntime agrees with torch."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinyhark.app.errors import HarkError, ModelError
from tinyhark.app.model import Model
from tinyhark.app.model_file import (
    FORMAT,
    METADATA_KEY,
    DataSource,
    FrontEndSpec,
    Golden,
    KeywordSpec,
    Metadata,
    Provenance,
    clip_window,
    encode,
    encode_golden,
    window_digest,
)
from tinyhark.app.session import open_session
from tinyhark.dsp.front_end import DIGEST, Samples
from tinyhark.dsp.posterior import posterior_table
from tinyhark.dsp.tables import BANDS, HOP_SAMPLES

from .onnx_graph import to_onnx
from .parity import Parity, compare, require
from .quantization import QuantizedNetwork


@dataclass(frozen=True)
class Description:
    """What a model file says beside its network."""

    name: str
    labels: tuple[str, ...]
    offset: NDArray[np.int32]
    multiplier: NDArray[np.int16]
    window_frames: int
    stride_frames: int
    exclusion_ms: float
    keywords: dict[str, KeywordSpec]
    data: tuple[DataSource, ...]
    recipe_digest: str
    seed: int
    versions: dict[str, str]
    licence: str


def made_golden() -> Samples:
    """A golden input that is nobody's recording: a fifth of a second of a sweeping tone, coarse to pack well."""
    t = np.arange(3200) / 16_000
    tone = np.sin(2 * np.pi * (300 * t + 3000 * t * t)) * np.minimum(1, 20 * t)
    sound: Samples = (np.round(tone * 24) * 256).astype(np.int16)
    return sound


def codes_of(model_bytes: bytes, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """[windows, n_mfcc, frames] int8 -> [windows, labels] int8 by onnxruntime, as every part of tinyhark opens it."""
    session = open_session(model_bytes)
    return np.concatenate([session.run(None, {"features": window[None]})[0] for window in windows])


def export_model(
    network: QuantizedNetwork,
    description: Description,
    windows: Tensor,
    input_scale: float,
    metrics: dict[str, float | str | int],
    path: Path,
) -> Parity:
    """Write the model file to `path` if parity holds on `windows` [n, n_mfcc, frames], as the network takes them.

    Raises ModelError where it does not.
    """
    labels, n_mfcc = description.labels, len(description.offset)
    network = network.cpu().eval()
    model = to_onnx(network, n_mfcc, description.window_frames, len(labels), description.name)
    body = model.SerializeToString()
    integers = (windows / input_scale).round().to(torch.int8).numpy()
    exact = network.exact()
    torch_codes = torch.cat([exact.codes(part.double()) for part in torch.split(windows, 256)]).numpy()
    parity = compare(torch_codes, codes_of(body, integers))
    require(parity, description.name)
    metrics = metrics | {
        "parity_windows": parity.windows,
        "parity_codes_within_one": round(parity.within_one, 6),
        "parity_same_winner": round(parity.same_winner, 6),
    }
    _require_numbers(metrics, description.name)
    _write(model, _metadata(network, description, body, metrics), path)
    return parity


def _require_numbers(metrics: dict[str, float | str | int], what: str) -> None:
    for name, value in metrics.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelError(f"{what}: the metric {name} is {value}, which a model file cannot hold")


def _write(model: onnx.ModelProto, metadata: Metadata, path: Path) -> None:
    """Write the file beside `path`, rename it only when it loads and answers as it should."""
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=encode(metadata))
    beside = path.with_name(path.name + ".part")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(model.SerializeToString())
        Model.load(beside).verify()
        beside.replace(path)
    except OSError as error:
        raise HarkError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _metadata(
    network: QuantizedNetwork, description: Description, body: bytes, metrics: dict[str, float | str | int]
) -> Metadata:
    front_end = FrontEndSpec(HOP_SAMPLES, BANDS, len(description.offset), DIGEST)
    offset, multiplier = description.offset.tolist(), description.multiplier.tolist()
    sound = made_golden()
    window = clip_window(sound, front_end, offset, multiplier, description.window_frames)
    golden = Golden(encode_golden(sound), window_digest(window), codes_of(body, window[None])[0].tolist())
    provenance = Provenance(
        list(description.data), description.recipe_digest, description.seed, description.versions, metrics
    )
    return Metadata(
        format=FORMAT,
        labels=list(description.labels),
        front_end=front_end,
        offset=offset,
        multiplier=multiplier,
        window_frames=description.window_frames,
        stride_frames=description.stride_frames,
        posterior_table=posterior_table(network.logit_scale).tolist(),
        exclusion_ms=description.exclusion_ms,
        keywords=description.keywords,
        provenance=provenance,
        licence=description.licence,
        golden=golden,
    )


def with_metadata(path: Path, metadata: Metadata) -> None:
    """Replace the metadata of the model file at `path`, whole or not at all."""
    _write(onnx.load(path), metadata, path)


def add_metrics(path: Path, metrics: dict[str, float | str | int]) -> None:
    """Add `metrics` to those in the model file at `path`."""
    _require_numbers(metrics, str(path))
    metadata = Model.load(path).metadata
    provenance = msgspec.structs.replace(metadata.provenance, metrics=metadata.provenance.metrics | metrics)
    with_metadata(path, msgspec.structs.replace(metadata, provenance=provenance))
