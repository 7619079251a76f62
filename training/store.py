"""A store: a folder of log-mel features made once from recordings, from which everything is trained.

store.json     digest of the front end, hop, the command that made it
clips.csv      a line a clip: label, speaker, origin, licence, split, recording, first frame, frames
log_mel.npy    [frames, 40] int16, log2 units, Q8, the clips one after another
"""

import csv
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import DIGEST, Frames
from tinyhark.dsp.tables import BANDS, HOP_SAMPLES, LOG_BITS

LogMelQ8 = NDArray[np.int16]
STORE_BITS = 8  # log-mel in a store: Q8

# What a clip may be licenced under if the weights trained on it are to be Apache-2.0.
OPEN_LICENCES = frozenset({"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "Apache-2.0", "own"})


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a store; a recording of nobody known counts as a speaker of its own: `who`."""

    label: str
    speaker: str
    origin: str
    licence: str
    split: str
    recording: str
    first_frame: int
    frames: int

    @property
    def who(self) -> str:
        """The speaker, or, where nobody is named, the recording."""
        return self.speaker or self.recording


@dataclass(frozen=True)
class Store:
    """Clips and their features, `log_mel` [frames, 40] int16 Q8."""

    path: Path
    clips: tuple[Clip, ...]
    log_mel: LogMelQ8

    @classmethod
    def load(cls, path: Path) -> "Store":
        """Open the store at `path`; raises HarkError where it is none, or was made by another front end."""
        try:
            head = json.loads((path / "store.json").read_text(encoding="utf-8"))
            with (path / "clips.csv").open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            log_mel = np.load(path / "log_mel.npy", mmap_mode="r")
        except (OSError, EOFError, ValueError, csv.Error) as error:
            raise HarkError(f"{path}: no store of features ({error}); make one with: hark features") from error
        made_by = head.get("front_end") if isinstance(head, dict) else None
        if made_by != DIGEST:
            raise HarkError(f"{path}: made by another front end ({made_by}); make it again: hark features")
        try:
            clips = tuple(_clip(row) for row in rows)
        except (KeyError, TypeError, ValueError) as error:
            raise HarkError(f"{path}/clips.csv: a line lacks or garbles {error}; make the store again") from error
        if log_mel.dtype != np.int16 or log_mel.ndim != 2 or log_mel.shape[1] != BANDS:
            kind = f"{log_mel.dtype} {list(log_mel.shape)}"
            raise HarkError(f"{path}/log_mel.npy: is {kind}, not int16 [frames, {BANDS}]; make the store again")
        if sum(clip.frames for clip in clips) != len(log_mel):
            raise HarkError(f"{path}: clips.csv and log_mel.npy differ in frames; make the store again")
        return cls(path, clips, log_mel)


def _clip(row: dict[str, str]) -> Clip:
    return Clip(
        row["label"],
        row["speaker"],
        row["origin"],
        row["licence"],
        row["split"],
        row["recording"],
        int(row["first_frame"]),
        int(row["frames"]),
    )


def to_q8(log_mel: Frames) -> LogMelQ8:
    """[frames, 40] log-mel Q16 -> Q8, rounded half up; at most 43 log2 units, so int16 holds it."""
    shift = LOG_BITS - STORE_BITS
    return ((log_mel + (1 << (shift - 1))) >> shift).astype(np.int16)


def check_place(path: Path) -> None:
    """Raise HarkError where a store at `path` would take the place of something that is no store."""
    taken = path.is_dir() and any(path.iterdir()) and not (path / "store.json").exists()
    if taken or (path.exists() and not path.is_dir()):
        raise HarkError(f"{path}: is there already and no store; name another folder")


def write_store(path: Path, clips: Iterable[tuple[Clip, LogMelQ8]], command: str) -> int:
    """Write a store beside `path`, then rename; returns the number of clips. An old store of that name is replaced.

    Raises HarkError where there are no clips, where `path` is something else, and where it cannot be written.
    """
    check_place(path)
    beside = path.with_name(path.name + ".part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        count = _write(beside, clips, command)
        if count:
            _replace(path, beside)
    except OSError as error:
        raise HarkError(f"{path}: cannot be written: {error.strerror or error}; name another folder") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # renamed, or worth nothing
    if not count:
        raise HarkError(f"{path}: not one usable recording, so there is nothing to store")
    return count


def _write(folder: Path, clips: Iterable[tuple[Clip, LogMelQ8]], command: str) -> int:
    rows: list[Clip] = []
    blocks: list[LogMelQ8] = []
    position = 0
    for clip, log_mel in clips:
        rows.append(replace(clip, first_frame=position, frames=len(log_mel)))
        blocks.append(log_mel)
        position += len(log_mel)
    np.save(folder / "log_mel.npy", np.concatenate(blocks) if blocks else np.zeros((0, BANDS), np.int16))
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Clip)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    head = {"front_end": DIGEST, "hop_samples": HOP_SAMPLES, "bands": BANDS, "clips": len(rows), "command": command}
    (folder / "store.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
    return len(rows)


def _replace(path: Path, beside: Path) -> None:
    """Rename `beside` to `path`; an old store is removed only when the new one has its name."""
    old = path.with_name(path.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    beside.rename(path)
    shutil.rmtree(old, ignore_errors=True)
