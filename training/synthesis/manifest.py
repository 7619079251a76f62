"""The list of rendered clips, `manifest.csv`: what was said by whom, how, with which engine and under which licence."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from tinyhark.app.atomic import write_text
from tinyhark.app.errors import HarkError

from .takes import Take

NAME = "manifest.csv"
COLUMNS = (
    "file",
    "text",
    "voice",
    "second_voice",
    "share_percent",
    "speed_percent",
    "pitch_semitones",
    "engine",
    "licence",
)

Row = dict[str, str]


def row(file: str, take: Take, engine: str, licence: str) -> Row:
    """The line of one clip; `file` is its path in the folder of the manifest."""
    values = (file, take.text, take.voice, take.second, take.share_percent, take.speed_percent, take.pitch_semitones)
    return dict(zip(COLUMNS, map(str, (*values, engine, licence)), strict=True))


def read(folder: Path) -> dict[str, Row]:
    """The lines of a folder's manifest by file, none where there is none; raises HarkError where it is another CSV."""
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise HarkError(f"{path}: has other columns than {','.join(COLUMNS)}; write into another folder")
            return {line["file"]: line for line in reader}
    except (ValueError, csv.Error) as error:
        raise HarkError(f"{path}: is no CSV in UTF-8 ({error}); write into another folder") from None


def write(folder: Path, rows: Iterable[Row]) -> None:
    """Write the manifest of a folder, ordered by file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda line: line["file"]))
    write_text(folder / NAME, out.getvalue())
