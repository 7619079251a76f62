"""The engines that can speak here, and which of their voices are kept for judging."""

from pathlib import Path

from . import HELD_OUT_VOICES
from .espeak import Espeak
from .kokoro import Kokoro, default_folder
from .takes import Engine

_HELD_OUT_VARIANTS = ("_f3", "_m3")  # of espeak-ng's voices


def available(kokoro: Path | None, threads: int) -> list[Engine]:
    """espeak-ng, and Kokoro where its files are; kokoro: its folder, which must be one then (HarkError), or None."""
    engines: list[Engine] = [Espeak()]
    if kokoro is not None or (default_folder() / "model.onnx").is_file():
        engines.append(Kokoro.load(kokoro, threads))
    return engines


def is_held_out(voice: str) -> bool:
    """Whether a phrase that is learnt from text is not learnt from this voice, but judged with it."""
    return voice in HELD_OUT_VOICES or voice.endswith(_HELD_OUT_VARIANTS)
