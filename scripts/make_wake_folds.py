"""Write training/splits/wake-folds.csv: the fold, 0 to 4, of each recording that the recipe `wake` is judged on.

    python scripts/make_wake_folds.py DATA_DIR

A fold is the SHA-256 of the recording's name modulo five; recordings that share a speaker or a source, as far as names
say, share its fold. Made once, before anything was trained on these recordings.
"""

import csv
import hashlib
import re
import sys
from pathlib import Path

FOLDS = 5
TABLE = Path(__file__).parents[1] / "training" / "splits" / "wake-folds.csv"

# What recordings have in common, by the name of their set: the pattern's group; where there is none, each is by itself.
COMMON = {
    "arabic-words": r"__(\d{8})_",  # speaker
    "environment-esc10": r"^\d-(\d+)-",  # the long recording that clips were cut from
}


def fold_of(common: str) -> int:
    """The fold of recordings that have `common` in common."""
    return int.from_bytes(hashlib.sha256(common.encode()).digest()) % FOLDS


def folds(data: Path) -> dict[str, int]:
    """Recording -> fold, for the wake phrases and all negatives in the folder `data`."""
    found = {}
    for file in sorted((data / "wake-phrases").glob("*/*")):
        name = f"{file.parent.name}/{file.name}"
        found[name] = fold_of(name)
    for table in sorted((data / "negatives").glob("*.csv")):
        pattern = COMMON.get(table.stem)
        with table.open(newline="") as file:
            for row in csv.DictReader(file):
                name = row["recording"]
                match = re.search(pattern, name) if pattern else None
                found[name] = fold_of(match.group(1) if match else name)
    return found


def main() -> None:
    """Write the table."""
    if len(sys.argv) != 2:
        sys.exit("usage: make_wake_folds.py DATA_DIR")
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["recording", "fold"])
        writer.writerows(folds(Path(sys.argv[1])).items())


if __name__ == "__main__":
    main()
