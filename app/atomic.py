"""Files that are never half-written."""

import os
from contextlib import suppress
from pathlib import Path

from .errors import HarkError


def write_text(path: Path, text: str) -> None:
    """Write a file beside and rename it, folders included; raises HarkError where that cannot be done."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file beside and rename it, folders included; raises HarkError where that cannot be done."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise HarkError(f"{path}: cannot be written: {error.strerror}") from error
