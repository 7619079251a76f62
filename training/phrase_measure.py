"""A new wake word's threshold, chosen on held-out speech, and what it comes to on held-out voices."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation import farm
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import Scenario
from tinyhark.app.evaluation.scores import Heard, Scores, hear, timing_of
from tinyhark.app.evaluation.streams import Clip, Stream
from tinyhark.app.model import Model
from tinyhark.dsp.operating import Counts, Point
from tinyhark.dsp.tables import FRAME_SAMPLES, HOP_SAMPLES
from tinyhark.export.operating_points import operating_point, write_points

from .listening import joined, posteriors_over
from .phrase_clips import VALIDATION
from .recipe import Recipe
from .store import Store

SNRS_DB = (None, 10.0, 5.0)
MOST_PER_HOUR = 0.5  # false accepts on held-out speech at the threshold that is chosen
# Below this nothing is chosen, however quiet the held-out speech is: there is more speech in the world.
LEAST_THRESHOLD, LEAST_WITHOUT_SPEECH = 0.3, 0.7
ENOUGH_HOURS = 1.0


@dataclass(frozen=True)
class Learned:
    """The model and what was measured at its threshold, by condition ("clean", "10 dB", ...).

    synthetic: on voices kept apart; recorded: on the user's held-out recordings, empty where there are none.
    """

    path: Path
    threshold: float
    synthetic: dict[str, Point]
    recorded: dict[str, Point]


def measure(model: Model, recipe: Recipe, stores: Path, run: Path, recorded: Sequence[Path]) -> Learned:
    """Choose the model's threshold, measure at it, and write both into its file.

    recorded: files of the phrase that training left out. Raises HarkError where sound cannot be read.
    """
    (keyword,) = model.keywords
    negatives = _negatives(model, recipe, stores)
    spec = model.metadata.keywords[keyword]

    def measured(heard: Sequence[Heard], threshold: float) -> Measurement:
        parameters = [replace(spec, threshold=threshold).parameters()]
        return Measurement.of(heard, [keyword], parameters, model.metadata.exclusion_ms)

    threshold = _threshold(measured(negatives, spec.threshold))
    synthetic = _hear(model, run / "clips" / VALIDATION, run)
    points = _points(measured([*synthetic, *negatives], threshold))
    own = {}
    if recorded:
        own = _points(measured([*_hear(model, _gathered(recorded, run, keyword), run), *negatives], threshold))
    _write(model, keyword, threshold, own or points, "own recordings" if own else "synthetic voices")
    return Learned(model.path, threshold, points, own)


def _threshold(measurement: Measurement) -> float:
    """The lowest threshold that keeps to the false accepts an hour."""
    counts = measurement.counts()
    enough = counts.hours >= ENOUGH_HOURS
    least = LEAST_THRESHOLD if enough else LEAST_WITHOUT_SPEECH
    most = MOST_PER_HOUR * counts.hours if enough else 0
    pairs = zip(measurement.settings[:-1], counts.false_accepts[:-1].tolist(), strict=True)
    return min((t for (t,), false in pairs if t >= least and false <= most), default=measurement.settings[-2][0])


def _negatives(model: Model, recipe: Recipe, stores: Path) -> list[Heard]:
    """The speech that training left out, store by store, as the model hears it: no word of it is the phrase."""
    left_out, timing, heard = set(recipe.exclude_speakers), timing_of(model), []
    for spec in recipe.store:
        if spec.use == "noise" or spec.path.endswith("-rooms"):
            continue
        store = Store.load(stores / spec.path)
        _, log_mel = joined(store, lambda clip: clip.who in left_out and clip.label not in recipe.keywords)
        if len(log_mel) >= recipe.window_frames:
            samples = FRAME_SAMPLES + (len(log_mel) - 1) * HOP_SAMPLES
            scores = Scores(posteriors_over(model, log_mel), samples, 0, ((0, samples),), ((-1, -1),))
            stream = Stream.recording(Clip(store.path), "negative", spec.path)
            heard.append(Heard(stream, scores, [], timing))
    return heard


def _hear(model: Model, folder: Path, run: Path) -> list[Heard]:
    scenario = Scenario((folder,), noise=run / "noise", snrs_db=SNRS_DB)
    streams = scenario.streams(model.keywords)
    heard, problems = hear(model, streams, Cache(run / "scores"), farm.here, lambda _: None)
    if problems:
        raise HarkError(problems[0])
    return heard


def _gathered(files: Sequence[Path], run: Path, keyword: str) -> Path:
    """A folder of these files alone, named after the keyword, as the evaluation wants it."""
    folder = run / "clips" / "recorded"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / keyword).mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / keyword / f"{number}{file.suffix}").symlink_to(file.absolute())
    return folder


def _points(measurement: Measurement) -> dict[str, Point]:
    speech = measurement.counts(condition="negative")
    out = {}
    for condition in measurement.conditions:
        counts: Counts = measurement.counts(condition=condition) + speech
        out[condition] = counts.point(measurement.in_use)
    return out


def _write(model: Model, keyword: str, threshold: float, points: dict[str, Point], voices: str) -> None:
    listed = [
        operating_point(threshold, point.misses, point.false_accepts, f"{voices}, {condition}")
        for condition, point in points.items()
        if point.misses.rate is not None
    ]
    write_points(model.path, {keyword: listed})
