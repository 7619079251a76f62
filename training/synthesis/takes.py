"""Who says what how: the plan of the clips to render, drawn from a seed, and the names of their files."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Range = tuple[float, float]

_LONGEST_SLUG = 40
_SHARE_PERCENT = (45, 100)  # of the first voice in a mix of two
_SEMITONES_AN_OCTAVE = 12


@dataclass(frozen=True, slots=True)
class Take:
    """One clip to be rendered: `share_percent` of the voice is `voice`, the rest `second`; 100 % speed is its own."""

    text: str
    voice: str
    second: str
    share_percent: int = 100
    speed_percent: int = 100
    pitch_semitones: float = 0.0

    @property
    def speed(self) -> float:
        """Speed as a factor, 1 is the voice's own."""
        return self.speed_percent / 100

    @property
    def pitch(self) -> float:
        """Pitch as a factor, 1 is the voice's own."""
        return float(2 ** (self.pitch_semitones / _SEMITONES_AN_OCTAVE))


class Engine(Protocol):
    """A speech synthesiser: knows its voices and renders takes."""

    name: str
    licence: str  # of the clips it renders
    mixes: bool  # whether two of its voices make a third

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of all voices, sorted."""

    def weight(self, voice: str) -> float:
        """How often a voice is drawn, relative to the others."""

    def speak(self, take: Take) -> Samples:
        """[n] int16 at 16 kHz; raises HarkError for a voice it has not or text it cannot say."""


def slug(phrase: str) -> str:
    """A phrase as a folder name: lower case, words joined by `-`, at most 40 signs; empty where it has no letter."""
    return re.sub(r"[^a-z0-9]+", "-", phrase.lower()).strip("-")[:_LONGEST_SLUG]


def file_name(take: Take, number: int, suffix: str) -> str:
    """voice_second_share_speed_number.suffix"""
    return f"{take.voice}_{take.second}_{take.share_percent}_{take.speed_percent}_{number}.{suffix}"


def plan(
    phrase: str, engine: Engine, voices: Sequence[str], count: int, speed: Range, pitch_semitones: Range, seed: int
) -> list[Take]:
    """`count` takes of a phrase, the same for the same seed whatever other phrases are asked for.

    `phrase` may hold variants joined by `|` (`off|off!`), which take turns. Voices are mixed in pairs where they can.
    """
    rng = np.random.default_rng([seed, zlib.crc32(phrase.encode())])
    variants = [variant.strip() for variant in phrase.split("|") if variant.strip()]
    weights = np.array([engine.weight(voice) for voice in voices])
    takes = []
    for number in range(count):
        voice = str(rng.choice(voices, p=weights / weights.sum()))
        others = [other for other in voices if other != voice] if engine.mixes else []
        second = str(rng.choice(others)) if others else voice
        takes.append(
            Take(
                text=variants[number % len(variants)],
                voice=voice,
                second=second,
                share_percent=int(rng.integers(*_SHARE_PERCENT)) if others else 100,
                speed_percent=round(100 * rng.uniform(*speed)),
                pitch_semitones=round(float(rng.uniform(*pitch_semitones)), 2),
            )
        )
    return takes
