"""`hark models` and `hark doctor`: what is installed, whether it works, and what mends it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tinyhark.app import catalog, model_file
from tinyhark.app.cli import hark


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "tinyhark" / "models"


@pytest.fixture(autouse=True)
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(catalog, "packaged_dir", lambda: folder)
    return folder


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(hark, [*map(str, arguments)], catch_exceptions=False)


def test_add_list_use_remove(tiny_model: Path, home: Path) -> None:
    added = invoke("models", "add", tiny_model)
    assert (added.exit_code, added.stdout) == (0, f"added tones (low, high): {home / 'tones.onnx'}\n")
    for arguments in (("models",), ("models", "list")):
        shown = invoke(*arguments).stdout
        size_kb = f"{tiny_model.stat().st_size / 1000:.0f} kB"
        for fact in ("tones: 2 keywords", size_kb, "Apache-2.0", "97.5 % of 400 clips", "low high", "added"):
            assert fact in shown
    fields = json.loads(invoke("models", "list", "--json").stdout)
    assert fields["keywords"] == ["low", "high"]
    assert fields["size_bytes"] == tiny_model.stat().st_size
    assert invoke("models", "add", tiny_model).exit_code == 2
    assert invoke("models", "add", tiny_model, "--force").exit_code == 0
    assert invoke("models", "add", tiny_model, "--name", "other").exit_code == 0
    assert invoke("models", "remove", "tones").exit_code == 0
    assert [path.name for path in home.iterdir()] == ["other.onnx"]


def test_none_installed() -> None:
    result = invoke("models")
    assert (result.exit_code, result.stdout) == (0, "no models are installed; `hark models add FILE` adds one\n")


def test_a_model_that_fails_its_golden_input_is_not_added(
    model_with: Callable[..., Path], tiny_metadata: model_file.Metadata, home: Path
) -> None:
    golden = msgspec.to_builtins(tiny_metadata.golden) | {"features_sha256": "0" * 64}
    result = invoke("models", "add", model_with(golden=golden))
    assert result.exit_code == 2
    assert "features of its golden input differ" in result.stderr
    assert not home.exists()


def test_a_broken_model_is_said_and_the_others_listed(tiny_model: Path, home: Path) -> None:
    invoke("models", "add", tiny_model)
    (home / "broken.onnx").write_bytes(b"broken")
    result = invoke("models")
    assert result.exit_code == 2
    assert "tones: 2 keywords" in result.stdout
    assert re.fullmatch(r"hark: \S+broken.onnx: cannot be loaded as an ONNX network: .*\n", result.stderr)


def test_removing_what_is_not_there() -> None:
    result = invoke("models", "remove", "nothing")
    assert (result.exit_code, result.stderr) == (2, "hark: no model 'nothing' was added; there are: none\n")


def test_doctor_is_content(tiny_model: Path) -> None:
    result = invoke("doctor", "--model", tiny_model)
    assert result.exit_code == 0
    assert re.search(r"^ok +model tones: low, high;", result.stdout, re.M)
    assert re.search(r"^ok +libraries: numpy .*onnxruntime ", result.stdout, re.M)
    assert re.search(r"^(ok|warning) +microphone: ", result.stdout, re.M)
    assert not re.search(r"^problem", result.stdout, re.M)


def test_doctor_finds_a_model_that_fails(
    model_with: Callable[..., Path], tiny_metadata: model_file.Metadata, home: Path, tiny_model: Path
) -> None:
    golden = msgspec.to_builtins(tiny_metadata.golden)
    golden["logits"][0] -= 9
    home.mkdir(parents=True)
    model_with(golden=golden).rename(home / "bad.onnx")
    result = invoke("doctor", "--model", tiny_model)
    assert result.exit_code == 1
    assert re.search(r"^problem model: \S+bad.onnx: .*off by 9 codes.*\(get the file again\)$", result.stdout, re.M)


def test_doctor_without_a_model() -> None:
    result = invoke("doctor")
    assert result.exit_code == 1
    assert re.search(r"^problem model: no model is named 'commands'", result.stdout, re.M)


def test_doctor_finds_a_damaged_packaged_model(packaged: Path) -> None:
    (packaged / "commands.onnx").write_bytes(b"damaged")
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "(pip install --force-reinstall tinyhark)" in result.stdout


def test_a_licence_is_shown_as_one_line(model_with: Callable[..., Path]) -> None:
    assert invoke("models", "add", model_with(licence="\x1b[31m\nfree")).exit_code == 0
    shown = invoke("models").stdout
    assert r"\x1b[31m\nfree" in shown
    assert shown.count("\n") == 3
