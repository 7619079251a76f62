"""Clips in folders named after their label, each classified once: what was said against what the model takes it for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.files import find_sound_files, read_sound, sound_files
from ..errors import AudioError, HarkError
from ..model import Model
from .confusion import Confusion

SILENCE, UNKNOWN = "_silence_", "_unknown_"
NOISE_FOLDERS = frozenset({SILENCE, "_background_noise_"})
SHARE = 10  # balanced: one clip of silence and one of another word for so many of keywords
_SPARE_SAMPLES = SAMPLE_RATE_HZ // 10  # by which a clip may be longer than the window without a word
GAIN_DB = (-30.0, 0.0)  # of the silence that is cut from recordings


@dataclass(frozen=True, slots=True)
class Balance:
    """Other words and silence, each a tenth of the keyword clips, drawn by `seed`; silence is cut from `noise`."""

    noise: Path
    seed: int


def evaluate_clips(
    model: Model, folder: Path, balance: Balance | None, advance: Callable[[float], None]
) -> tuple[Confusion, list[str], list[str]]:
    """Classify DIR/<label>/*; -> what was taken for what, a line for each clip that could not be read, and notes.

    advance: called with 1 after each clip. HarkError where there are no clips, or a label the model cannot judge.
    """
    by_label = _clips(model, folder)
    if balance:
        keywords = sum(len(files) for label, files in by_label.items() if label in model.keywords)
        count = round(keywords / SHARE)
        rng = np.random.default_rng(balance.seed)
        unknown = by_label.get(UNKNOWN, [])
        by_label[UNKNOWN] = [unknown[i] for i in sorted(rng.permutation(len(unknown))[:count])]
        by_label[SILENCE] = []
    confusion = Confusion.empty(model.labels)
    problems: list[str] = []
    notes: list[str] = []
    window, long = model.metadata.window_samples, 0
    for label, files in by_label.items():
        for file in files:
            try:
                sound = read_sound(file, window + _SPARE_SAMPLES + 1)
                long += label != SILENCE and len(sound) > window + _SPARE_SAMPLES
                _judge(model, confusion, label, sound)
            except AudioError as error:
                problems.append(str(error))
            advance(1)
    if balance:
        _row(model, SILENCE, folder)
        for cut in silence_cuts(sound_files(balance.noise), count, rng):
            _judge(model, confusion, SILENCE, cut)
            advance(1)
    if long:
        notes.append(
            f"{folder}: {long} of {sum(map(len, by_label.values()))} clips are longer than the model's window of "
            f"{window / SAMPLE_RATE_HZ:.2f} s, and what comes after it was not heard; hark eval stream hears it all"
        )
    if not confusion.total:
        problems.append(f"{folder}: no clip could be classified")
    return confusion, problems, notes


def silence_cuts(recordings: Sequence[Path], count: int, rng: np.random.Generator) -> Iterator[Samples]:
    """`count` seconds out of recordings [16000] int16, each from a recording, a place and a gain that rng draws."""
    chosen = rng.integers(len(recordings), size=count)
    places = rng.random(count)
    gains = 10 ** (rng.uniform(*GAIN_DB, size=count) / 20)
    for index in np.unique(chosen):
        sound = read_sound(recordings[index])
        for draw in np.flatnonzero(chosen == index):
            first = int(places[draw] * max(1, len(sound) - SAMPLE_RATE_HZ + 1))
            yield to_int16(gains[draw] * sound[first : first + SAMPLE_RATE_HZ].astype(np.float64) / 32768)


def _clips(model: Model, folder: Path) -> dict[str, list[Path]]:
    """Label -> its files, sorted."""
    if not folder.is_dir():
        raise AudioError(f"{folder}: is no folder; clips are read from DIR/<label>/")
    by_label: dict[str, list[Path]] = {}
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if files := find_sound_files(child):
            by_label.setdefault(_row(model, child.name, folder), []).extend(files)
    if not by_label:
        raise AudioError(f"{folder}: no clips; they are read from DIR/<label>/ (one folder a label)")
    return by_label


def _row(model: Model, name: str, folder: Path) -> str:
    """The label that the clips of a folder have."""
    label = name if name in model.labels else SILENCE if name in NOISE_FOLDERS else UNKNOWN
    if label not in model.labels:
        raise HarkError(f"{folder / name}: the model {model.name} has neither this label nor {label}")
    return label


def _judge(model: Model, confusion: Confusion, label: str, sound: Samples) -> None:
    confusion.add(label, model.labels[int(np.argmax(model.infer(model.window_of(sound))))])
