"""The sound of a room for hours, in files of some minutes."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.files import duration_s, find_sound_files
from ..audio.intake import Intake
from ..audio.silence import LEAST_SAMPLES, SilenceMeter
from ..errors import HarkError
from .words import PRIVATE

PIECE_S = 600.0
_BYTES_PER_S = 2 * SAMPLE_RATE_HZ  # at most: FLAC takes half of it
_SPARE_BYTES = 200_000_000  # left to everybody else on the disk
_EPSILON_S = 0.5  # less is not worth a file
_ABANDONED_S = 60.0  # what nobody wrote to for so long is of a run that was killed
_OFF = "not recorded from here on: in sound of a microphone that is off nothing can be wrongly heard"


def recorded_s(folder: Path) -> float:
    """Seconds of sound in a folder, which may not be there yet."""
    return sum(duration_s(path) for path in find_sound_files(folder)) if folder.is_dir() else 0.0


def check_disk(folder: Path, seconds: float, free_bytes: Callable[[Path], int]) -> None:
    """Raise HarkError where so much sound does not fit; free_bytes: of the disk that a folder is on."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.is_dir())
    free = free_bytes(there) - _SPARE_BYTES
    if free < seconds * _BYTES_PER_S:
        raise HarkError(
            f"{folder}: there is room for {max(0, free // _BYTES_PER_S // 60)} minutes, not for {seconds / 60:.0f}, "
            "with 200 MB left for others; free some of the disk, or record less at a time"
        )


def free_bytes(folder: Path) -> int:
    """Bytes that this user can still write to the disk of a folder."""
    return shutil.disk_usage(folder).free


def record_room(
    intake: Intake,
    folder: Path,
    seconds: float,
    advance: Callable[[float], None],
    warn: Callable[[str], None],
    free_bytes: Callable[[Path], int] = free_bytes,
) -> float:
    """Record until so many more seconds lie in `folder`, or the sound ends; -> seconds that were added.

    Files are FLAC, ten minutes each, readable by their owner alone; an interruption ends the current one well. advance:
    called with seconds of sound; warn: with a line on what is wrong with the sound, when that changes. What a muted
    microphone gives is not recorded after ten seconds, as nothing can be heard in it. Raises HarkError where the disk
    is, or gets, full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".room-*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:
            left.unlink(missing_ok=True)
    total, piece = 0, _Piece(folder)
    complaint, silence, is_off = None, SilenceMeter(), False
    wanted = round(seconds * SAMPLE_RATE_HZ)
    try:
        for block in intake.blocks():
            if intake.complaint != complaint:
                complaint = intake.complaint
                warn(complaint or "the sound is good again")
            silence.feed(block.samples)
            if is_off != (silence.run >= LEAST_SAMPLES):
                is_off = not is_off
                warn(_OFF if is_off else "recorded again from here on")
            if is_off:
                continue
            some = block.samples[: wanted - total]
            piece.write(some)
            total += len(some)
            advance(len(some) / SAMPLE_RATE_HZ)
            if total == wanted:
                break
            if piece.samples >= PIECE_S * SAMPLE_RATE_HZ:
                piece.close()
                check_disk(folder, min(PIECE_S, (wanted - total) / SAMPLE_RATE_HZ), free_bytes)
                piece = _Piece(folder)
    finally:
        piece.close()
    return total / SAMPLE_RATE_HZ


class _Piece:
    """A file of the recording; opened at its first sound, given its name when it is closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None
        self.samples = 0

    def write(self, sound: Samples) -> None:
        """Append [n] int16."""
        if not len(sound):
            return
        try:
            if self._file is None:
                self._open()
            self._file.write(sound)
        except (OSError, RuntimeError) as error:  # soundfile's own is a RuntimeError
            raise HarkError(f"{self._folder}: cannot be written: {error}") from error
        self.samples += len(sound)

    def close(self) -> None:
        """Give the file its name; one too short to be of use is dropped."""
        if self._file is None:
            return
        with suppress(RuntimeError):  # a full disk; what was written before is readable
            self._file.close()
        self._file = None
        if self.samples < _EPSILON_S * SAMPLE_RATE_HZ:
            self._part.unlink()
        else:
            self._part.replace(self._path)

    def _open(self) -> None:
        import soundfile

        number = 1
        while any(path.exists() for path in (self._place(number), self._beside(number))):
            number += 1
        self._path, self._part = self._place(number), self._beside(number)
        descriptor = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE)
        self._file = soundfile.SoundFile(
            descriptor, "w", SAMPLE_RATE_HZ, channels=1, format="FLAC", subtype="PCM_16", closefd=True
        )

    def _place(self, number: int) -> Path:
        return self._folder / f"room-{number:04}.flac"

    def _beside(self, number: int) -> Path:
        return self._folder / f".room-{number:04}.flac.part"
