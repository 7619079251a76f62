"""Where models are looked for, and how a user's own come and go."""

from pathlib import Path

import pytest

from tinyhark.app import catalog
from tinyhark.app.errors import HarkError, ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    return path


def test_add_find_remove(file: Path, home: Path) -> None:
    target = catalog.add(file)
    assert target == home / "tinyhark" / "models" / "mine.onnx"
    assert target.read_bytes() == b"weights"
    assert catalog.find("mine") == target
    assert target in catalog.installed()
    assert not catalog.is_packaged(target)
    assert [path.name for path in target.parent.iterdir()] == ["mine.onnx"]
    catalog.remove("mine")
    assert target not in catalog.installed()


def test_a_taken_name_needs_force(file: Path) -> None:
    target = catalog.add(file)
    file.write_bytes(b"newer")
    with pytest.raises(ModelError, match="--force replaces it"):
        catalog.add(file)
    assert target.read_bytes() == b"weights"
    catalog.add(file, force=True)
    assert target.read_bytes() == b"newer"


def test_another_name(file: Path) -> None:
    catalog.add(file, "theirs")
    assert catalog.find("theirs").stem == "theirs"


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b", "with space"])
def test_unusable_names(file: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot name a model"):
        catalog.add(file, name)
    with pytest.raises(ModelError, match="no model"):
        catalog.remove(name)


def test_the_packaged_models_stay(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "package"
    packaged.mkdir()
    (packaged / "commands.onnx").write_bytes(b"shipped")
    monkeypatch.setattr(catalog, "packaged_dir", lambda: packaged)
    with pytest.raises(ModelError, match="that tinyhark ships"):
        catalog.add(file, "commands", force=True)
    with pytest.raises(ModelError, match="that tinyhark ships"):
        catalog.remove("commands")
    assert (packaged / "commands.onnx").read_bytes() == b"shipped"


def test_an_unknown_name_lists_what_there_is(file: Path) -> None:
    catalog.add(file)
    with pytest.raises(ModelError, match=r"no model is named 'nothing', and no file; there are: .*mine"):
        catalog.find("nothing")
    with pytest.raises(ModelError, match=r"no model 'nothing' was added; there are: mine"):
        catalog.remove("nothing")


def test_a_folder_that_cannot_be_written_is_said(file: Path, home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(HarkError, match="cannot be written"):
        catalog.add(file)


def test_who_has_no_home_has_no_models_of_their_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert all(catalog.is_packaged(path) for path in catalog.installed())
    with pytest.raises(ModelError, match="no model is named 'mine'"):
        catalog.find("mine")
    with pytest.raises(HarkError, match="no home folder; set XDG_DATA_HOME"):
        catalog.add(file)
