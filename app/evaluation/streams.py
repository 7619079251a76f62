"""What is heard in one go: sound files one after the other, with gaps, over noise where wanted, mixed on waveforms."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.front_end import FrontEnd, Samples
from tinyhark.dsp.matching import Label
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ
from tinyhark.dsp.word_bounds import word_bounds

from ..audio.files import duration_s, read_blocks, read_sound
from ..audio.silence import SilenceMeter
from ..errors import AudioError
from ..labels import Said

VERSION = 2  # of what is rendered from a stream; scores of another are not taken from the cache
NOWHERE = (-1, -1)
_FADE_SAMPLES = SAMPLE_RATE_HZ // 100  # at the ends of a file, so that cutting it makes no click
_BLOCK_SAMPLES = 30 * SAMPLE_RATE_HZ
_FULL_SCALE = 32768.0

Waveform = NDArray[np.float32]  # [samples], full scale +-1
Bounds = tuple[int, int]  # first sample and one past the last


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound file in a stream: one word (`keyword`), or what `said` labels in it, or nothing that counts.

    speaker: of the one word, "" where it is not known.
    """

    path: Path
    keyword: str = ""
    speaker: str = ""
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise under a stream: files played one after the other over and over, from a share `start` of their length on.

    Under each clip its mean power is `snr_db` below that of the word, measured between the word's bounds.
    """

    paths: tuple[Path, ...]
    start: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class Stream:
    """Clips one after the other; gaps_samples: silence before each and after the last.

    condition, kind: how it is grouped in reports ("10 dB", "kitchen"); is_life: false accepts in it count per hour.
    """

    clips: tuple[Clip, ...]
    gaps_samples: tuple[int, ...]
    noise: Noise | None
    condition: str
    kind: str
    is_life: bool

    @classmethod
    def recording(cls, clip: Clip, condition: str, kind: str) -> "Stream":
        """A file as it is, of any length."""
        return cls((clip,), (0, 0), None, condition, kind, is_life=True)

    @property
    def is_one_file(self) -> bool:
        """Whether it is a file as it is, which need not be held in memory."""
        return len(self.clips) == 1 and not any(self.gaps_samples) and self.noise is None and not self.clips[0].keyword

    def digest(self, digest_of: Callable[[Path], str]) -> str:
        """SHA-256, hex, of all that decides how it sounds; digest_of gives that of a file's bytes."""
        clips = [[digest_of(clip.path), bool(clip.keyword)] for clip in self.clips]
        noise = self.noise and [[digest_of(path) for path in self.noise.paths], self.noise.start, self.noise.snr_db]
        return hashlib.sha256(json.dumps([VERSION, clips, self.gaps_samples, noise]).encode()).hexdigest()


@dataclass(slots=True)
class Rendered:
    """A stream's sound; spans, words: for each clip where it lies and where its word is, complete when blocks are read.

    A clip that could not be read has an empty span and no word, NOWHERE; problems has a line on it. silence: what of it
    no microphone heard.
    """

    blocks: Iterator[Samples]
    spans: list[Bounds] = field(default_factory=list)
    words: list[Bounds] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    silence: SilenceMeter = field(default_factory=SilenceMeter)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the truth: where it lies in its stream, in which clip, and who said it ("" where not known)."""

    label: Label
    clip: Clip
    speaker: str


def words_of(stream: Stream, spans: Sequence[Bounds], words: Sequence[Bounds]) -> list[Word]:
    """What was said in a stream, in time order; spans, words as `Rendered` has them. Labels beyond the end are not."""
    out = []
    for clip, (start, end), word in zip(stream.clips, spans, words, strict=True):
        if clip.keyword and tuple(word) != NOWHERE:
            out.append(Word(Label(int(word[0]), int(word[1]), clip.keyword), clip, clip.speaker))
        for said in clip.said:
            at = said.label
            if said.is_command and int(start) + at.start_sample < int(end):
                label = Label(int(start) + at.start_sample, int(start) + at.end_sample, at.keyword)
                out.append(Word(label, clip, said.speaker))
    return sorted(out, key=lambda item: item.label)


def labels_beyond(stream: Stream, samples: int) -> Iterator[str]:
    """A line for a recording of so many samples whose labels begin after its end: they are of other sound."""
    clip = stream.clips[0]
    late = sum(said.label.start_sample >= samples for said in clip.said)
    if late:
        last_s, end_s = (n / SAMPLE_RATE_HZ for n in (max(s.label.start_sample for s in clip.said), samples))
        yield (
            f"{clip.path}: {late} of its labels begin after its end, {end_s:.2f} s, the last at {last_s:.2f} s; labels "
            "count samples at 16 kHz whatever the rate of the file"
        )


def render(stream: Stream) -> Rendered:
    """The stream's sound, the same at every call; clips that cannot be read are left out and noted.

    Reading its blocks raises AudioError where its noise cannot be read.
    """
    out = Rendered(iter(()))
    out.blocks = _measured(_file(stream.clips[0].path, out) if stream.is_one_file else _composed(stream, out), out)
    return out


def _measured(blocks: Iterator[Samples], out: Rendered) -> Iterator[Samples]:
    for block in blocks:
        out.silence.feed(block)
        yield block


def _file(path: Path, out: Rendered) -> Iterator[Samples]:
    count = 0
    try:
        for block in read_blocks(path, _BLOCK_SAMPLES):
            count += len(block)
            yield block
    except AudioError as error:
        out.problems.append(str(error))
    out.spans.append((0, count))
    out.words.append(NOWHERE)


def _composed(stream: Stream, out: Rendered) -> Iterator[Samples]:
    sounds: list[Waveform] = []
    position = 0
    for clip, gap in zip(stream.clips, stream.gaps_samples[:-1], strict=True):
        position += gap
        sound, bounds = _clip(clip, out.problems, find_word=bool(clip.keyword or stream.noise))
        sounds.append(sound)
        out.spans.append((position, position + len(sound)))
        out.words.append(NOWHERE if bounds == NOWHERE else (position + bounds[0], position + bounds[1]))
        position += len(sound)
    mixed = np.zeros(position + stream.gaps_samples[-1], np.float32)
    for sound, (start, end) in zip(sounds, out.spans, strict=True):
        mixed[start:end] = sound
    if stream.noise:
        mixed += _bed(stream.noise, mixed, out.spans, out.words)
    yield to_int16(mixed)


def _clip(clip: Clip, problems: list[str], *, find_word: bool) -> tuple[Waveform, Bounds]:
    """A clip's sound, faded at its ends, and where its word is."""
    try:
        sound = read_sound(clip.path)
    except AudioError as error:
        problems.append(str(error))
        return np.zeros(0, np.float32), NOWHERE
    bounds = bounds_of_word(sound) if find_word and len(sound) else NOWHERE
    return _faded(sound), bounds


def bounds_of_word(sound: Samples) -> Bounds:
    """[n] int16 clip, n above 0 -> first sample of its word and one past the last, by `word_bounds`."""
    padded = np.pad(sound, (0, max(0, FRAME_SAMPLES - len(sound))))
    first, last = word_bounds(FrontEnd().log_mel(padded))
    return first * HOP_SAMPLES, min(len(sound), last * HOP_SAMPLES + FRAME_SAMPLES)


def _faded(sound: Samples) -> Waveform:
    out = sound.astype(np.float32) / np.float32(_FULL_SCALE)
    ramp = min(_FADE_SAMPLES, len(out) // 2)
    fade = (np.arange(ramp, dtype=np.float32) + 0.5) / max(1, ramp)
    out[:ramp] *= fade
    out[len(out) - ramp :] *= fade[::-1]
    return out


def _bed(noise: Noise, mixed: Waveform, spans: Sequence[Bounds], words: Sequence[Bounds]) -> Waveform:
    """Noise as long as `mixed`; its gain is steady under a clip and glides in the gaps."""
    bed = _long_enough(noise, len(mixed))
    present = [(span, word) for span, word in zip(spans, words, strict=True) if word != NOWHERE]
    if not present:
        return np.zeros_like(bed)
    middles = [(a[0][1] + b[0][0]) // 2 for a, b in pairwise(present)]
    knots: list[tuple[int, float]] = []
    for ((start, end), word), first, last in zip(present, [0, *middles], [*middles, len(bed)], strict=True):
        behind = _power(bed[first:last])
        if not behind:
            raise AudioError(f"{_named(noise)}: is digital silence under a word; noise at a ratio must be heard there")
        gain = np.sqrt(_power(mixed[word[0] : word[1]]) / behind / 10 ** (noise.snr_db / 10))
        knots += [(start, gain), (end - 1, gain)]
    for (first, gain), (last, other) in pairwise([(0, knots[0][1]), *knots, (len(bed), knots[-1][1])]):
        glide = gain if gain == other else np.interp(np.arange(first, last), (first, last), (gain, other))
        bed[first:last] *= np.float32(glide)
    return bed


def _named(noise: Noise) -> str:
    more = len(noise.paths) - 1
    return f"{noise.paths[0]}" + (f" and {more} more" if more else "")


def _long_enough(noise: Noise, samples: int) -> Waveform:
    """The noise from its start on, over and over; of an hour of it no more is read than that."""
    paths = noise.paths
    lengths = [int(duration_s(path) * SAMPLE_RATE_HZ) for path in paths]
    at, index = int(noise.start * sum(lengths)), 0
    while at > lengths[index]:
        at, index = at - lengths[index], index + 1
    pieces = [(paths[index], at, samples), *((path, 0, samples) for path in (*paths[index + 1 :], *paths[:index]))]
    bed = np.zeros(0, np.float32)
    for path, first, limit in [*pieces, (paths[index], 0, at)]:
        if limit > 0 and len(bed) < samples:
            bed = np.concatenate((bed, _faded(read_sound(path, min(limit, samples - len(bed)), first))))
    return np.resize(bed, samples)


def _power(sound: Waveform) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))
