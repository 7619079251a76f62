"""The clips that a phrase is learnt from where nobody recorded it: the phrase, what is nearly it, other speech."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .synthesis.engines import is_held_out
from .synthesis.everyday import WORDS, strings
from .synthesis.near_misses import near_misses
from .synthesis.rendering import Job, jobs_of, render
from .synthesis.takes import Engine

NEAR_MISSES = 48
SPEED, PITCH_SEMITONES = (0.75, 1.35), (-2.0, 2.0)


@dataclass(frozen=True)
class Share:
    """Phrases that one engine speaks into the folder `name`, `count` clips of each; held_out: in voices kept apart."""

    name: str
    phrases: tuple[str, ...]
    count: int
    held_out: bool = False


PHRASE, NEAR, OTHER, SPEECH, VALIDATION = "phrase", "near", "other", "speech", "validation"  # folders of clips


def shares(phrase: str, engine: str, alone: bool) -> list[Share]:
    """What an engine has to say; alone: no other engine speaks. Kokoro is slow, so it says less."""
    spoken = f"{phrase}|{phrase}!|{phrase}?"
    near = tuple(near_misses(phrase, NEAR_MISSES))
    if engine == "espeak":
        return [
            Share(PHRASE, (spoken,), 360 if alone else 120),
            Share(NEAR, near, 6),
            Share(OTHER, WORDS, 3),
            Share(SPEECH, tuple(strings(200, 1)), 2),
            Share(VALIDATION, (phrase,), 60, held_out=True),
            Share(VALIDATION, (*near[:12], *strings(30, 2)), 2, held_out=True),
        ]
    return [
        Share(PHRASE, (spoken,), 300),
        Share(NEAR, near, 3),
        Share(SPEECH, tuple(strings(60, 3)), 1),
        Share(VALIDATION, (phrase,), 60, held_out=True),
        Share(VALIDATION, (*near[:12], *strings(15, 4)), 1, held_out=True),
    ]


def speak(phrase: str, engines: Sequence[Engine], out: Path, report: Callable[[int, int], None]) -> None:
    """Render all clips for `phrase` below `out`; those that are there already are left. report: clips done, in all."""
    work: list[tuple[Engine, Path, list[Job]]] = []
    for engine in engines:
        for share in shares(phrase, engine.name, alone=len(engines) == 1):
            voices = [voice for voice in engine.voices if is_held_out(voice) == share.held_out]
            jobs = jobs_of(share.phrases, engine, voices, share.count, SPEED, PITCH_SEMITONES, 0, "flac")
            work.append((engine, out / share.name, jobs))
    done, total = 0, sum(len(jobs) for _, _, jobs in work)

    def advance() -> None:
        nonlocal done
        done += 1
        report(done, total)

    for engine, folder, jobs in work:
        render(jobs, engine, folder, advance)
