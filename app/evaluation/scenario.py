"""What a detector is measured on: words and other sound, gathered from files and laid out as streams, by seed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.files import duration_s, find_sound_files
from ..errors import AudioError, HarkError
from ..labels import read_labels
from ..text import printable
from .streams import Clip, Noise, Stream

CLEAN, RECORDED, NEGATIVE = "clean", "recording", "negative"  # conditions; the others are "10 dB" and the like
GAP_S = (1.0, 3.0)  # of silence between clips
_CLIPS = 50  # the most in a stream: two minutes or three, a good piece of work for one core
_LONG_S = 60.0  # a negative this long is a stream of its own
_JOINED_S = 600.0  # shorter ones are joined up to this
_NOISE_S = 300.0  # noise that a stream needs at most


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to measure on; raises nothing before it is laid out.

    positives: folders of clips (the last folder's name is the word) and of recordings with labels (FILE.csv beside
    FILE), or such recordings; negatives: sound files or folders of them, of which no word counts; noise: a folder of
    noise, a kind in each file or folder; snrs_db: at which the clips are heard, None for clean; speaker: a regular
    expression whose group finds the speaker in a clip's file name.
    """

    positives: tuple[Path, ...] = ()
    negatives: tuple[Path, ...] = ()
    noise: Path | None = None
    snrs_db: tuple[float | None, ...] = (None,)
    seed: int = 0
    speaker: str | None = None

    def streams(self, keywords: Sequence[str]) -> list[Stream]:
        """The streams for a model with these keywords; clips of other words are in them and do not count.

        What is named twice is in them once. Raises HarkError, one line, for what cannot be gathered.
        """
        clips, recordings = self._gather(keywords)
        laid = [stream for place in range(len(self.snrs_db)) for stream in self._condition(clips, place)]
        laid += [Stream.recording(clip, RECORDED, printable(clip.path.parent.name)) for clip in recordings]
        return laid + [stream for path in _places(self.negatives) for stream in _negatives(path)]

    def _gather(self, keywords: Sequence[str]) -> tuple[list[Clip], list[Clip]]:
        """Clips, and recordings with labels."""
        pattern = _speaker_pattern(self.speaker) if self.speaker else None
        clips, recordings = [], []
        for positive in _places(self.positives):
            for path in find_sound_files(positive) if positive.is_dir() else [positive]:
                labels = path.with_suffix(".csv")
                if labels.exists():
                    recordings.append(Clip(path, said=tuple(read_labels(labels))))
                elif not path.exists():
                    raise HarkError(f"{path}: is not there; give a folder of clips, or a recording with labels")
                elif path == positive:
                    raise HarkError(f"{path}: has no labels beside it; they belong in {labels.name}, one word a line")
                else:
                    found = pattern and pattern.search(path.name)
                    word, speaker = path.parent.name, (found and found.group(1)) or ""
                    clips.append(Clip(path, word if word in keywords else "", printable(speaker)))
        said = {clip.keyword for clip in clips} | {s.label.keyword for clip in recordings for s in clip.said}
        if self.positives and not said & set(keywords):
            names = ", ".join(keywords)
            raise HarkError(
                f"{self.positives[0]}: no folder and no label is named after a keyword of the model ({names})"
            )
        return clips, recordings

    def _condition(self, clips: Sequence[Clip], place: int) -> Iterator[Stream]:
        """All clips at one signal-to-noise ratio, in an order, with gaps and in noise that the seed decides."""
        snr_db = self.snrs_db[place]
        rng = np.random.default_rng((self.seed, place))
        kinds = [] if snr_db is None else self._noise_kinds()
        order = rng.permutation(len(clips))
        parts = max(-(-len(clips) // _CLIPS), min(len(kinds), len(clips)))
        for number, part in enumerate(np.array_split(order, parts) if parts else []):
            gaps = rng.uniform(*GAP_S, len(part) + 1) * SAMPLE_RATE_HZ
            kind, noise = "", None
            if snr_db is not None:
                kind, files = kinds[number % len(kinds)]
                noise = Noise(tuple(_enough(files, rng)), float(rng.random()), snr_db)
            condition = CLEAN if snr_db is None else f"{snr_db:g} dB"
            chosen = tuple(clips[index] for index in part)
            yield Stream(chosen, tuple(int(gap) for gap in gaps), noise, condition, kind, is_life=False)

    def _noise_kinds(self) -> list[tuple[str, list[Path]]]:
        """Kind -> its files."""
        if self.noise is None:
            raise HarkError("a signal-to-noise ratio needs noise; give a folder of it by --noise, or the ratio 'clean'")
        by_kind: dict[str, list[Path]] = {}
        (folder,) = _places([self.noise])
        for path in find_sound_files(folder):
            by_kind.setdefault(_kind(path, folder) or printable(path.stem), []).append(path)
        if not by_kind:
            raise AudioError(f"{self.noise}: no sound files in this folder")
        return sorted(by_kind.items())


def _places(paths: Iterable[Path]) -> list[Path]:
    """Absolute, as a worker elsewhere needs them and since "." has no name; each once."""
    return list(dict.fromkeys(path.absolute() for path in paths))


def _negatives(path: Path) -> Iterator[Stream]:
    """Long files each by itself; short ones joined, by kind, to streams of some minutes."""
    files = find_sound_files(path) if path.is_dir() else [path]
    if not files:
        raise AudioError(f"{path}: no sound files in this folder")
    short: dict[str, list[tuple[Path, float]]] = {}
    for file in files:
        kind, length_s = _kind(file, path) if path.is_dir() else "", duration_s(file)
        if length_s >= _LONG_S:
            yield Stream.recording(Clip(file), NEGATIVE, kind or printable(file.stem))
        else:
            short.setdefault(kind or printable(path.name if path.is_dir() else path.stem), []).append((file, length_s))
    for kind, pairs in short.items():
        ends_s = np.cumsum([length_s for _, length_s in pairs])
        for number in np.unique(ends_s // _JOINED_S):
            clips = tuple(
                Clip(file) for (file, _), end_s in zip(pairs, ends_s, strict=True) if end_s // _JOINED_S == number
            )
            yield Stream(clips, (0,) * (len(clips) + 1), None, NEGATIVE, kind, is_life=True)


def _kind(file: Path, folder: Path) -> str:
    """The folder just below `folder` that a file lies in, "" where it lies in `folder` itself."""
    parts = file.relative_to(folder).parts
    return printable(parts[0]) if len(parts) > 1 else ""


def _enough(files: Sequence[Path], rng: np.random.Generator) -> Iterator[Path]:
    """Some of the files, in an order that rng draws, long enough for any stream, or all."""
    missing_s = _NOISE_S
    for index in rng.permutation(len(files)):
        if missing_s > 0:
            yield files[index]
            missing_s -= duration_s(files[index])


def _speaker_pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise HarkError(f"--speaker {text!r}: is no regular expression ({error}); an example: '^([^_]+)_'") from error
    if not pattern.groups:
        raise HarkError(f"--speaker {text!r}: has no group, (...), around the speaker; an example: '^([^_]+)_'")
    return pattern
