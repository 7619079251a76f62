"""Recordings to a store of features: one pass of the front end over every recording, on several processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import AudioError
from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.tables import FRAME_SAMPLES

from .recordings import Recording, read_sound, segments
from .rooms import degrade, load_rooms
from .store import Clip, LogMelQ8, to_q8


@dataclass(frozen=True)
class FeatureOptions:
    """How recordings become clips.

    segment_samples: cut recordings into pieces of this length; part: the share of each recording that is taken, (from,
    to) in 0..1; copies: 0 for the recordings as they are, else so many degraded copies of each, seeded.
    """

    origin: str
    licence: str
    segment_samples: int | None = None
    part: tuple[float, float] = (0.0, 1.0)
    copies: int = 0
    rooms: Path | None = None
    overdrive_db: float = 12.0
    seed: int = 0


Made = list[tuple[Clip, LogMelQ8]] | str  # the clips of one recording, or the line that says why there are none


def _sounds(recording: Recording, options: FeatureOptions, rooms: Sequence[NDArray[np.float64]]) -> Iterator[Samples]:
    audio = read_sound(recording)
    first, last = (int(share * len(audio)) for share in options.part)
    audio = audio[first:last]
    if not options.copies:
        yield audio
    rng = np.random.default_rng([options.seed, crc32(recording.name.encode())])
    for _ in range(options.copies):
        yield degrade(audio, rooms, options.overdrive_db, rng)


def _clips(recording: Recording, options: FeatureOptions) -> Made:
    """The clips of one recording, or the line that says why there are none."""
    rooms = _rooms(options.rooms)
    front_end = _front_end()
    made = []
    try:
        for sound in _sounds(recording, options, rooms):
            for piece in segments(sound, options.segment_samples):
                if len(piece) < FRAME_SAMPLES:
                    continue
                log_mel = to_q8(front_end.log_mel(piece))
                clip = Clip(
                    recording.label,
                    recording.speaker,
                    options.origin,
                    options.licence,
                    recording.split,
                    recording.name,
                    0,
                    len(log_mel),
                )
                made.append((clip, log_mel))
    except AudioError as error:
        return str(error)
    return made or f"{recording.file}: shorter than one frame of {FRAME_SAMPLES} samples"


_cache: dict[str, object] = {}  # a worker process makes its tables and reads its rooms once


def _front_end() -> FrontEnd:
    found = _cache.setdefault("front end", FrontEnd())
    assert isinstance(found, FrontEnd)
    return found


def _rooms(folder: Path | None) -> list[NDArray[np.float64]]:
    if folder is None:
        return []
    if folder.as_posix() not in _cache:
        _cache[folder.as_posix()] = load_rooms(folder)
    found = _cache[folder.as_posix()]
    assert isinstance(found, list)
    return found


def make_clips(
    recordings: Sequence[Recording],
    options: FeatureOptions,
    jobs: int,
    advance: Callable[[], None],
    refuse: Callable[[str], None],
) -> Iterator[tuple[Clip, LogMelQ8]]:
    """Clips of all recordings in order; `advance` is called after each, `refuse` with a line for each unusable one."""
    work = partial(_clips, options=options)
    for result in map(work, recordings) if jobs == 1 else _mapped(work, recordings, jobs):
        advance()
        if isinstance(result, str):
            refuse(result)
        else:
            yield from result


def _mapped(work: Callable[[Recording], Made], recordings: Sequence[Recording], jobs: int) -> Iterator[Made]:
    # Spawned, not forked: the caller may have threads (a progress bar is one), and a fork of those can hang.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, recordings, chunksize=16)
