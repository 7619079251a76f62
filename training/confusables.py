"""What a model fires at that only sounds like its keywords: near misses, spoken, heard, and counted by phrase."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import Farm
from tinyhark.app.evaluation.scenario import CLEAN
from tinyhark.app.evaluation.scores import hear
from tinyhark.app.evaluation.streams import Clip, Stream
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.operating import Rate
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .synthesis.engines import is_held_out
from .synthesis.near_misses import SAME, TWICE, confusables
from .synthesis.rendering import Job, jobs_of, render
from .synthesis.takes import Engine, slug

KEYWORD = "the keyword"  # a kind beside those of near_misses
MAY_FIRE = (KEYWORD, SAME, TWICE)  # kinds that are, or sound like, the keyword itself
_EACH = 24  # phrases for a keyword
_SPEED, _PITCH_SEMITONES = (0.8, 1.25), (-2.0, 2.0)
_CLIPS = 50  # in a stream
_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 2  # beyond the window, so that a firing belongs to the clip before it


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase to try, for one keyword, and in which way it is nearly that (a kind of near_misses, or KEYWORD)."""

    keyword: str
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Tried:
    """In how many of its clips something fired, and which keywords in how many."""

    phrase: Phrase
    fired: Rate
    heard: dict[str, int]


def phrases_for(keywords: Sequence[str]) -> list[Phrase]:
    """Each keyword as it is said, and what is nearly it; none twice, so a phrase stands with the first that has it."""
    own = {slug(keyword): Phrase(keyword, _spoken(keyword), KEYWORD) for keyword in keywords}
    found = dict(own)
    for phrase in own.values():
        for near in confusables(phrase.text, _EACH):
            found.setdefault(slug(near.text), Phrase(phrase.keyword, near.text, near.kind))
    return list(found.values())


def _spoken(keyword: str) -> str:
    return " ".join(keyword.replace("_", " ").replace("-", " ").split())


def speak(
    phrases: Sequence[Phrase], engines: Iterable[Engine], count: int, folder: Path, advance: Callable[[float], None]
) -> dict[Path, Phrase]:
    """`count` clips of each phrase by each engine, in voices kept for judging; those in `folder` are not made again.

    Raises HarkError where an engine cannot speak, OSError where clips cannot be written.
    """
    by_text = {phrase.text: phrase for phrase in phrases}
    clips: dict[Path, Phrase] = {}
    for engine in engines:
        voices = [voice for voice in engine.voices if is_held_out(voice)] or engine.voices
        jobs: list[Job] = jobs_of(list(by_text), engine, voices, count, _SPEED, _PITCH_SEMITONES, 0, "flac")
        render(jobs, engine, folder / engine.name, lambda: advance(1))
        clips |= {folder / engine.name / job.file: by_text[job.take.text] for job in jobs}
    return clips


def listen(
    spotter: Spotter, clips: dict[Path, Phrase], cache: Cache, farm: Farm, advance: Callable[[float], None]
) -> tuple[list[Tried], list[str]]:
    """What fires at each phrase, in the order of the phrases, and a line for each clip that could not be read.

    spotter: one model with its parameters; advance: called with the share of the clips that was heard.
    """
    gap = spotter.model.metadata.window_samples + _PAUSE_SAMPLES
    paths = list(clips)
    parts = [tuple(Clip(path) for path in paths[first : first + _CLIPS]) for first in range(0, len(paths), _CLIPS)]
    streams = [Stream(part, (gap,) * (len(part) + 1), None, CLEAN, "", is_life=False) for part in parts]
    heard, problems = hear(spotter.model, streams, cache, farm, lambda _: advance(1 / len(streams)))
    tried: Counter[Phrase] = Counter()
    fired: Counter[Phrase] = Counter()
    keywords: dict[Phrase, Counter[str]] = defaultdict(Counter)
    for one in heard:
        replay = one.replay(spotter.parameters, spotter.model.metadata.exclusion_ms)
        in_clip: dict[int, set[str]] = defaultdict(set)
        starts = [start for start, _ in one.scores.spans]
        for keyword, step in replay.firings([p.threshold for p in spotter.parameters]):
            in_clip[bisect_right(starts, one.timing.end_sample(step)) - 1].add(spotter.keywords[keyword])
        for index, (clip, (start, end)) in enumerate(zip(one.stream.clips, one.scores.spans, strict=True)):
            phrase = clips[clip.path]
            tried[phrase] += end > start
            fired[phrase] += bool(in_clip[index])
            keywords[phrase].update(in_clip[index])
    rows = [Tried(phrase, Rate.share(fired[phrase], tried[phrase]), dict(keywords[phrase])) for phrase in tried]
    return rows, problems
