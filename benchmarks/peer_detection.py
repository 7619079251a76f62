"""Misses and false accepts of tinyhark beside other spotters (peer_spotters.py), on the same streams, by one rule.

    python benchmarks/peer_detection.py DATA WORK (--model NAME|FILE | --folds DIR) [--false-accepts N] [--jobs N]
                                        [--picture FILE] [--json FILE]

DATA holds wake-phrases/, negatives/ and speech-commands/noise/. Streams are those of scripts/judge_wake_folds.py: each
phrase clean, at 10 and at 5 dB, and all negatives. DIR holds fold-K/wake.onnx, models that were trained without fold K
of training/splits/wake-folds.csv: each hears its fold alone. WORK keeps sound and scores: an interrupted run goes on.
Figures at the defaults, and with N false accepts of a phrase at most; a paired test (McNemar, exact) on the recordings.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import numpy as np
from judge_wake_folds import FOLDS, SNRS_DB, lay_out
from peer_measure import hear_peer, judge_ours, judge_peer
from peer_pairs import Pair, best_within, pairs
from peer_spotters import PEERS, PHRASES
from peers import OURS, compare
from table import print_table

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import on_cores
from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import CLEAN, NEGATIVE, Scenario
from tinyhark.app.evaluation.scores import Heard, hear
from tinyhark.app.evaluation.stream_tables import per_hour, share
from tinyhark.app.evaluation.streams import Stream, render
from tinyhark.app.model import Model
from tinyhark.app.progress import progress
from tinyhark.dsp.operating import Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COST_S, COST_CHUNK_MS, COST_REPEATS = 60, 80, 5  # of sound; how it comes; passes
RATE_HZ = 16_000
STYLES = ("-", "--", ":")  # of the lines: clean, 10 dB, 5 dB


@dataclass(frozen=True)
class Row:
    """A spotter on a phrase at one setting; misses: by condition."""

    spotter: str
    phrase: str
    at: str
    setting: float
    misses: dict[str, Rate]
    false_accepts: Rate
    double_triggers: int


def streams_of(data: Path, work: Path) -> list[list[Stream]]:
    """The streams of each fold, the same for every spotter."""
    lay_out(data, work)
    folds = []
    for fold in FOLDS:
        positives, negatives = work / f"fold-{fold}" / "positives", work / f"fold-{fold}" / "negatives"
        there = [(path,) if path.is_dir() else () for path in (positives, negatives)]
        folds.append(Scenario(*there, work / "noise", SNRS_DB, seed=fold).streams(PHRASES) if any(there) else [])
    return folds


def measure(folds: list[list[Stream]], models: list[Model], work: Path, jobs: int) -> dict[str, Measurement]:
    """Spotter -> all streams as it hears them, ours first; without those that cannot run here."""
    cache, farm = Cache(work / "scores"), on_cores(jobs)
    with progress(OURS, sum(map(len, folds))) as advance:
        heard: list[tuple[Model, list[Heard]]] = []
        for model, streams in zip(models, folds, strict=True):
            found, problems = hear(model, streams, cache, farm, advance)
            if problems:
                raise HarkError(problems[0])
            heard.append((model, found))
    measured = {OURS: judge_ours(heard)}
    streams = [stream for fold in folds for stream in fold]
    for peer in PEERS:
        try:
            peer.feed()
        except ImportError as error:
            print(f"{peer.name}: not importable here ({error})", file=sys.stderr)
            continue
        with progress(peer.name, len(streams)) as advance:
            measured[peer.name] = judge_peer(peer, hear_peer(peer, streams, cache, farm, advance))
    return measured


def rows(measured: dict[str, Measurement], most: int) -> Iterator[Row]:
    for phrase in PHRASES:
        for name, m in measured.items():
            if phrase in m.keywords:
                yield row(name, m, phrase, "default", m.in_use)
                if (setting := best_within(m, phrase, most)) is not None:
                    yield row(name, m, phrase, f"at most {most}", setting)


def row(name: str, m: Measurement, phrase: str, at: str, setting: int) -> Row:
    misses = {condition: m.counts(phrase, condition).point(setting).misses for condition in m.conditions}
    found = m.counts(phrase, NEGATIVE).point(setting).false_accepts
    value = m.settings[setting][m.keywords.index(phrase)]
    return Row(name, phrase, at, value, misses, found, m.counts(phrase).point(setting).double_triggers)


def cost(streams: list[Stream], model: str) -> dict[str, dict[str, float]]:
    """CPU and memory of each spotter on a minute of the clean streams."""
    clean = next(stream for stream in streams if stream.condition == CLEAN)
    audio = np.concatenate(list(render(clean).blocks))[: COST_S * RATE_HZ]
    return compare(audio, model, COST_CHUNK_MS, COST_REPEATS)


def show(found: list[Row], paired: list[Pair], costs: dict[str, dict[str, float]]) -> None:
    conditions = list(found[0].misses)
    header = ["phrase, spotter", "at", "setting", *(f"missed, {c}" for c in conditions), "false accepts per hour"]
    cells = []
    for one in found:
        own = costs.get(one.spotter, {})
        spent = [f"{own[key]:.1f}" if own else "-" for key in ("cpu_ms_per_s", "resident_mb")]
        missed = [share(one.misses[condition]) for condition in conditions]
        name = f"{one.phrase}, {one.spotter}"
        again = str(one.double_triggers)
        cells.append([name, one.at, f"{one.setting:.2f}", *missed, per_hour(one.false_accepts), again, *spent])
    print_table([*header, "double", "CPU ms/s", "MB"], cells)
    names = ["phrase, peer", "false accepts", "ours", "its", "heard under", "of", "we miss", "it misses"]
    lines = [
        [
            f"{one.phrase}, {one.peer}",
            one.at,
            *map(str, one.false_accepts),
            one.condition,
            str(one.recordings),
            *map(str, (*one.missed, *one.missed_alone)),
            f"{one.p:.3g}",
            one.verdict,
        ]
        for one in paired
    ]
    print_table([*names, "we alone", "it alone", "p", "we are"], lines)
    print_table(["mean misses, in %", "false accepts", "heard under", "phrases", "ours", "its"], list(means(paired)))


def means(paired: list[Pair]) -> Iterator[list[str]]:
    """Over the phrases that a peer knows."""
    for key in dict.fromkeys((one.peer, one.at, one.condition) for one in paired):
        some = [one for one in paired if (one.peer, one.at, one.condition) == key]
        ours, its = (100 * sum(one.missed[who] / one.recordings for one in some) / len(some) for who in (0, 1))
        yield [*key, str(len(some)), f"{ours:.2f}", f"{its:.2f}"]


def draw(measured: dict[str, Measurement], file: Path) -> None:
    """DET: a panel a phrase, a colour a spotter, a line style a condition, a dot at the default."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(12, 9), sharex=True, sharey=True, layout="constrained")
    for axis, phrase in zip(axes.flat, PHRASES, strict=True):
        for number, (name, m) in enumerate(measured.items()):
            if phrase in m.keywords:
                draw_spotter(axis, name, f"C{number}", m, phrase)
        axis.set(title=phrase, xlabel="false accepts per hour", ylabel="missed, %")
        axis.set_xscale("symlog", linthresh=0.2)
        axis.set_yscale("symlog", linthresh=1)
        axis.set(xlim=(0, 100), ylim=(0, 100))
        axis.grid(alpha=0.3)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(measured))
    figure.suptitle("solid: clean, dashed: 10 dB, dotted: 5 dB; dots: defaults")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def draw_spotter(axis: "Axes", name: str, colour: str, m: Measurement, phrase: str) -> None:
    negatives = m.counts(phrase, NEGATIVE)
    false = negatives.false_accepts / (negatives.hours or 1)
    for condition, style in zip(m.conditions, STYLES, strict=True):
        counts = m.counts(phrase, condition)
        missed = 100 * counts.misses / max(1, counts.words)
        label = name if condition == CLEAN else None
        axis.plot(false[:-1], missed[:-1], style, color=colour, label=label)
        axis.plot(false[-1], missed[-1], "o", color=colour, clip_on=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="one model for all recordings")
    which.add_argument("--folds", type=Path, help="fold-K/wake.onnx, a model for each fold")
    parser.add_argument("--false-accepts", type=int, default=1, help="of a phrase in all negatives (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="the DET plot, PNG or SVG")
    parser.add_argument("--json", type=Path, help="all figures")
    options = parser.parse_args()
    names = [str(options.folds / f"fold-{k}" / "wake.onnx") if options.folds else options.model for k in FOLDS]
    try:
        models = [Model.load(name) for name in names]
        folds = streams_of(options.data, options.work)
        measured = measure(folds, models, options.work, options.jobs)
    except HarkError as error:
        raise SystemExit(f"peer_detection.py: {error}") from error
    found = list(rows(measured, options.false_accepts))
    paired = [
        pair
        for name, m in measured.items()
        if name != OURS
        for pair in pairs(measured[OURS], m, name, options.false_accepts)
    ]
    costs = cost([stream for fold in folds for stream in fold], names[0])
    if not found:
        raise SystemExit(f"peer_detection.py: {names[0]} has none of the words {', '.join(PHRASES)}")
    show(found, paired, costs)
    if options.picture:
        draw(measured, options.picture)
    if options.json:
        figures = {"rows": [asdict(one) for one in found], "pairs": [asdict(one) for one in paired], "cost": costs}
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
