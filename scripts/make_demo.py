"""The demo recording: ten commands among other speech, in noise and in rooms, from a seed.

    python scripts/make_demo.py --seed 4 --out app/demo [--kokoro DIR] [--cache DIR]

Writes DIR/demo.opus (16 kHz mono), DIR/demo.csv (start_sample,end_sample,keyword,text; the keyword is empty where other
words are spoken) and, with --scene, DIR/scene.csv, which says who spoke, how loud the noise was and in which room. The
speech is by the voices that training never uses. The same seed gives the same files (on one machine, with the same
versions of the libraries).
"""

import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ
from tinyhark.dsp.word_bounds import word_bounds
from tinyhark.training.synthesis import HELD_OUT_VOICES
from tinyhark.training.synthesis.kokoro import Kokoro
from tinyhark.training.synthesis.ogg import write_opus
from tinyhark.training.synthesis.scenery import NOISES, convolve, room_response
from tinyhark.training.synthesis.takes import Engine, Take

Sound = NDArray[np.float64]
Rng = np.random.Generator

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
# fmt: off
WORDS = (
    "seven", "garden", "window", "yellow", "paper", "morning", "elephant", "button", "carpet", "lantern", "pepper",
    "doctor", "winter", "sugar", "camera", "silver", "bicycle", "mountain", "river", "table", "forward", "visual",
    "happy", "marvin", "zero", "breakfast", "library", "dolphin", "violin", "pocket", "thunder", "castle", "ticket",
)
# fmt: on
SENTENCES = (
    "The children were playing near the river.",
    "She bought three apples and a bottle of milk.",
    "We might have soup and bread for dinner.",
    "The weather will be better by Thursday.",
    "My sister is learning to play the guitar.",
    "I think the train was twenty minutes late.",
    "Could you close the window, please?",
    "The kettle has been boiling since this morning.",
    "He reads a chapter each evening before bed.",
    "Her garden is full of yellow flowers.",
    "They travelled across the mountains by bicycle.",
    "Our neighbour has a very friendly dog.",
    "The museum is free every first Sunday.",
    "It takes an hour to walk to the village.",
    "The battery lasts about a week.",
    "There is fresh coffee in the kitchen.",
    "A small boat crossed the harbour slowly.",
    "Remember to water the plants at the weekend.",
)
ENDINGS = (".", "!", "")  # how a command is said

COMMANDS_COUNT, WORDS_COUNT, SENTENCES_COUNT = 26, 8, 6
GAP_S = (0.4, 1.4)
LENGTH_S = (60.0, 80.0)
PLACINGS = 100  # with other gaps, until the length is right
SPEED_PERCENT = (88, 116)
SPEECH_DB = -27.0  # RMS of a word, full scale 0
SECTION_SPREAD_DB, WORD_SPREAD_DB = 3.0, 1.5
SNR_DB = (5.0 + WORD_SPREAD_DB, 20.0 - WORD_SPREAD_DB)  # of a section; a word in it is louder or softer by the spread
SECTIONS = 6
CROSSFADE_SAMPLES = SAMPLE_RATE_HZ // 4
# Reverberation time in seconds, direct to reverberant energy in dB.
ROOMS: dict[str, tuple[float, float] | None] = {"dry": None, "small room": (0.25, 6.0), "hall": (0.5, 4.0)}


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said: the take, its keyword (empty: other speech), its sound, and its word in that, in samples."""

    take: Take
    keyword: str
    sound: Sound
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the recording with one noise, one loudness and one room."""

    noise: str
    room: str
    level_db: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class Event:
    """An utterance in its place."""

    utterance: Utterance
    start_sample: int
    section: int
    level_db: float

    @property
    def end_sample(self) -> int:
        """One past the last sample of the word."""
        return self.start_sample + self.utterance.end - self.utterance.start


def draw_script(rng: Rng) -> list[tuple[str, str]]:
    """(text, keyword) in order: every command at least twice, none twice in a row, other speech between them."""
    commands = [*COMMANDS, *COMMANDS, *rng.choice(COMMANDS, COMMANDS_COUNT - 2 * len(COMMANDS), replace=False)]
    others = [str(word) + "." for word in rng.choice(WORDS, WORDS_COUNT, replace=False)]
    others += [str(sentence) for sentence in rng.choice(SENTENCES, SENTENCES_COUNT, replace=False)]
    script = [(word + str(rng.choice(ENDINGS)), str(word)) for word in commands]
    while True:
        order = [script[i] for i in rng.permutation(len(script))]
        if all(a[1] != b[1] for a, b in itertools.pairwise(order)):
            break
    rng.shuffle(others)
    slots = np.sort(rng.choice(np.arange(1, COMMANDS_COUNT), len(others), replace=False))[::-1]
    for slot, text in zip(slots, others, strict=True):
        order.insert(int(slot), (text, ""))
    return order


def draw_take(rng: Rng, text: str) -> Take:
    """A held-out voice, pure or mixed with another of them."""
    voice, second = (str(name) for name in rng.choice(HELD_OUT_VOICES, 2, replace=False))
    share = int(rng.choice([100, 100, 80, 65]))
    return Take(text, voice, voice if share == 100 else second, share, int(rng.integers(*SPEED_PERCENT)))


def render(take: Take, keyword: str, engine: Engine, cache: Path | None) -> Utterance:
    """Speak a take (or take it from the cache), find its word and bring that to an RMS of 1."""
    kept = cache / f"{hashlib.sha256(repr((engine.name, take)).encode()).hexdigest()[:24]}.npy" if cache else None
    if kept and kept.exists():
        clip = np.load(kept)
    else:
        clip = engine.speak(take)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, clip)
    first, last = word_bounds(FrontEnd().log_mel(clip))
    start, end = first * HOP_SAMPLES, last * HOP_SAMPLES + FRAME_SAMPLES
    sound = clip / 32768
    return Utterance(take, keyword, sound / np.sqrt(np.mean(sound[start:end] ** 2)), start, end)


def draw_sections(rng: Rng) -> list[Section]:
    """Six sections: all noises, all rooms twice, SNRs spread evenly over their range, in random order."""
    noises = [*NOISES, str(rng.choice(list(NOISES)))][:SECTIONS]
    rng.shuffle(noises)
    rooms = [*ROOMS, *ROOMS]
    rng.shuffle(rooms)
    snrs_db = np.linspace(*SNR_DB, SECTIONS)
    rng.shuffle(snrs_db)
    levels_db = SPEECH_DB + rng.uniform(-SECTION_SPREAD_DB, SECTION_SPREAD_DB, SECTIONS)
    return [Section(n, r, float(lv), float(s)) for n, r, lv, s in zip(noises, rooms, levels_db, snrs_db, strict=True)]


def place(rng: Rng, utterances: Sequence[Utterance], sections: Sequence[Section]) -> tuple[list[Event], list[int]]:
    """Events one after the other with random gaps, and where each section ends (the last: the recording)."""
    events: list[Event] = []
    ends: list[int] = []
    now = SAMPLE_RATE_HZ
    for index, utterance in enumerate(utterances):
        section = index * len(sections) // len(utterances)
        if section > len(ends):
            ends.append(now - int(GAP_S[0] / 2 * SAMPLE_RATE_HZ))
        level_db = sections[section].level_db + rng.uniform(-WORD_SPREAD_DB, WORD_SPREAD_DB)
        events.append(Event(utterance, now, section, level_db))
        now = events[-1].end_sample + int(rng.uniform(*GAP_S) * SAMPLE_RATE_HZ)
    return events, [*ends, now + SAMPLE_RATE_HZ // 2]


def speech_track(rng: Rng, events: Iterable[Event], sections: Sequence[Section], samples: int) -> Sound:
    """[samples] the events in their rooms, at their levels."""
    responses = {name: room_response(rng, *shape) if shape else None for name, shape in ROOMS.items()}
    track = np.zeros(samples)
    for event in events:
        sound = event.utterance.sound * 10 ** (event.level_db / 20)
        response = responses[sections[event.section].room]
        if response is not None:
            sound = convolve(sound, response)
        start = event.start_sample - event.utterance.start
        track[start : start + len(sound)] += sound[: samples - start]
    return track


def noise_track(rng: Rng, sections: Sequence[Section], ends: Sequence[int]) -> Sound:
    """[ends[-1]] the noise of each section at its level below the speech, faded into the next."""
    track = np.zeros(ends[-1])
    half = CROSSFADE_SAMPLES // 2
    for section, start, end in zip(sections, [0, *ends[:-1]], ends, strict=True):
        begin, finish = max(0, start - half), min(len(track), end + half)
        noise = NOISES[section.noise](rng, finish - begin) * 10 ** ((section.level_db - section.snr_db) / 20)
        ramp = np.sin(np.linspace(0, np.pi / 2, CROSSFADE_SAMPLES))
        if begin:
            noise[:CROSSFADE_SAMPLES] *= ramp
        if finish < len(track):
            noise[-CROSSFADE_SAMPLES:] *= ramp[::-1]
        track[begin:finish] += noise
    return track


def make(
    seed: int, engine: Engine, cache: Path | None = None, progress: Callable[[float], None] = lambda _: None
) -> tuple[NDArray[np.int16], list[Event], list[Section]]:
    """The recording, int16 at 16 kHz, 60 to 80 s, what is said in it and its sections; the same for the same seed.

    progress: told how much is spoken, 0..1.
    """
    rng = np.random.default_rng([seed, 1])
    script = draw_script(rng)
    utterances = []
    for text, keyword in script:
        utterances.append(render(draw_take(rng, text), keyword, engine, cache))
        progress(len(utterances) / len(script))
    sections = draw_sections(rng)
    for _ in range(PLACINGS):
        events, ends = place(rng, utterances, sections)
        if LENGTH_S[0] <= ends[-1] / SAMPLE_RATE_HZ <= LENGTH_S[1]:
            break
    else:
        raise ValueError(f"the words last too long or too short for {LENGTH_S} s: {ends[-1] / SAMPLE_RATE_HZ:.1f} s")
    sound = speech_track(rng, events, sections, ends[-1]) + noise_track(rng, sections, ends)
    return to_int16(sound), events, sections


def labels_csv(events: Iterable[Event]) -> str:
    """The labels as the file holds them."""
    rows = [(e.start_sample, e.end_sample, e.utterance.keyword, e.utterance.take.text) for e in events]
    return _csv(("start_sample", "end_sample", "keyword", "text"), rows)


def scene_csv(events: Iterable[Event], sections: Sequence[Section]) -> str:
    """Who spoke, in what noise and room: to look for what makes a word hard."""
    rows = []
    for e in events:
        section, take = sections[e.section], e.utterance.take
        snr_db = round(section.snr_db + e.level_db - section.level_db, 1)
        voice = f"{take.voice} {take.share_percent} {take.second}"
        rows.append((e.start_sample, take.text, voice, take.speed_percent, section.noise, snr_db, section.room))
    return _csv(("start_sample", "text", "voice", "speed_percent", "noise", "snr_db", "room"), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@click.command()
@click.option("--seed", type=click.IntRange(0), default=4, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for demo.opus and demo.csv.")
@click.option("--kokoro", type=click.Path(path_type=Path), help="Kokoro's folder, as for `hark say`.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps spoken words for the next run.")
@click.option("--scene", is_flag=True, help="Write scene.csv as well.")
def main(seed: int, out: Path, kokoro: Path | None, cache: Path | None, scene: bool) -> None:
    """Make the demo recording."""
    from rich.progress import Progress

    try:
        engine = Kokoro.load(kokoro)
        with Progress(transient=True) as bar:
            task = bar.add_task(f"speaking, seed {seed}", total=1.0)
            sound, events, sections = make(seed, engine, cache, lambda share: bar.update(task, completed=share))
    except HarkError as error:
        raise click.ClickException(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    write_opus(out / "demo.opus", sound, serial=seed)
    _write(out / "demo.csv", labels_csv(events))
    if scene:
        _write(out / "scene.csv", scene_csv(events, sections))


if __name__ == "__main__":
    main()
