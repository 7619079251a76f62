"""Augmentation that needs the waveform, done before a store: room responses, overdriven microphones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import Samples

from .recordings import find_recordings, read_sound

FULL_SCALE = 32767.0


def load_rooms(folder: Path) -> list[NDArray[np.float64]]:
    """Impulse responses below `folder`: [n] float64 from the peak on, of unit energy, two seconds at most."""
    rooms = []
    for recording in find_recordings(folder, None, None, "", {}):
        response = read_sound(recording).astype(np.float64)
        response = response[int(np.abs(response).argmax()) :][:32_000]
        energy = float(np.sqrt(np.square(response).sum()))
        if energy == 0:
            raise HarkError(f"{recording.file}: a room response of nothing but zeros")
        rooms.append(response / energy)
    return rooms


def convolve(sound: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] sound in a room, [n]: the tail beyond the recording is cut."""
    size = 1 << (len(sound) + len(response) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]


def degrade(
    audio: Samples, rooms: Sequence[NDArray[np.float64]], overdrive_db: float, rng: np.random.Generator
) -> Samples:
    """[n] int16 as a bad microphone in a room would give it: one of the rooms, then, one time in five, clipping.

    overdrive_db: the most by which a clipped recording's peak exceeds full scale.
    """
    sound = audio.astype(np.float64)
    peak = max(1.0, float(np.abs(sound).max()))
    if rooms:
        sound = convolve(sound, rooms[int(rng.integers(len(rooms)))])
        sound *= peak / max(1.0, float(np.abs(sound).max()))
    if rng.random() < 0.2:
        sound *= FULL_SCALE / max(1.0, float(np.abs(sound).max())) * 10 ** (rng.uniform(0, overdrive_db) / 20)
    return np.clip(np.floor(sound + 0.5), -32768, 32767).astype(np.int16)
