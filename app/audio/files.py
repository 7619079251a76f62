"""Sound files of any format, rate and channel count as a stream of 16 kHz mono int16 blocks."""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from .truncation import shortfall

BLOCK_SAMPLES = SAMPLE_RATE_HZ

_PIECE_SAMPLES = 10 * SAMPLE_RATE_HZ
_RATES_HZ = (1_000, 1_000_000)  # outside of it, the header is garbage
_BAD_FILE = 7  # libsndfile's SFE_BAD_FILE, whose own text speaks of pipes

# What libsndfile reads and people have; names inside a folder are judged by these, a file named by itself is tried.
SUFFIXES = frozenset(
    {
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
        *(".sph", ".voc", ".w64", ".wav", ".wave"),
    }
)


def read_blocks(
    path: str | os.PathLike[str], block_samples: int = BLOCK_SAMPLES, first_sample: int = 0
) -> Generator[Samples, None, None]:
    """Yield a file's sound as [n] int16 at 16 kHz, channels averaged, in blocks of about `block_samples`.

    first_sample: where to begin, at 16 kHz. Memory does not grow with the file. Raises AudioError, one line: before the
    first block where nothing can be read, after the last good one where the file turns out to be truncated, damaged or
    not finite.
    """
    file = open_sound(Path(path))
    with file:
        if file.frames == 0:
            raise AudioError(f"{path}: holds no sound")
        if first_sample:
            _seek(file, path, first_sample * file.samplerate // SAMPLE_RATE_HZ)
        # Else soundfile seeks after every read, which spoils MP3 at each and costs Opus milliseconds at the end.
        file.seekable = lambda: False
        # At the target rate 16-bit mono passes through untouched.
        exact = (file.samplerate, file.channels, file.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16")
        if exact:
            yield from _read(file, path, block_samples, "int16")
        else:
            yield from _convert(file, path, max(1, block_samples * file.samplerate // SAMPLE_RATE_HZ))
        problem = shortfall(Path(path), file.extra_info)
    if problem:
        raise AudioError(f"{path}: is truncated: {problem}")


def read_sound(path: str | os.PathLike[str], limit_samples: int | None = None, first_sample: int = 0) -> Samples:
    """A file's sound as one [n] int16 at 16 kHz, at most `limit_samples` of it; otherwise like `read_blocks`."""
    blocks: list[Samples] = []
    count = 0
    at_once = min(_PIECE_SAMPLES, limit_samples or _PIECE_SAMPLES)
    with closing(read_blocks(path, at_once, first_sample)) as source:
        for block in source:
            blocks.append(block)
            count += len(block)
            if limit_samples is not None and count >= limit_samples:
                break
    return np.concatenate(blocks)[:limit_samples] if blocks else np.zeros(0, np.int16)


def duration_s(path: str | os.PathLike[str]) -> float:
    """Seconds of sound that the file says it holds, 0 where it cannot be opened: for progress bars."""
    try:
        with open_sound(Path(path)) as file:
            return float(file.frames / file.samplerate)
    except AudioError:
        return 0.0


def sound_files(folder: Path) -> list[Path]:
    """The sound files below a folder, by suffix, sorted; raises AudioError where there is none."""
    files = find_sound_files(folder)
    if not files:
        raise AudioError(f"{folder}: no sound files in this folder ({' '.join(sorted(SUFFIXES))})")
    return files


def find_sound_files(folder: Path) -> list[Path]:
    """The sound files below a folder and below links to folders in it, there may be none.

    Raises AudioError for a folder that cannot be read.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: is no folder; name one with sound files in it")
    try:
        return sorted(path for path in _below(folder) if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise AudioError(f"{os.fsdecode(error.filename)}: cannot be read: {error.strerror}") from error


def _below(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """What is below a folder but folders; a link to one of those above it leads nowhere new."""
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(Path(entry.path), (*above, here))
            else:
                yield Path(entry.path)


def open_sound(path: Path) -> Any:
    """A soundfile.SoundFile to read, or AudioError; what the system can say of a file is said in its words."""
    import soundfile

    _check_file(path)
    try:
        with _silent():
            # As bytes, since soundfile refuses the text of a name that is no UTF-8.
            file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)
    except soundfile.LibsndfileError as error:
        what = "its format cannot be made out" if error.code == _BAD_FILE else error.error_string
        raise AudioError(f"{path}: is no sound file that can be read: {what}") from error
    if not _RATES_HZ[0] <= file.samplerate <= _RATES_HZ[1]:
        file.close()
        raise AudioError(f"{path}: has a sample rate of {file.samplerate} Hz; it must be 1000 to 1000000 Hz")
    return file


def _check_file(path: Path) -> None:
    """AudioError for what no sound can be read from; opens nothing, as that could wait for the far end of a pipe."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{path}: is no file but a pipe or device; raw sound is read from a pipe by hark detect -")
        with path.open("rb"):
            pass
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name with a zero byte, out of a table
        raise AudioError(f"{path}: cannot be read: {error}") from error
    if not status.st_size:
        raise AudioError(f"{path}: is empty")
    if path.suffix.lower() == ".raw":
        raise AudioError(f"{path}: raw sound has no header; hark detect - reads it from a pipe, as int16, 16 kHz, mono")


@contextmanager
def _silent() -> Iterator[None]:
    """libmpg123 writes remarks about MP3 files straight to file descriptor 2; the errors raised here say it all."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _seek(file: Any, path: str | os.PathLike[str], frame: int) -> None:
    import soundfile

    try:
        with _silent() if file.format == "MP3" else nullcontext():
            file.seek(frame)
    except soundfile.LibsndfileError as error:
        at_s = frame / file.samplerate
        raise AudioError(f"{path}: is truncated or damaged before {at_s:.2f} s: {error.error_string}") from error


def _read(file: Any, path: str | os.PathLike[str], frames: int, dtype: str) -> Iterator[NDArray[Any]]:
    """Blocks as they are in the file; damage inside it is an AudioError after the blocks before it."""
    import soundfile

    while True:
        at = file.tell()
        try:
            with _silent() if file.format == "MP3" else nullcontext():
                block = file.read(frames, dtype=dtype)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{path}: is truncated or damaged after {at / file.samplerate:.2f} s of "
                f"{file.frames / file.samplerate:.2f} s: {error.error_string}"
            ) from error
        if not len(block):
            break
        yield block
    if at < file.frames:
        raise AudioError(
            f"{path}: is truncated: {at / file.samplerate:.2f} s of sound, its header says "
            f"{file.frames / file.samplerate:.2f} s"
        )


def _convert(file: Any, path: str | os.PathLike[str], frames: int) -> Iterator[Samples]:
    """Average the channels, then the rate, then int16."""
    resample = None
    if file.samplerate != SAMPLE_RATE_HZ:
        import soxr

        resample = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32").resample_chunk
    try:
        for block in _read(file, path, frames, "float32"):
            with np.errstate(all="ignore"):  # what overflows is found below
                mono = block if block.ndim == 1 else block.mean(axis=1)
            if not np.isfinite(mono).all():
                at = (file.tell() - len(mono) + int(np.argmin(np.isfinite(mono)))) / file.samplerate
                raise AudioError(f"{path}: holds values that are no numbers (NaN or infinity), first at {at:.2f} s")
            sound = to_int16(mono if resample is None else resample(mono))
            if len(sound):
                yield sound
    finally:
        tail = None if resample is None else resample(np.zeros(0, np.float32), last=True)
    if tail is not None and len(tail):
        yield to_int16(tail)
