"""The model file: complete, loadable, the same bytes for the same network, and not there at all without parity."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tinyhark.app.errors import HarkError, ModelError
from tinyhark.app.model import Model
from tinyhark.app.model_file import GOLDEN_SAMPLES, DataSource, KeywordSpec, decode_golden
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.front_end import DIGEST
from tinyhark.dsp.posterior import posterior_table

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from tinyhark.export.model_export import (  # noqa: E402
    Description,
    add_metrics,
    export_model,
    made_golden,
    with_metadata,
)
from tinyhark.export.parity import Parity  # noqa: E402
from tinyhark.export.quantization import QuantizedNetwork  # noqa: E402

METRICS: dict[str, float | str | int] = {"accuracy": 0.5, "accuracy_clips": 48, "accuracy_data": "windows by chance"}


@pytest.fixture(scope="module")
def description() -> Description:
    rng = np.random.default_rng(1)
    return Description(
        "tones",
        ("_silence_", "_unknown_", "low", "high"),
        rng.integers(-(2**20), 2**20, 40).astype(np.int32),
        rng.integers(1000, 9000, 40).astype(np.int16),
        97,
        4,
        250.0,
        {word: KeywordSpec(0.6, 200, 0.6, 400, []) for word in ("low", "high")},
        (DataSource("tones", "own", "made by the tests", 48),),
        "ab" * 32,
        7,
        {"torch": "x"},
        "Apache-2.0",
    )


Export = Callable[..., Parity]


@pytest.fixture
def export(quantized_of: Callable[..., QuantizedNetwork], description: Description, windows: Tensor) -> Export:
    def run(path: Path, network: QuantizedNetwork | None = None) -> Parity:
        return export_model(network or quantized_of(), description, windows, 1 / 32, METRICS, path)

    return run


class Disagreeing(QuantizedNetwork):
    """A network whose simulation takes every label for the next one."""

    def codes(self, x: Tensor) -> Tensor:
        return super().codes(x).roll(1, 1)


@pytest.fixture
def disagreeing(quantized_of: Callable[..., QuantizedNetwork]) -> QuantizedNetwork:
    network = quantized_of()
    network.__class__ = Disagreeing
    return network


def test_the_file_loads_and_answers(export: Export, tmp_path: Path, description: Description, windows: Tensor) -> None:
    parity = export(tmp_path / "deep" / "tones.onnx")
    assert parity == Parity(len(windows), 1.0, 1.0)
    model = Model.load(tmp_path / "deep" / "tones.onnx")
    model.verify()
    assert model.labels == list(description.labels)
    assert model.keywords == ["low", "high"]
    assert Spotter(model).feed(np.zeros(32_000, np.int16)) is not None
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["tones.onnx"]


@pytest.mark.parametrize("shape", [{"padded": False}, {"kind": "2d"}, {"kind": "2d", "padded": False}])
def test_every_kind_of_network_becomes_a_file(
    export: Export, tmp_path: Path, quantized_of: Callable[..., QuantizedNetwork], shape: dict[str, object]
) -> None:
    export(tmp_path / "net.onnx", quantized_of(**shape))
    Model.load(tmp_path / "net.onnx").verify()


def test_the_metadata_is_complete(
    export: Export, tmp_path: Path, description: Description, quantized_of: Callable[..., QuantizedNetwork]
) -> None:
    export(tmp_path / "tones.onnx")
    metadata = Model.load(tmp_path / "tones.onnx").metadata
    front_end = metadata.front_end
    assert (front_end.hop, front_end.bands, front_end.n_mfcc, front_end.digest) == (160, 40, 40, DIGEST)
    assert metadata.offset == description.offset.tolist()
    assert metadata.multiplier == description.multiplier.tolist()
    assert (metadata.window_frames, metadata.stride_frames, metadata.exclusion_ms) == (97, 4, 250)
    assert metadata.keywords == description.keywords
    assert metadata.licence == "Apache-2.0"
    assert metadata.posterior_table == posterior_table(quantized_of().logit_scale).tolist()
    provenance = metadata.provenance
    assert provenance.data == list(description.data)
    assert (provenance.recipe_digest, provenance.seed) == ("ab" * 32, 7)
    assert provenance.versions == {"torch": "x"}
    assert provenance.metrics == METRICS | {
        "parity_windows": 48,
        "parity_codes_within_one": 1.0,
        "parity_same_winner": 1.0,
    }


def test_the_golden_input_is_sound_that_was_made(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "tones.onnx")
    model = Model.load(tmp_path / "tones.onnx")
    sound = decode_golden(model.metadata.golden.samples)
    np.testing.assert_array_equal(sound, made_golden())
    assert len(sound) <= GOLDEN_SAMPLES
    assert np.abs(sound.astype(int)).max() > 3000
    assert len(model.metadata.golden.samples) < 4000, "it packs well"
    assert model.infer(model.window_of(sound)).tolist() == model.metadata.golden.logits


def test_the_same_input_gives_the_same_bytes(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "one.onnx")
    export(tmp_path / "two.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_nothing_is_written_without_parity(export: Export, tmp_path: Path, disagreeing: QuantizedNetwork) -> None:
    with pytest.raises(ModelError, match=r"^tones: .*nothing was written$"):
        export(tmp_path / "tones.onnx", disagreeing)
    assert not list(tmp_path.iterdir())


def test_an_older_file_stays_without_parity(export: Export, tmp_path: Path, disagreeing: QuantizedNetwork) -> None:
    export(tmp_path / "tones.onnx")
    before = (tmp_path / "tones.onnx").read_bytes()
    with pytest.raises(ModelError):
        export(tmp_path / "tones.onnx", disagreeing)
    assert (tmp_path / "tones.onnx").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["tones.onnx"]


def test_metadata_that_no_spotter_could_follow_is_not_written(
    quantized_of: Callable[..., QuantizedNetwork], description: Description, windows: Tensor, tmp_path: Path
) -> None:
    wrong = replace(description, keywords={"low": KeywordSpec(0.6, 200, 0.6, 400, [])})
    with pytest.raises(ModelError, match="high"):
        export_model(quantized_of(), wrong, windows, 1 / 32, METRICS, tmp_path / "tones.onnx")
    assert not list(tmp_path.iterdir())


def test_metrics_that_are_no_numbers_are_not_written(
    quantized_of: Callable[..., QuantizedNetwork], description: Description, windows: Tensor, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="accuracy"):
        export_model(quantized_of(), description, windows, 1 / 32, {"accuracy": float("nan")}, tmp_path / "tones.onnx")
    assert not list(tmp_path.iterdir())


def test_metadata_is_replaced_and_the_network_is_not(export: Export, tmp_path: Path, windows: Tensor) -> None:
    path = tmp_path / "tones.onnx"
    export(path)
    before = Model.load(path)
    window = (windows[3] * 32).to(torch.int8).numpy()
    add_metrics(path, {"off_recall": 0.9, "accuracy": 0.6})
    after = Model.load(path)
    after.verify()
    assert after.metadata.provenance.metrics == before.metadata.provenance.metrics | {
        "off_recall": 0.9,
        "accuracy": 0.6,
    }
    keywords = {word: msgspec.structs.replace(spec, threshold=0.9) for word, spec in after.metadata.keywords.items()}
    with_metadata(path, msgspec.structs.replace(after.metadata, keywords=keywords))
    assert Model.load(path).metadata.keywords["low"].threshold == 0.9
    np.testing.assert_array_equal(Model.load(path).infer(window), before.infer(window))
    assert [file.name for file in tmp_path.iterdir()] == ["tones.onnx"]


def test_a_place_that_cannot_be_written_is_one_line(export: Export, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HarkError, match="cannot be written"):
        export(tmp_path / "file" / "tones.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(HarkError, match="cannot be written"):
        export(tmp_path / "folder.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.onnx"]


def test_wrong_metadata_leaves_the_file(export: Export, tmp_path: Path) -> None:
    path = tmp_path / "tones.onnx"
    export(path)
    before = path.read_bytes()
    with pytest.raises(ModelError, match="accuracy is inf"):
        add_metrics(path, {"accuracy": float("inf")})
    metadata = Model.load(path).metadata
    with pytest.raises(ModelError):
        with_metadata(path, msgspec.structs.replace(metadata, stride_frames=0))
    assert path.read_bytes() == before
