"""Judge the five models of the recipe `wake`, each on the recordings of the fold that it was trained without.

    python scripts/judge_wake_folds.py DATA_DIR RUNS_DIR WORK_DIR [--write MODEL]

RUNS_DIR/fold-K/wake.onnx hears the wake phrases of fold K, clean and in noise, and the negatives of fold K: each
recording once, by a model that never heard it. The thresholds, one a phrase for all folds, are those with the fewest
misses in mean and at most so many false accepts in all. WORK_DIR keeps the recordings, sorted by fold, and the scores.
--write puts the thresholds, and what they cost, into the model file that was trained on all folds.
"""

import argparse
import csv
import io
import itertools
from collections.abc import Container
from pathlib import Path

import numpy as np
import soundfile
from msgspec.structs import replace

from tinyhark.app.atomic import write_bytes
from tinyhark.app.evaluation import farm
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.figures import figures
from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import NEGATIVE, Scenario
from tinyhark.app.evaluation.scores import Heard, hear
from tinyhark.app.model import Model
from tinyhark.dsp.operating import Rate
from tinyhark.export.operating_points import points_of, write_points

SPLITS = Path(__file__).parents[1] / "training" / "splits"
TABLE, SAID = SPLITS / "wake-folds.csv", SPLITS / "said-in-negatives.csv"
FOLDS = range(5)
SNRS_DB = (None, 10.0, 5.0)
NOISE_FROM = 0.7  # of each background recording: what comes before is trained on


def said_in_negatives() -> dict[str, str]:
    """Recording of the negatives -> the phrase that is said in it."""
    with SAID.open(newline="") as file:
        return {row["recording"]: row["keyword"] for row in csv.DictReader(file)}


def lay_out(data: Path, work: Path, left_out: Container[str] = ()) -> None:
    """Sort the recordings by fold: fold-K/positives/PHRASE/*, fold-K/negatives/SET/all.flac; noise/*.flac."""
    with TABLE.open(newline="") as file:
        fold = {row["recording"]: int(row["fold"]) for row in csv.DictReader(file)}
    for path in sorted((data / "wake-phrases").glob("*/*")):
        link = work / f"fold-{fold[f'{path.parent.name}/{path.name}']}" / "positives" / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(path.absolute())
    for table in sorted((data / "negatives").glob("*.csv")):
        places = [work / f"fold-{k}" / "negatives" / table.stem / "all.flac" for k in FOLDS]
        if all(place.exists() for place in places):
            continue
        sound, rate = soundfile.read(table.with_suffix(".opus"), dtype="int16")
        parts: list[list[np.ndarray]] = [[] for _ in FOLDS]
        with table.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["recording"] in left_out:
                    continue
                first = int(row["first_sample"]) * rate // 16_000
                parts[fold[row["recording"]]].append(sound[first : first + int(row["samples"]) * rate // 16_000])
        for place, pieces in zip(places, parts, strict=True):
            if pieces:
                write_sound(place, np.concatenate(pieces), rate)
    for path in sorted((data / "speech-commands" / "noise").glob("*.flac")):
        if not (place := work / "noise" / path.name).exists():
            sound, rate = soundfile.read(path, dtype="int16")
            write_sound(place, sound[int(NOISE_FROM * len(sound)) :], rate)


def write_sound(path: Path, sound: np.ndarray, rate_hz: int) -> None:
    """A FLAC file, whole or not at all: another run may be reading here, and this one may be killed."""
    data = io.BytesIO()
    soundfile.write(data, sound, rate_hz, format="FLAC")
    write_bytes(path, data.getvalue())


def hear_all(runs: Path, work: Path, jobs: int) -> tuple[Model, list[Heard]]:
    """Every fold by its model; the models differ in weights alone."""
    heard: list[Heard] = []
    model = None
    for k in FOLDS:
        if not (runs / f"fold-{k}" / "wake.onnx").exists():
            print(f"fold {k}: no model yet, left out")
            continue
        model = Model.load(runs / f"fold-{k}" / "wake.onnx")
        folder = work / f"fold-{k}"
        scenario = Scenario((folder / "positives",), (folder / "negatives",), work / "noise", SNRS_DB, seed=k)
        more, problems = hear(
            model, scenario.streams(model.keywords), Cache(work / "scores"), farm.on_cores(jobs), lambda _: None
        )
        print(*problems, sep="\n", end="\n" if problems else "")
        heard += more
    assert model, "no model at all"
    return model, heard


def measured(model: Model, heard: list[Heard], thresholds: dict[str, float], **rule: float) -> Measurement:
    """All that was heard, judged with these thresholds in use and the model's other parameters, but for `rule`."""
    specs = [replace(model.metadata.keywords[k], threshold=thresholds.get(k, 0.5), **rule) for k in model.keywords]
    return Measurement.of(heard, model.keywords, [s.parameters() for s in specs], model.metadata.exclusion_ms)


def choose(m: Measurement, most: int) -> dict[str, float]:
    """A threshold for each keyword: fewest misses over all conditions in mean, at most `most` false accepts in all."""
    options: list[list[tuple[int, float, float]]] = []  # keyword -> (false accepts, miss rate, threshold)
    for keyword in m.keywords:
        false = m.counts(keyword, NEGATIVE).false_accepts.tolist()
        miss = np.mean(
            [m.counts(keyword, c).misses / m.counts(keyword, c).words for c in m.conditions], axis=0
        ).tolist()
        rows = [(f, r, setting[0]) for f, r, setting in zip(false, miss, m.settings[:-1], strict=False) if f <= most]
        options.append([min(row for row in rows if row[0] == n) for n in sorted({row[0] for row in rows})])
    allowed = (c for c in itertools.product(*options) if sum(row[0] for row in c) <= most)
    best = min(allowed, key=lambda c: sum(row[1] for row in c), default=None)
    if best is None:
        raise SystemExit(f"no thresholds keep to {most} false accepts in all")
    return {keyword: row[2] for keyword, row in zip(m.keywords, best, strict=True)}


def said(rate: Rate) -> str:
    """In percent, with the interval."""
    assert rate.rate is not None
    assert rate.interval is not None
    return f"{100 * rate.rate:5.1f} % ({100 * rate.interval[0]:.1f} to {100 * rate.interval[1]:.1f})"


def show(m: Measurement, thresholds: dict[str, float]) -> None:
    """Print misses by condition and phrase, and what was heard in the negatives."""
    for condition in m.conditions:
        points = {k: m.counts(k, condition).point(m.in_use) for k in m.keywords}
        latency = np.quantile(m.latencies_ms(None, condition, m.in_use), [0.5, 0.95])
        mean = np.mean([point.misses.rate or 0 for point in points.values()])
        print(f"{condition}: mean misses {100 * mean:.2f} %, latency p50 {latency[0]:.0f}, p95 {latency[1]:.0f} ms")
        for k, point in points.items():
            print(f"  {k:9} at {thresholds[k]:.3f}: misses {said(point.misses)} of {point.misses.of}", end="")
            print(f", double triggers {point.double_triggers}, beside words {point.beside_words}")
    total = m.counts(condition=NEGATIVE)
    print(f"negatives: {total.false_accepts[m.in_use]} false accepts in {total.hours:.2f} h")
    for kind in sorted({one.heard.stream.kind for one in m.judged if one.heard.stream.condition == NEGATIVE}):
        false = {k: int(m.counts(k, NEGATIVE, kind).false_accepts[m.in_use]) for k in m.keywords}
        hours = m.counts(condition=NEGATIVE, kind=kind).hours
        print(f"  {kind:26} {hours:.2f} h: {', '.join(f'{k} {n}' for k, n in false.items() if n) or 0}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--false-accepts", type=int, default=2)
    parser.add_argument("--smoothing-ms", type=float)
    parser.add_argument("--without-said", action="store_true", help=f"leave out the sentences in {SAID.name}")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="MODEL")
    options = parser.parse_args()
    if options.write and options.smoothing_ms is not None:
        parser.error("--write keeps the model's smoothing; leave out --smoothing-ms")
    work = options.work / ("without-said" if options.without_said else "all")
    said = said_in_negatives()
    lay_out(options.data, work, said if options.without_said else ())
    model, heard = hear_all(options.runs, work, options.jobs)
    rule = {} if options.smoothing_ms is None else {"smoothing_ms": options.smoothing_ms}
    thresholds = choose(measured(model, heard, {}, **rule), options.false_accepts)
    judged = measured(model, heard, thresholds, **rule)
    show(judged, thresholds)
    if options.write:
        data = "wake phrases and negatives, out of fold"
        if said and options.without_said:
            data += f", without {len(said)} sentences that say {' or '.join(sorted(set(said.values())))}"
        write_points(options.write, points_of(figures(judged, model.name), data))


if __name__ == "__main__":
    main()
