"""Where model files live: those the package ships, and the user's own."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .atomic import write_bytes
from .errors import HarkError, ModelError
from .text import nearest

SUFFIX = ".onnx"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_name(name: str) -> bool:
    """Whether a model can be installed under this name."""
    return _NAME.fullmatch(name) is not None


def packaged_dir() -> Path:
    """The folder of the models that the package ships; never written to."""
    return Path(__file__).parent / "models"


def user_data() -> Path:
    """tinyhark's folder in the user's data: XDG_DATA_HOME, or what the platform has for it.

    Raises HarkError for a user without a home folder.
    """
    try:
        if home := os.environ.get("XDG_DATA_HOME"):
            data = Path(home)
        elif sys.platform == "darwin":
            data = Path.home() / "Library" / "Application Support"
        elif sys.platform == "win32":
            data = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
        else:
            data = Path.home() / ".local" / "share"
    except RuntimeError:
        raise HarkError("the user's data: this user has no home folder; set XDG_DATA_HOME to a folder") from None
    return data / "tinyhark"


def user_dir() -> Path:
    """The folder of the user's models; HarkError as `user_data`."""
    return user_data() / "models"


def installed() -> Iterator[Path]:
    """The model files that a name can mean, the packaged ones first."""
    for folder in _folders():
        yield from sorted(folder.glob(f"*{SUFFIX}"))


def _folders() -> Iterator[Path]:
    yield packaged_dir()
    with suppress(HarkError):  # who has no home folder has no models of their own
        yield user_dir()


def find(model: str | os.PathLike[str]) -> Path:
    """The file that a name or a path means; raises ModelError where there is none."""
    path = Path(model)
    if path.suffix == SUFFIX or len(path.parts) > 1 or path.is_absolute():
        if not path.exists():
            raise ModelError(f"{path}: no such model file")
        return path
    for folder in _folders():
        file = folder / f"{path}{SUFFIX}"
        if file.exists():
            return file
    if path.is_file():
        return path
    names = [file.stem for file in installed()]
    raise ModelError(f"no model is named '{path}', and no file{nearest(str(path), names)}")


def is_packaged(file: Path) -> bool:
    """Whether the package ships this model file."""
    return file.parent == packaged_dir()


def add(source: Path, name: str | None = None, *, force: bool = False) -> Path:
    """Copy a model file into the user's folder under `name` (the file's own by default); -> the copy.

    The caller has verified it. Raises HarkError for an unusable or taken name, and where the folder cannot be written.
    """
    name = name or source.stem
    if not is_name(name):
        raise ModelError(f"'{name}' cannot name a model: letters, digits, '.', '_' and '-' can; give another by --name")
    if (packaged_dir() / f"{name}{SUFFIX}").exists():
        raise ModelError(f"'{name}' is a model that tinyhark ships; give another name by --name")
    target = user_dir() / f"{name}{SUFFIX}"
    if target.exists() and not force:
        raise ModelError(f"a model '{name}' is installed already ({target}); --force replaces it")
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror}") from error
    write_bytes(target, data)
    return target


def remove(name: str) -> Path:
    """Delete a model of the user's; -> where it was. Raises ModelError where the user has none of that name."""
    target = user_dir() / f"{name}{SUFFIX}"
    if is_name(name) and target.exists():
        try:
            target.unlink()
        except OSError as error:
            raise ModelError(f"{target}: cannot be removed: {error.strerror}") from error
        return target
    if (packaged_dir() / f"{name}{SUFFIX}").exists():
        raise ModelError(f"'{name}' is a model that tinyhark ships; only models that were added can be removed")
    own = [file.stem for file in installed() if not is_packaged(file)]
    raise ModelError(f"no model '{name}' was added{nearest(name, own)}")
