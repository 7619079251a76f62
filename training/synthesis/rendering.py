"""Rendering of planned clips into folders, each written beside its place and renamed, none rendered twice."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyhark.app.atomic import write_bytes
from tinyhark.app.errors import HarkError
from tinyhark.app.text import encodable
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from . import manifest
from .takes import Engine, Range, Samples, Take, file_name, plan, slug

_FORMATS = {"flac": "FLAC", "wav": "WAV"}
_MANIFEST_EVERY = 50  # clips: what a kill can cost


@dataclass(frozen=True, slots=True)
class Job:
    """A take and the file it goes to, relative to the folder of all clips."""

    file: str
    take: Take


def jobs_of(
    phrases: Sequence[str],
    engine: Engine,
    voices: Sequence[str],
    count: int,
    speed: Range,
    pitch_semitones: Range,
    seed: int,
    suffix: str,
) -> list[Job]:
    """The clips of all phrases, `count` each, in a folder named after the phrase's first variant.

    Raises HarkError for a phrase without a letter, and for two phrases whose folders would be one.
    """
    folders: dict[str, str] = {}
    jobs = []
    for phrase in dict.fromkeys(phrases):
        folder = slug(next((variant for variant in phrase.split("|") if variant.strip()), ""))
        if not folder or phrase != encodable(phrase):
            raise HarkError(f"{phrase!r}: nothing that can be spoken; write words in Latin letters")
        if other := folders.get(folder):
            raise HarkError(f"{phrase!r} and {other!r}: both would go into the folder {folder}; render them apart")
        folders[folder] = phrase
        takes = plan(phrase, engine, voices, count, speed, pitch_semitones, seed)
        jobs += [Job(f"{folder}/{file_name(take, number, suffix)}", take) for number, take in enumerate(takes)]
    return jobs


def render(jobs: Sequence[Job], engine: Engine, out: Path, progress: Callable[[], None] = lambda: None) -> int:
    """Speak the jobs that have no file yet and list all in the manifest of `out`; how many were spoken.

    The manifest is written when an error ends the work, too. Raises what the engine raises, and OSError.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = manifest.read(out)
    new = 0
    try:
        for job in jobs:
            path = out / job.file
            row = manifest.row(job.file, job.take, engine.name, engine.licence)
            if not (path.exists() and rows.get(job.file) == row):
                clip = engine.speak(job.take)
                _write(path, clip)
                rows[job.file] = row
                new += 1
                if new % _MANIFEST_EVERY == 0:
                    manifest.write(out, rows.values())
            progress()
    finally:
        manifest.write(out, rows.values())
    return new


def _write(path: Path, clip: Samples) -> None:
    import soundfile

    encoded = io.BytesIO()
    soundfile.write(encoded, clip, SAMPLE_RATE_HZ, format=_FORMATS[path.suffix[1:]], subtype="PCM_16")
    write_bytes(path, encoded.getvalue())
