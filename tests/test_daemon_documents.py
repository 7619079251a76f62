"""The documentation has every key of the daemon's configuration, and what holds where it is left out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tinyhark.app.daemon import config as c

DOCUMENTS = Path(__file__).parents[1] / "docs"
KINDS = {
    "audio": [c.Microphone, c.Arecord, c.Tcp, c.Stdin, c.File],
    "model": [c.Model],
    "detection": [c.Detection],
    "exec": [c.Exec],
    "preroll": [c.Preroll],
    "feedback": [c.Feedback],
    "chime": [c.Chime],
    "http": [c.Http],
    "mqtt": [c.Mqtt],
    "wyoming": [c.Wyoming],
}


def rows() -> Iterator[tuple[str, str, str]]:
    """Section, keys and meaning of each row of the tables."""
    section = ""
    for line in (DOCUMENTS / "daemon.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3:
            section = cells[0].strip("`[]") or section
            yield section, cells[1], cells[2]
    for part in (DOCUMENTS / "integrations.md").read_text().split("\n## "):
        for line in part.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) == 2:
                yield part.split("\n")[0].lower(), cells[0], cells[1]


def defaults(section: str) -> dict[str, set[Any]]:
    """The keys of a section, with the values that they have where they are left out; None and nothing are none."""
    known: dict[str, set[Any]] = {}
    for kind in KINDS[section]:
        for field in msgspec.structs.fields(kind):
            value = known.setdefault(field.name, set())
            if field.default is not msgspec.NODEFAULT and field.default is not None:
                value.add(field.default)
    return known


def test_every_section_is_looked_at() -> None:
    assert {"stdout", *KINDS} == set(c.Config.__struct_fields__)


@pytest.mark.parametrize("section", KINDS)
def test_the_documentation_has_every_key_and_its_default(section: str) -> None:
    for key, values in defaults(section).items():
        told = " ".join(text for name, keys, text in rows() if name == section and f"`{key}`" in keys)
        assert told, f"[{section}] {key} stands in no table"
        for value in values:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            shown = "false" if value is False else shown
            found = re.search(rf"(?<![\w.]){re.escape(shown)}(?!\w)", told)
            assert found, f"[{section}] {key}: the default {shown} is not told"
