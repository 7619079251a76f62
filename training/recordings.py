"""Finding recordings, what is said in them and by whom, and reading them as 16 kHz int16 sound."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tinyhark.app.audio.files import SUFFIXES, find_sound_files, open_sound
from tinyhark.app.audio.truncation import shortfall
from tinyhark.app.errors import AudioError, HarkError
from tinyhark.app.text import encodable
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

_MOST_DIGITS = 12  # of a number of samples: a year and more


@dataclass(frozen=True, slots=True)
class Recording:
    """A piece of a sound file: all of it, or `samples` from `first_sample` (16 kHz)."""

    file: Path
    name: str
    label: str
    speaker: str
    split: str
    first_sample: int = 0
    samples: int | None = None


def find_recordings(
    folder: Path, label: str | None, speaker_pattern: str | None, split: str, splits: dict[str, str]
) -> list[Recording]:
    """Every sound file below `folder`; label: `label` or its folder's name, speaker: what the pattern's group finds."""
    if not folder.is_dir():
        raise HarkError(f"{folder}: no such folder of recordings")
    pattern = _speaker_pattern(speaker_pattern) if speaker_pattern else None
    found = []
    for file in find_sound_files(folder):
        name = encodable(file.relative_to(folder).as_posix())
        match = pattern.search(encodable(file.name)) if pattern else None
        found.append(
            Recording(
                file,
                name,
                label or encodable(file.parent.name),
                match.group(1) if match else "",
                splits.get(name, split),
            )
        )
    if not found:
        raise HarkError(f"{folder}: no sound files in it ({', '.join(sorted(SUFFIXES))})")
    return found


def _speaker_pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise HarkError(f"speaker pattern {text!r}: no regular expression ({error})") from error
    if not pattern.groups:
        raise HarkError(f"speaker pattern {text!r}: needs a group, (...), around the speaker")
    return pattern


def read_table(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV with a header; raises HarkError where it cannot be read as one, or has no lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, ValueError, csv.Error) as error:
        raise HarkError(f"{path}: not readable as CSV ({error})") from error
    if not rows:
        raise HarkError(f"{path}: no lines in it below the header")
    return rows


def read_labels(table: Path, folder: Path, label: str | None, split: str) -> list[Recording]:
    """Recordings of a CSV with a column recording and, optionally, file, label, speaker, split, first_sample, samples.

    Without a column `file`, a table X.csv with first_sample describes pieces of X.opus, X.flac or X.wav beside it.
    """
    whole = next((p for p in folder.glob(table.stem + ".*") if p.suffix.lower() in SUFFIXES), None)
    found = []
    for number, row in enumerate(read_table(table), 2):
        if not row.get("recording"):
            raise HarkError(f"{table}:{number}: column recording is missing or empty")
        name = row["recording"]
        source = folder / row["file"] if row.get("file") else whole if row.get("first_sample") else folder / name
        if source is None:
            raise HarkError(f"{table}:{number}: column file is missing, and no sound file {table.stem}.* is beside it")
        found.append(
            Recording(
                source,
                name,
                row.get("label") or label or source.parent.name,
                row.get("speaker") or "",
                row.get("split") or split,
                _whole_number(table, number, row.get("first_sample") or "0"),
                _whole_number(table, number, row["samples"]) if row.get("samples") else None,
            )
        )
    return found


def _whole_number(table: Path, line: int, text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise HarkError(f"{table}:{line}: {text[:40]!r} is no number of samples")
    return int(text)


def read_sound(recording: Recording) -> Samples:
    """[n] int16 at 16 kHz, channels averaged; raises AudioError with one line for what cannot be read whole."""
    try:
        with open_sound(recording.file) as file:
            rate = file.samplerate
            if recording.first_sample:
                file.seek(recording.first_sample * rate // SAMPLE_RATE_HZ)
            to_end = recording.samples is None
            count = file.frames - file.tell() if to_end else recording.samples * rate // SAMPLE_RATE_HZ
            with np.errstate(all="ignore"):  # what overflows is found below
                sound = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
            cut = to_end and shortfall(recording.file, file.extra_info)
    except (OSError, OverflowError, MemoryError, soundfile.SoundFileError) as error:
        raise AudioError(f"{recording.file}: not readable as sound ({error})") from error
    if not len(sound):
        raise AudioError(f"{recording.file}: no samples in it")
    if cut or len(sound) < count - rate // 100:  # rounding of other rates is no fault
        there = f"{len(sound) / rate:.2f} s of {count / rate:.2f} s from sample {recording.first_sample} on are there"
        raise AudioError(f"{recording.file}: is truncated: {cut or there}")
    if not np.isfinite(sound).all():
        raise AudioError(f"{recording.file}: holds samples that are no finite numbers")
    if rate != SAMPLE_RATE_HZ:
        import soxr

        sound = soxr.resample(sound, rate, SAMPLE_RATE_HZ)
    return to_int16(sound)


def segments(audio: Samples, length: int | None) -> Iterator[Samples]:
    """The sound itself, or pieces of `length` samples (a last piece shorter than half of that is dropped)."""
    if length is None:
        yield audio
        return
    for start in range(0, len(audio), length):
        piece = audio[start : start + length]
        if len(piece) * 2 >= length or start == 0:
            yield piece
