"""A line of the live view: runs of text, each with a style; cheap enough to be made anew ten times a second."""

from collections.abc import Iterable
from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style


class Line:
    """Text in styles as rich names them ("bold green", "" for none); neighbours of one style are one run."""

    def __init__(self, *runs: tuple[str, str]) -> None:
        self._runs: list[tuple[str, str]] = []
        for text, style in runs:
            self.add(text, style)

    def add(self, text: str, style: str = "") -> "Line":
        """Append a run, control characters as spaces; gives the line itself."""
        if not text.isprintable():
            text = "".join(character if character.isprintable() else " " for character in text)
        if self._runs and self._runs[-1][1] == style:
            self._runs[-1] = self._runs[-1][0] + text, style
        elif text:
            self._runs.append((text, style))
        return self

    def extend(self, *lines: "Line") -> "Line":
        """Append other lines; gives the line itself."""
        for line in lines:
            for text, style in line._runs:
                self.add(text, style)
        return self

    @property
    def plain(self) -> str:
        """The text alone."""
        return "".join(text for text, _ in self._runs)

    @property
    def columns(self) -> int:
        """How wide it is on a terminal."""
        return sum(cell_len(text) for text, _ in self._runs)

    def cut(self, columns: int) -> "Line":
        """The line, no wider than `columns`."""
        out = Line()
        for text, style in self._runs:
            if columns <= 0:
                break
            width = cell_len(text)
            out.add(text if width <= columns else set_cell_size(text, columns), style)
            columns -= width
        return out

    def ascii(self) -> "Line":
        """The line for a terminal that knows ASCII only: other characters become question marks."""
        return Line(*((text.encode("ascii", "replace").decode(), style) for text, style in self._runs))

    def segments(self) -> Iterable[Segment]:
        """The line as rich prints it, without an end of line."""
        return (Segment(text, _style(style)) for text, style in self._runs)


@lru_cache(maxsize=64)
def _style(definition: str) -> Style:
    return Style.parse(definition)
