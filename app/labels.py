"""What was said in a recording, from a CSV file: start_sample,end_sample,keyword and, if one likes, text, speaker."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from tinyhark.dsp.matching import Label

from .errors import HarkError

_MOST_DIGITS = 12  # of a number of samples: a year and more
_COLUMNS = ("start_sample", "end_sample", "keyword", "text", "speaker")


@dataclass(frozen=True, slots=True)
class Said:
    """Something said: a label, its text where that is more than the keyword, and who said it where that is known.

    A keyword that is empty or begins with "_" marks other speech, which is shown and never counted.
    """

    label: Label
    text: str = ""
    speaker: str = ""

    @property
    def is_command(self) -> bool:
        """Whether it is a keyword rather than other speech."""
        return bool(self.label.keyword) and not self.label.keyword.startswith("_")

    @property
    def words(self) -> str:
        """What to show: the keyword, or the text of other speech."""
        return self.label.keyword if self.is_command else self.text or self.label.keyword

    def as_other_speech(self) -> "Said":
        """The same words, not counted."""
        return Said(replace(self.label, keyword=""), self.text or self.label.keyword, self.speaker)


def read_labels(path: str | Path) -> list[Said]:
    """Labels of a recording in time order; the header line may be missing, empty lines are skipped.

    Raises HarkError with the file, the line and what is wrong with it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise HarkError(f"{path}: cannot be read: {error.strerror}; give a CSV file of labels") from None
    except UnicodeDecodeError:
        raise HarkError(f"{path}: is no UTF-8 text; give a CSV file {','.join(_COLUMNS[:3])}") from None
    reader = csv.reader(text.splitlines(), strict=True)
    said: list[Said] = []
    try:
        for row in reader:
            cells = [_printable(cell).strip() for cell in row]
            if any(cells) and not (reader.line_num == 1 and cells[:3] == list(_COLUMNS[:3])):
                said.append(_parse(cells, f"{path}, line {reader.line_num}"))
    except csv.Error as error:
        raise HarkError(f"{path}, line {reader.line_num}: is no CSV: {error}") from None
    return sorted(said, key=lambda item: item.label)


def _printable(text: str) -> str:
    """Control characters as spaces: what is shown on a terminal must not command it."""
    return "".join(character if character.isprintable() else " " for character in text)


def _parse(cells: list[str], place: str) -> Said:
    if not 3 <= len(cells) <= len(_COLUMNS):
        have, may = ", ".join(_COLUMNS[:3]), " and ".join(_COLUMNS[3:])
        raise HarkError(f"{place}: has {len(cells)} columns; it must have {have} and may have {may}")
    samples = []
    for name, cell in zip(_COLUMNS, cells[:2], strict=False):
        if not (cell.isascii() and cell.isdigit() and len(cell) <= _MOST_DIGITS):
            raise HarkError(f"{place}: {name} is {cell[:40]!r}; it must be a whole number of samples at 16 kHz")
        samples.append(int(cell))
    try:
        return Said(Label(samples[0], samples[1], cells[2]), *cells[3:])
    except ValueError as error:
        raise HarkError(f"{place}: {error}") from None
