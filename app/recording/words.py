"""Guided recording: so many takes of each word, checked at once, kept as clips in a folder a word."""

import enum
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..atomic import write_bytes
from ..audio.files import find_sound_files
from ..errors import AudioError, HarkError
from .ear import Ear
from .take import Take, judge

TAKE_S = 2.5
PATIENCE = 5  # takes in a row that are no good
PRIVATE = 0o600


class Answer(enum.Enum):
    """What to do next."""

    GO, REDO, STOP = "go", "redo", "stop"


class Guide(Protocol):
    """Who leads the speaker through it."""

    def ask(self, word: str, number: int, count: int) -> Answer:
        """Announce take `number` of `count`; REDO throws away the last clip."""
        ...

    def sign(self) -> None:
        """Speak now."""
        ...

    def tell(self, take: Take) -> None:
        """Whether it was kept, and why not."""
        ...


def record_words(ear: Ear, words: Sequence[str], count: int, out: Path, guide: Guide) -> Iterator[Path]:
    """Record until each word has `count` clips in `out`/word, those of before included; gives what was kept.

    Raises HarkError where a word cannot name a folder, AudioError where too many takes in a row are no good.
    """
    for word in words:
        if not word.strip() or word.startswith((".", "_")) or "/" in word or "\\" in word or not word.isprintable():
            raise HarkError(f"{word!r} cannot name a folder of clips; give the word or phrase as it is spoken")
    for word in words:
        last: Path | None = None
        refused = 0
        while (number := len(_clips(out / word)) + 1) <= count:
            answer = guide.ask(word, number, count)
            if answer is Answer.STOP:
                return
            if answer is Answer.REDO:
                if last:
                    last.unlink()
                    last = None
                continue
            guide.sign()
            take = judge(ear.take(TAKE_S))
            guide.tell(take)
            if take.complaint:
                refused += 1
                if refused == PATIENCE:
                    raise AudioError(f"{word}: {PATIENCE} takes in a row were no good; the last: {take.complaint}")
                continue
            refused = 0
            last = _keep(out / word, take.sound)
            yield last


def _clips(folder: Path) -> list[Path]:
    return find_sound_files(folder) if folder.is_dir() else []


def _keep(folder: Path, sound: Samples) -> Path:
    """Write a clip, under the first number that is free."""
    import soundfile

    number = 1
    while (path := folder / f"{folder.name}-{number:04}.wav").exists():
        number += 1
    data = io.BytesIO()
    soundfile.write(data, sound, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    write_bytes(path, data.getvalue(), PRIVATE)
    return path
