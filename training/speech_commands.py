"""Speech Commands v0.02 (P. Warden, CC BY 4.0) from its public source, laid out by its own lists of speakers."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tinyhark.app.errors import HarkError

VERSION = "speech_commands_v0.02"
RECORDINGS = 105_829 + 6  # words and noises
PARTS = ("train", "validation", "testing")
NOISE = "noise"
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "testing"}
_NOISE_FOLDER = "_background_noise_"


def fetch(folder: Path) -> Path:
    """Download (2.3 GB) and unpack the set below `folder` through torchaudio, which verifies it; where its words are.

    Raises HarkError where torchaudio does not import or the set cannot be had.
    """
    try:
        from torchaudio.datasets import SPEECHCOMMANDS
    except (ImportError, OSError) as error:  # OSError: its libraries were built for another torch
        reason = str(error).splitlines()[0]
        raise HarkError(
            f"torchaudio: does not import ({reason}); install one that fits torch: pip install 'tinyhark[train]'"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        SPEECHCOMMANDS(folder, url=VERSION, download=True)
    except (OSError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise HarkError(f"{VERSION}: cannot be fetched ({reason}); the public source needs internet") from None
    extracted = folder / "SpeechCommands" / VERSION
    found = sum(1 for _ in recordings(extracted))
    if found != RECORDINGS:  # torchaudio does not notice that an earlier run was cut off while it unpacked
        raise HarkError(f"{extracted}: holds {found} of {RECORDINGS} recordings; remove it and start again")
    return extracted


def arrange(extracted: Path, out: Path, progress: Callable[[], None] = lambda: None) -> Counter[str]:
    """Link the set into `out`: train, validation, testing/<word>/*.wav and noise/*.wav; recordings in each part.

    extracted: the set as published, which is left as it is. Raises HarkError where its lists are missing.
    """
    part_of = _listed_parts(extracted)
    counts: Counter[str] = Counter()
    for recording in recordings(extracted):
        name = recording.relative_to(extracted).as_posix()
        if recording.parent.name == _NOISE_FOLDER:
            part, target = NOISE, out / NOISE / recording.name
        else:
            part = part_of.get(name, "train")
            target = out / part / name
        _link(recording, target)
        counts[part] += 1
        progress()
    return counts


def recordings(extracted: Path) -> Iterator[Path]:
    """All sound files of the published set, in a fixed order."""
    for word in sorted(path for path in extracted.iterdir() if path.is_dir()):
        yield from sorted(word.glob("*.wav"))


def _listed_parts(extracted: Path) -> dict[str, str]:
    part_of: dict[str, str] = {}
    for file, part in _LISTS.items():
        try:
            lines = (extracted / file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise HarkError(f"{extracted / file}: cannot be read ({error.strerror}); fetch the set again") from None
        part_of |= {line.strip(): part for line in lines if line.strip()}
    return part_of


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copy2(source, part)
    part.replace(target)
    part.unlink(missing_ok=True)  # a rename onto another link to the same file does nothing
