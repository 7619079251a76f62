"""Tables on a terminal, as all commands that measure show them; names of files and models in them are plain text."""

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH = 200  # of a pipe, which has none of its own


def plain_console() -> Console:
    """Standard output, where nothing that is printed is read as markup."""
    width = None if Console().is_terminal else _WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def titled_table(title: str, names: Sequence[str], text: Collection[str]) -> Table:
    """A table with these columns; those in `text` hold words, the others numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name in text else "right", no_wrap=name in text)
    return table
