"""espeak-ng, a formant synthesiser that every Debian has: many accents and voices, all a little mechanical."""

import struct

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError

from .phonemes import run_espeak
from .sound import finish
from .takes import Samples, Take

_ACCENTS = (
    "en-029",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)
_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
_OWN_SPEED = 160  # words a minute
_SPEEDS = (80, 450)  # what the program takes
_OWN_PITCH, _PITCHES = 50, (0, 99)  # 50 steps an octave
_RATE_OFFSET = 24  # bytes into a WAV file
_DATA = b"data"


class Espeak:
    """Speaks takes with espeak-ng; the same take gives the same samples with the same version of the program."""

    name = "espeak"
    licence = "CC0-1.0"  # the program's licence does not reach what it says
    mixes = False

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of all voices, sorted: an accent, `_`, a variant (en-us_f2)."""
        return tuple(f"{accent}_{variant}" for accent in _ACCENTS for variant in _VARIANTS)

    def weight(self, voice: str) -> float:
        """1: all voices are drawn alike."""
        del voice
        return 1.0

    def speak(self, take: Take) -> Samples:
        """[n] int16 at 16 kHz; raises HarkError for an unknown voice, mute text, or where espeak-ng is missing."""
        if take.voice not in self.voices:
            raise HarkError(f"{take.voice}: no such voice; a voice is ACCENT_VARIANT of {_ACCENTS} and {_VARIANTS}")
        words_a_minute = int(np.clip(round(_OWN_SPEED * take.speed), *_SPEEDS))
        pitch = int(np.clip(round(_OWN_PITCH * (1 + np.log2(take.pitch))), *_PITCHES))
        voice = take.voice.replace("_", "+")
        options = ["-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "-b", "1", "--stdin", "--stdout"]
        wav = run_espeak(options, take.text)
        clip = finish(*_parse(wav)) if _DATA in wav else np.zeros(0, np.int16)
        if not len(clip):
            raise HarkError(f"{take.text[:40]!r}: espeak-ng says nothing; write words")
        return clip


def _parse(wav: bytes) -> tuple[NDArray[np.float32], int]:
    """Sound and rate of a WAV file whose header does not know its length, because it went into a pipe."""
    start = wav.find(_DATA) + len(_DATA) + 4
    samples = np.frombuffer(wav, "<i2", (len(wav) - start) // 2, start)
    return (samples / 32768).astype(np.float32), struct.unpack_from("<I", wav, _RATE_OFFSET)[0]
