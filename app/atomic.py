"""Files that are never half-written."""

import os
from contextlib import suppress
from pathlib import Path

from .errors import HarkError


def write_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a file beside and rename it, folders included; raises HarkError where that cannot be done.

    mode: its permissions, those of any new file by default.
    """
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, data: bytes, mode: int | None = None) -> None:
    """As `write_text`, for bytes."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode is not None:
            beside.touch(mode)  # before anything is in it
            beside.chmod(mode)
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise HarkError(f"{path}: cannot be written: {error.strerror}") from error
