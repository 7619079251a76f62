"""What is wrong with a configuration, in the words of its TOML file."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..text import nearest

_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def explain(error: msgspec.ValidationError, data: dict[str, Any], known: Callable[[str], list[str]]) -> str:
    """msgspec's words for a place as those of a TOML file, with the nearest right key for a wrong one.

    data: the file; known: what may stand at a place: the keys of a section, the values of `audio.source`.
    """
    what, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    section, _, key = where.partition(".")
    place = f"[{section}] {key}".rstrip() + ": " if section else ""
    if unknown := _UNKNOWN.fullmatch(what):
        thing = f"there is no {'key' if section else 'section'} {unknown[1]!r}"
        return f"{place}{thing}{nearest(unknown[1], known(section))}"
    if missing := _MISSING.fullmatch(what):
        return f"{place}{missing[1]} is missing"
    if what.startswith("Invalid value") and key == "source":
        value = str(data["audio"]["source"])
        return f"{place}there is no source {value!r}{nearest(value, known(where))}"
    words = what.replace("`", "").replace(" | null", "").replace("null", "nothing").replace("object", "table")
    return f"{place}{words[:1].lower()}{words[1:]}"
