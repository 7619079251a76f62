"""A model file is accepted when it is consistent, and refused with one line that says what is wrong."""

import base64
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from onnx import helper

from tinyhark.app import model_file
from tinyhark.app.errors import ModelError
from tinyhark.app.model import Model

MakeModel = Callable[..., Path]


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        Model.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_loads(tiny_model: Path, tiny_metadata: model_file.Metadata) -> None:
    model = Model.load(tiny_model)
    assert model.metadata == tiny_metadata
    assert (model.name, model.labels, model.keywords) == ("tones", tiny_metadata.labels, ["low", "high"])
    assert model.size_bytes == tiny_model.stat().st_size
    model.verify()


def test_metadata_survives_encoding(tiny_metadata: model_file.Metadata) -> None:
    assert model_file.decode(model_file.encode(tiny_metadata)) == tiny_metadata


@given(npst.arrays(np.int16, st.integers(0, model_file.GOLDEN_SAMPLES)))
def test_golden_sound_survives_encoding(sound: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    decoded = model_file.decode_golden(model_file.encode_golden(sound))
    assert decoded.dtype == np.int16
    np.testing.assert_array_equal(decoded, sound)


def test_golden_sound_may_not_be_long() -> None:
    with pytest.raises(ValueError, match="4001 samples"):
        model_file.encode_golden(np.zeros(4001, np.int16))


def test_infer_and_binding_agree(tiny_model: Path) -> None:
    model = Model.load(tiny_model)
    binding = model.bind()
    for seed in range(20):
        window = np.random.default_rng(seed).integers(-128, 128, binding.input.shape).astype(np.int8)
        binding.input[:] = window
        np.testing.assert_array_equal(binding.run(), model.infer(window))


def test_a_clip_is_padded_at_its_end_or_cut(tiny_model: Path) -> None:
    model = Model.load(tiny_model)
    clip = np.random.default_rng(0).integers(-3000, 3000, 20_000).astype(np.int16)
    short = clip[:5000]
    padded = np.concatenate((short, np.zeros(20_000, np.int16)))
    np.testing.assert_array_equal(model.window_of(short), model.window_of(padded))
    np.testing.assert_array_equal(model.window_of(clip), model.window_of(clip[: model.metadata.window_samples]))
    assert model.window_of(clip[:0]).shape == (40, 97)


def change(value: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one value deep inside the metadata; dropping it where the value is None."""

    def apply(fields: dict[str, Any]) -> None:
        for key in path[:-1]:
            fields = fields[key]
        if value is None:
            del fields[path[-1]]
        else:
            fields[path[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change(0, "format"), r"older format \(0; this version reads 1\); export the model again"),
        (change(2, "format"), r"newer format \(2; .*update tinyhark"),
        (change(None, "format"), "missing required field `format`"),
        (change(None, "golden"), "missing required field `golden`"),
        (change(None, "keywords", "low", "rearm"), r"missing required field `rearm` - at `\$.keywords"),
        (change(1, "colour"), "unknown field `colour`"),
        (change("no", "window_frames"), r"Expected `int`, got `str` - at `\$.window_frames`"),
        (change("f" * 64, "front_end", "digest"), "another front end"),
        (change(200, "front_end", "hop"), "hop of 200 samples"),
        (change(41, "front_end", "n_mfcc"), "n_mfcc 41"),
        (change([0] * 39, "offset"), "39 values in offset; it must have 40"),
        (change([2**31] + [0] * 39, "offset"), "2147483648 in offset"),
        (change([-1] + [1] * 39, "multiplier"), "-1 in multiplier"),
        (change([40_000] * 40, "multiplier"), "40000 in multiplier"),
        (change([32768] * 255, "posterior_table"), "255 values in posterior_table; it must have 256"),
        (change([32769] + [0] * 255, "posterior_table"), "32769 in posterior_table"),
        (change([32767] + [0] * 255, "posterior_table"), "does not fall from 32768"),
        (change([32768, 5, 6] + [0] * 253, "posterior_table"), "does not fall from 32768"),
        (change(0, "stride_frames"), "stride_frames 0"),
        (change(98, "stride_frames"), "stride_frames 98"),
        (change(-1.0, "exclusion_ms"), "exclusion_ms is -1.0"),
        (
            change(1e308, "exclusion_ms"),
            r"exclusion_ms is 1e\+308; it must be a number of milliseconds from 0 to 3600000",
        ),
        (change(1e9, "keywords", "low", "smoothing_ms"), "'low': smoothing_ms is 1000000000"),
        (change(["_silence_", "_unknown_", "low", "\x1b[31m"], "labels"), r"\\x1b\[31m.* without control characters"),
        (change(1.5, "keywords", "low", "threshold"), "'low': threshold is 1.5"),
        (change(None, "keywords", "low"), "parameters for the keywords"),
        (change(["_silence_", "_unknown_", "low", "low"], "labels"), "must be different"),
        (change([1, 2, 3], "golden", "logits"), "3 values in golden logits"),
        (change("not base64!", "golden", "samples"), "unreadable golden input"),
        (change("AAAA", "golden", "samples"), "unreadable golden input"),
    ],
)
def test_wrong_metadata_is_refused(
    model_with: MakeModel, tiny_metadata: model_file.Metadata, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    fields = msgspec.to_builtins(tiny_metadata)
    edit(fields)
    assert re.search(message, refusal(model_with(text=msgspec.json.encode(fields).decode())))


def test_a_golden_input_cannot_fill_the_memory() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    with pytest.raises(ModelError, match="unreadable golden input"):
        model_file.decode_golden(bomb)


def test_metadata_that_is_no_json_is_refused(model_with: MakeModel) -> None:
    assert "unusable metadata" in refusal(model_with(text="{"))


def test_a_network_of_another_shape_is_refused(model_with: MakeModel, tiny_network: onnx.ModelProto) -> None:
    network = onnx.ModelProto()
    network.CopyFrom(tiny_network)
    for node in network.graph.node:
        if node.op_type == "AveragePool":
            node.CopyFrom(helper.make_node("AveragePool", ["x"], ["mean"], kernel_shape=[65]))
    network.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 65
    assert "its metadata asks for one tensor(int8) [1, 40, 97]" in refusal(model_with(network=network))


def test_an_onnx_file_without_metadata_is_refused(tmp_path: Path, tiny_network: onnx.ModelProto) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(tiny_network.SerializeToString())
    assert "without tinyhark's metadata" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"RIFF, no network", bytes(1000)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    assert refusal(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.onnx")
    assert "no such model file" in refusal(tmp_path / "none.onnx")


def test_verify_finds_other_features(model_with: MakeModel, tiny_metadata: model_file.Metadata) -> None:
    golden = msgspec.to_builtins(tiny_metadata.golden) | {"features_sha256": "0" * 64}
    with pytest.raises(ModelError, match="features of its golden input differ"):
        Model.load(model_with(golden=golden)).verify()


@pytest.mark.parametrize(("off", "accepted"), [(1, True), (-1, True), (2, False), (-2, False)])
def test_verify_lets_codes_differ_by_one(
    model_with: MakeModel, tiny_metadata: model_file.Metadata, off: int, accepted: bool
) -> None:
    golden = msgspec.to_builtins(tiny_metadata.golden)
    golden["logits"][1] += off
    model = Model.load(model_with(golden=golden))
    if accepted:
        model.verify()
    else:
        with pytest.raises(ModelError, match="off by 2 codes"):
            model.verify()
