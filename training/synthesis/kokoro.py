"""Kokoro-82M (Apache-2.0), a neural synthesiser: 54 voices that mix linearly, run by onnxruntime.

Its folder holds `model.onnx`, `vocabulary.json` (sign to token) and `voices/*.bin`; `hark data kokoro` makes it.
"""

import functools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.catalog import user_data
from tinyhark.app.errors import HarkError

from .phonemes import kokoro_phonemes
from .sound import finish
from .takes import Samples, Take

FOLDER_VARIABLE = "TINYHARK_KOKORO"
RATE_HZ = 24_000
STYLES, STYLE_SIZE = 510, 256  # a voice: one style a number of tokens
_ENGLISH = ("af", "am", "bf", "bm")
_FOREIGN_WEIGHT = 0.25  # voices of other languages speak English with an accent: wanted, but not most of the time


def default_folder() -> Path:
    """Where Kokoro's files are looked for: $TINYHARK_KOKORO, else `kokoro` in the user's data folder."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder)
    return user_data() / "kokoro"


class Kokoro:
    """Speaks English takes with Kokoro-82M; the same take gives the same samples (the network has no random part)."""

    name = "kokoro"
    licence = "Apache-2.0"
    mixes = True

    def __init__(self, session: Any, vocabulary: dict[str, int], styles: dict[str, NDArray[np.float32]]) -> None:
        self._session = session
        self._vocabulary = vocabulary
        self._styles = styles
        self._phonemes = functools.cache(kokoro_phonemes)  # espeak-ng starts once a text, not once a clip

    @classmethod
    def load(cls, folder: Path | None = None, threads: int = 1) -> "Kokoro":
        """Open the files in `folder` (None: default_folder()); raises HarkError where they are missing or broken."""
        import onnxruntime

        folder = folder or default_folder()
        if not (folder / "model.onnx").is_file():
            raise HarkError(f"{folder}: no Kokoro voices here; fetch them with: hark data kokoro {folder}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
            styles = {path.stem: _style(path) for path in sorted((folder / "voices").glob("*.bin"))}
        except Exception as error:  # onnxruntime has no common class for what a broken file raises
            reason = str(error).splitlines()[0]
            raise HarkError(f"{folder}: Kokoro's files do not load ({reason}); fetch them again") from error
        if not styles:
            raise HarkError(f"{folder / 'voices'}: holds no voice (*.bin); fetch them with: hark data kokoro {folder}")
        return cls(session, vocabulary, styles)

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of all voices, sorted: accent and sex, `_`, a name (af_heart, bm_george)."""
        return tuple(self._styles)

    def weight(self, voice: str) -> float:
        """1 for an English voice, less for one of another language."""
        return 1.0 if voice.startswith(_ENGLISH) else _FOREIGN_WEIGHT

    def speak(self, take: Take) -> Samples:
        """[n] int16 at 16 kHz; raises HarkError for an unknown voice, or text that is empty or too long."""
        phonemes = self._phonemes(take.text, take.voice.startswith("b"))
        tokens = [self._vocabulary[sign] for sign in phonemes if sign in self._vocabulary]
        if not 1 <= len(tokens) <= STYLES:
            raise HarkError(f"{take.text[:40]!r}: {len(tokens)} phonemes; Kokoro takes 1 to {STYLES} at a time")
        share = take.share_percent / 100
        style = share * self._voice(take.voice)[len(tokens) - 1]
        style = style + (1 - share) * self._voice(take.second)[len(tokens) - 1]
        feeds = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[None].astype(np.float32),
            # Higher pitch is a faster replay, which slower speech makes up for.
            "speed": np.array([take.speed / take.pitch], np.float32),
        }
        sound = self._session.run(None, feeds)[0]
        return finish(np.asarray(sound, np.float32).ravel(), RATE_HZ * take.pitch)

    def _voice(self, name: str) -> NDArray[np.float32]:
        try:
            return self._styles[name]
        except KeyError:
            raise HarkError(f"{name}: no such voice; there are {', '.join(self._styles)}") from None


def _style(path: Path) -> NDArray[np.float32]:
    values = np.fromfile(path, "<f4")
    if values.size != STYLES * STYLE_SIZE:
        raise ValueError(f"{path.name} has {values.size} numbers instead of {STYLES * STYLE_SIZE}")
    return values.reshape(STYLES, STYLE_SIZE)
