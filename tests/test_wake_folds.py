"""The folds of the wake phrases and their negatives: all recordings are in them, by the hash of their names."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[1] / "training" / "splits" / "wake-folds.csv"


@pytest.fixture(scope="module")
def fold() -> dict[str, int]:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["recording"]: int(row["fold"]) for row in rows}
    assert len(found) == len(rows), "no recording twice"
    return found


def test_folds_of_phrases_are_hashes_of_names(fold: dict[str, int]) -> None:
    phrases = {name: k for name, k in fold.items() if "/" in name}
    assert Counter(name.split("/")[0] for name in phrases) == {
        "alexa": 218,
        "computer": 299,
        "jarvis": 274,
        "snowboy": 279,
    }
    for name, k in phrases.items():
        assert k == int.from_bytes(hashlib.sha256(name.encode()).digest()) % 5
    assert all(30 < n < 80 for n in Counter((name.split("/")[0], k) for name, k in phrases.items()).values())


def test_a_speaker_of_arabic_is_in_one_fold(fold: dict[str, int]) -> None:
    arabic = {(name.split("__")[1].split("_")[0], k) for name, k in fold.items() if "_NO_" in name}
    assert len(arabic) == len({speaker for speaker, _ in arabic}) >= 15


def test_all_recordings_have_a_fold(fold: dict[str, int], data_dir: Path) -> None:
    names = {f"{path.parent.name}/{path.name}" for path in (data_dir / "wake-phrases").glob("*/*")}
    for table in (data_dir / "negatives").glob("*.csv"):
        with table.open(newline="") as file:
            names |= {row["recording"] for row in csv.DictReader(file)}
    assert names == fold.keys()
