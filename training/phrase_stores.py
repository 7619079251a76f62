"""The stores that a phrase is trained from: its clips, rooms and noise that are made, and what the user recorded."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tinyhark.app.errors import HarkError
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .features import FeatureOptions, make_clips
from .phrase_clips import NEAR, OTHER, PHRASE, SPEECH, VALIDATION
from .recordings import Recording, find_recordings
from .store import write_store
from .synthesis import scenery

ROOMS, NOISE_S = 24, 60
LEAST_RECORDINGS = 20
HELD_OUT_OF = 5  # one in so many recordings stays out of training

Report = Callable[[str, int, int], None]  # what is made, done, in all


def is_held_out(who: str) -> bool:
    """Whether a speaker, or a recording of nobody known, is kept for measuring: one in five, by the name."""
    return int.from_bytes(hashlib.sha256(who.encode()).digest()) % HELD_OUT_OF == 0


def recordings_of(folder: Path, label: str) -> list[Recording]:
    """The user's recordings of the phrase; those that are held out have the split validation."""
    found = find_recordings(folder, label, None, "train", {})
    splits = {one.name: "validation" for one in found if is_held_out(one.name)}
    if len(found) < LEAST_RECORDINGS or not splits:
        raise HarkError(
            f"{folder}: {len(found)} recordings, too few to learn from and be judged on; give {LEAST_RECORDINGS}"
        )
    return find_recordings(folder, label, None, "train", splits)


def make_scenery(rooms: Path, noise: Path) -> None:
    """Sound files from random numbers: rooms to train in, noises to measure in."""
    rooms.mkdir(parents=True, exist_ok=True)
    noise.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(ROOMS):
        response = scenery.room_response(rng, rng.uniform(0.15, 0.8), rng.uniform(-3, 9))
        _write(rooms / f"{number}.flac", response / np.abs(response).max())
    for name, make in scenery.NOISES.items():
        sound = make(rng, NOISE_S * SAMPLE_RATE_HZ)
        _write(noise / f"{name}.flac", sound / np.abs(sound).max())


def _write(path: Path, sound: scenery.Sound) -> None:
    soundfile.write(path, 0.9 * sound, SAMPLE_RATE_HZ, subtype="PCM_16")


def make_stores(clips: Path, recorded: list[Recording], rooms: Path, out: Path, jobs: int, report: Report) -> None:
    """Make the stores below `out` that are not there yet; clips: as `phrase_clips.speak` leaves them."""
    spoken = {name: find_recordings(clips / name, None, None, "train", {}) for name in (PHRASE, NEAR, OTHER, SPEECH)}
    validation = find_recordings(clips / VALIDATION, None, None, "validation", {})
    own, people = "synthesis", "own-recordings"
    wanted: dict[str, tuple[list[Recording], FeatureOptions]] = {
        PHRASE: (spoken[PHRASE], FeatureOptions(own, "own")),
        f"{PHRASE}-rooms": (spoken[PHRASE], FeatureOptions(own, "own", copies=1, rooms=rooms)),
        NEAR: (spoken[NEAR], FeatureOptions(own, "own")),
        OTHER: (spoken[OTHER], FeatureOptions(own, "own")),
        SPEECH: (spoken[SPEECH], FeatureOptions(own, "own")),
        VALIDATION: (validation, FeatureOptions(own, "own")),
    }
    if recorded:
        wanted["recorded"] = recorded, FeatureOptions(people, "own")
        wanted["recorded-rooms"] = recorded, FeatureOptions(people, "own", copies=3, rooms=rooms)
    for number, (name, (recordings, options)) in enumerate(wanted.items()):
        report("stores", number, len(wanted))
        if not (out / name / "store.json").exists():
            refused: list[str] = []
            made = make_clips(recordings, options, jobs, lambda: None, refused.append)
            write_store(out / name, made, f"hark train --phrase, {name}")
            if refused:
                raise HarkError(refused[0])
    report("stores", len(wanted), len(wanted))
