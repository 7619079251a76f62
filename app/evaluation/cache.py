"""Scores on disk: one file for what one model makes of one stream, named by the digests of both."""

import hashlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_bytes
from ..errors import HarkError
from .streams import Stream

_VERSION = 2  # of the files


def default_folder() -> Path:
    """tinyhark's folder in the user's cache: XDG_CACHE_HOME, or what the platform has for it.

    Raises HarkError for a user without a home folder.
    """
    try:
        if home := os.environ.get("XDG_CACHE_HOME"):
            cache = Path(home)
        elif sys.platform == "darwin":
            cache = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            cache = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
        else:
            cache = Path.home() / ".cache"
    except RuntimeError:
        raise HarkError("the user's cache: this user has no home folder; give a folder by --cache") from None
    return cache / "tinyhark"


def digest_of(path: Path) -> str:
    """SHA-256, hex, of a file's bytes; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """The scores in a folder, which is made when the first is stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[Path, str] = {}  # a clip is in many streams

    def load(self, model_digest: str, stream: Stream) -> dict[str, Any] | None:
        """The fields of `scores.Scores`, or None where they are not there whole."""
        try:
            with np.load(io.BytesIO(self._path(model_digest, stream).read_bytes())) as file:
                spans, words = ([tuple(pair) for pair in file[name].tolist()] for name in ("spans", "words"))
                fields = {"posteriors": file["posteriors"]}
                fields |= {name: int(file[name]) for name in ("samples", "silent")}
        except Exception:  # numpy and zipfile raise many kinds for a damaged file; it is made anew
            return None
        return fields | {"spans": tuple(spans), "words": tuple(words)}

    def store(self, model_digest: str, stream: Stream, scores: Any) -> None:
        """Keep `scores.Scores` but for those with problems; raises HarkError where they cannot be written."""
        if scores.problems:
            return
        data = io.BytesIO()
        spans, words = (np.array(pairs, np.int64).reshape(-1, 2) for pairs in (scores.spans, scores.words))
        samples, silent = np.array(scores.samples), np.array(scores.silent)
        np.savez_compressed(
            data, posteriors=scores.posteriors, samples=samples, silent=silent, spans=spans, words=words
        )
        write_bytes(self._path(model_digest, stream), data.getvalue())

    def _path(self, model_digest: str, stream: Stream) -> Path:
        key = f"{_VERSION} {model_digest} {stream.digest(self._digest_of)}"
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"

    def _digest_of(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = digest_of(path)
        return self._digests[path]
