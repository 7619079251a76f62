"""Compare the C that `hark export c` writes with Python over recordings: features value by value, events one by one.

    python scripts/compare_c_events.py --model commands --threshold 0.3 DATA/negatives/*.opus DATA/wake-phrases/*

Each argument is a recording, or a folder of them, and makes a row. Every recording is heard whole, to the silence after
its end, by both: Python with the front end in numpy and the network in onnxruntime, and the C compiled here. --model
may be repeated; --threshold hears all a second time with this one threshold, which makes more events. A column shows
how many events agree (`tinyhark.export.c_equality`) of how many; all others are listed below the table. Features are
compared for the exported C and, where it was built, for the desktop's module.

Exit status: 1 where a feature differs or fewer than 99.9 % of a column's events agree, 2 for what cannot be used.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

from tinyhark.app.audio.files import read_sound, sound_files
from tinyhark.app.errors import HarkError
from tinyhark.app.model import DEFAULT_NAME, Model
from tinyhark.dsp.front_end import IMPLEMENTATION, FrontEnd, Samples, frame_count
from tinyhark.dsp.tables import SAMPLE_RATE_HZ
from tinyhark.export.c_equality import Agreement, compare_events, differing_features, project_of, thresholds_at
from tinyhark.export.c_host import CProject


class Column(NamedTuple):
    """A model with its thresholds, and its C."""

    name: str
    model: Model
    project: CProject


def columns_of(names: list[str], threshold: float | None, compiler: str, scratch: Path) -> list[Column]:
    """Each model as it is, then with the other threshold."""
    models = []
    for name in names:
        models.append((Path(name).stem, Model.load(name)))
        if threshold is not None:
            heading = f"{Path(name).stem} at {threshold:g}"
            models.append((heading, thresholds_at(models[-1][1], threshold, scratch / f"{heading}.onnx")))
    return [
        Column(name, model, project_of(model, scratch / str(number), compiler))
        for number, (name, model) in enumerate(models)
    ]


class FrontEnds:
    """The one in numpy, which spotters use from now on, and those in C."""

    def __init__(self, column: Column) -> None:
        spec = column.model.metadata.front_end
        self.others: dict[str, FrontEnd | CProject] = {"exported": column.project}
        os.environ[IMPLEMENTATION] = "c"
        try:
            self.others["desktop"] = FrontEnd(spec.hop, spec.n_mfcc)
        except ValueError as error:
            print(f"The desktop's module is not compared: {error}")
        os.environ[IMPLEMENTATION] = "numpy"
        self.reference = FrontEnd(spec.hop, spec.n_mfcc)

    def differing(self, sound: Samples) -> int:
        """Values of [n] int16 that are not those of numpy."""
        return sum(differing_features(self.reference, other, sound) for other in self.others.values())


class Row:
    """What was found in some recordings: samples, frames, features that differ, events of each column."""

    def __init__(self, columns: int) -> None:
        self.samples = self.frames = self.differing = 0
        self.agreements = [Agreement() for _ in range(columns)]

    def add(self, other: "Row") -> None:
        """Take those of other recordings in."""
        self.samples += other.samples
        self.frames += other.frames
        self.differing += other.differing
        self.agreements = [mine + its for mine, its in zip(self.agreements, other.agreements, strict=True)]

    def show(self, name: str) -> None:
        """Print it as a row of the table."""
        hours = f"{self.samples / SAMPLE_RATE_HZ / 3600:.3f}"
        cells = [name, hours, str(self.frames), str(self.differing)]
        print_row(cells + [f"{one.agree} of {one.events}" for one in self.agreements])


def print_row(cells: list[str]) -> None:
    """As Markdown, at once: a row may take minutes."""
    print(f"| {' | '.join(cells)} |", flush=True)


def row_of(path: Path, columns: list[Column], front_ends: FrontEnds) -> Row:
    """Compare one recording."""
    sound = read_sound(path)
    row = Row(len(columns))
    row.samples = len(sound)
    row.frames = frame_count(len(sound), front_ends.reference.hop)
    row.differing = front_ends.differing(sound)
    row.agreements = [compare_events(column.model, column.project, sound) for column in columns]
    for column, one in zip(columns, row.agreements, strict=True):
        one.differences = [f"{path}, {column.name}: {line}" for line in one.differences]
    return row


def compare(arguments: list[Path], columns: list[Column]) -> bool:
    """Print the table, and what differs; whether all is as it must be."""
    front_ends = FrontEnds(columns[0])
    print(f"Front ends: numpy, {', '.join(f'C {name}' for name in front_ends.others)}.\n")
    print_row(["recordings", "hours", "frames", "differing features", *(column.name for column in columns)])
    print_row(["---", *["---:"] * (3 + len(columns))])
    total = Row(len(columns))
    for argument in arguments:
        row = Row(len(columns))
        for path in sound_files(argument) if argument.is_dir() else [argument]:
            row.add(row_of(path, columns, front_ends))
        row.show(argument.stem)
        total.add(row)
    total.show("all")
    print()
    for column, one in zip(columns, total.agreements, strict=True):
        print(f"{column.name}: {one.agree} of {one.events} events agree, {one.same} of them to the score's last bit")
        print(*one.differences, sep="\n", end="\n" if one.differences else "")
    return total.differing == 0 and all(one.holds for one in total.agreements)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--model", action="append", metavar="NAME_OR_FILE")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--compiler", default="cc")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        try:
            columns = columns_of(options.model or [DEFAULT_NAME], options.threshold, options.compiler, Path(scratch))
            good = compare(options.recordings, columns)
        except HarkError as error:
            print(f"compare_c_events: {error}", file=sys.stderr)
            sys.exit(2)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
