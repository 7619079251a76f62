"""Does what `hark tune` promises hold on other sound? Tuned on one half of the negatives, counted on the other.

    python benchmarks/tune_halves.py DATA/speech-commands/validation DATA/negatives [--fa-per-hour 0.5] [--without NAME]

The negatives are heard once (scores are cached), cut into pieces of a minute, and halved at random ten times. On each
other half, the false accepts of the chosen parameters are counted. Exit status 1: the mean rate there is above 1.4
times the target, or what was promised (at most so many false accepts in as many hours as the other half has, with 95 %
confidence) is broken in more than one of ten.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from table import print_table

from tinyhark.app.daemon.config import Config
from tinyhark.app.daemon.config import Model as ModelSection
from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.cache import Cache, default_folder
from tinyhark.app.evaluation.farm import on_cores
from tinyhark.app.evaluation.scenario import Scenario
from tinyhark.app.evaluation.scores import Heard, hear
from tinyhark.app.progress import progress
from tinyhark.app.tuning.choice import Choice, choose
from tinyhark.app.tuning.detector import Detector
from tinyhark.app.tuning.material import Material
from tinyhark.app.tuning.targets import FewFalseAccepts
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

PIECE_SAMPLES = 60 * SAMPLE_RATE_HZ
MOST_TIMES_TARGET, MOST_BROKEN = 1.4, 0.1


def pieces(heard: Heard) -> Iterator[Heard]:
    """A stream without words in pieces of a minute, each decided for itself."""
    stride = heard.timing.stride_samples
    steps = PIECE_SAMPLES // stride
    whole = heard.scores.posteriors
    for first in range(0, len(whole), steps):
        part = whole[first : first + steps]
        yield replace(heard, scores=replace(heard.scores, posteriors=part, samples=len(part) * stride))


def halves(count: int, times: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(seed)
    for _ in range(times):
        order = rng.permutation(count).tolist()
        yield order[: count // 2], order[count // 2 :]


def counted(material: Material, choice: Choice) -> int:
    """False accepts of a choice on other material."""
    setting = [p.threshold for p in choice.parameters]
    return material.total(material.judge(choice.parameters, [setting])).point(0).false_accepts.count


def hear_all(detector: Detector, options: argparse.Namespace) -> tuple[list[Heard], list[Heard]]:
    """Words, and the pieces of the negatives."""
    files = sorted(path for path in options.negatives.iterdir() if path.suffix in (".opus", ".flac", ".wav"))
    negatives = tuple(path for path in files if path.stem not in options.without)
    streams = Scenario(positives=(options.positives,), negatives=negatives).streams(detector.model.keywords)
    with progress("hear", len(streams)) as advance:
        heard, problems = hear(detector.model, streams, Cache(default_folder()), on_cores(options.jobs), advance)
    if problems:
        raise SystemExit(problems[0])
    words = [one for one in heard if not one.stream.is_life]
    return words, [piece for one in heard if one.stream.is_life for piece in pieces(one)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("positives", type=Path)
    parser.add_argument("negatives", type=Path)
    parser.add_argument("--model", default="commands")
    parser.add_argument("--fa-per-hour", type=float, default=0.5)
    parser.add_argument("--without", action="append", default=[], help="A file of negatives, by its name.")
    parser.add_argument("--halves", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    detector = Detector.of(Config(model=ModelSection(name=options.model)))
    words, negatives = hear_all(detector, options)

    def material(some: list[int]) -> Material:
        chosen = [*words, *(negatives[index] for index in some)]
        return Material(chosen, detector.model.keywords, detector.parameters, detector.exclusion_ms, detector.reported)

    rows, rates, broken, above = [], [], 0, 0
    for one, other in halves(len(negatives), options.halves, options.seed):
        try:
            choice = choose(material(one), FewFalseAccepts(options.fa_per_hour))
        except HarkError as error:
            raise SystemExit(f"refused: {error}") from None
        rest = material(other)
        found, most = counted(rest, choice), choice.most_in(rest.hours)
        rates.append(found / rest.hours)
        broken += found > most
        above += found / rest.hours > choice.bound_per_hour
        missed = choice.row.point.misses
        rows.append(
            [
                f"{choice.parameters[0].threshold:.4f}",
                f"{choice.parameters[0].smoothing_ms:g}",
                f"{100 * missed.count / missed.of:.1f} %",
                f"{choice.row.point.false_accepts.count} in {choice.hours:.2f} h",
                f"{choice.bound_per_hour:.2f}",
                f"{found} in {rest.hours:.2f} h",
                f"{rates[-1]:.2f}",
                str(most),
            ]
        )
    print_table(["threshold", "ms", "missed", "here", "rate below", "there", "rate", "at most"], rows)
    mean = float(np.mean(rates))
    print(
        f"target {options.fa_per_hour:g} per hour: {mean:.2f} on the other halves; more than promised in {broken} of "
        f"{len(rates)}, a rate there above the bound on the rate in {above}"
    )
    if mean > MOST_TIMES_TARGET * options.fa_per_hour or broken > MOST_BROKEN * len(rates):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
