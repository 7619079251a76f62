"""Values put into one section of a TOML file; every other byte of it, comments too, stays."""

import json
import re
import tomllib
from collections.abc import Mapping

Value = float | Mapping[str, float]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ANY_HEADER = re.compile(r"\s*\[")


def assignments(values: Mapping[str, Value]) -> list[str]:
    """`key = value` as TOML has it, one line each."""
    return [f"{key} = {_written(value)}" for key, value in values.items()]


def with_values(text: str, section: str, values: Mapping[str, Value]) -> str:
    """A TOML text with these values in `[section]`, which is made at its end where there is none.

    A line that gives a key already gets another value and keeps its comment. Raises ValueError for a text that is no
    TOML, and for one that gives the section or a key in another form; nothing else of what the text says ever changes.
    """
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?")
    first = next((index for index, line in enumerate(lines) if header.fullmatch(line.rstrip("\r\n"))), None)
    if first is None:
        if lines:
            lines[-1] = lines[-1].rstrip("\r\n") + end
            lines.append(end)
        first = len(lines)
        lines.append(f"[{section}]{end}")
    elif not lines[first].endswith("\n"):
        lines[first] += end
    last = next((i for i in range(first + 1, len(lines)) if _ANY_HEADER.match(lines[i])), len(lines))
    new: list[str] = []
    for key, assignment in zip(values, assignments(values), strict=True):
        given = re.compile(rf"(\s*){re.escape(key)}\s*=\s*(?:\{{[^}}]*\}}|[^\s#{{]+)(\s*(?:#.*)?[\r\n]*)")
        for index in range(first + 1, last):
            if found := given.fullmatch(lines[index]):
                lines[index] = f"{found[1]}{assignment}{found[2]}"
                break
        else:
            new.append(assignment + end)
    changed = "".join([*lines[: first + 1], *new, *lines[first + 1 :]])
    _prove(text, changed, section, assignments(values))
    return changed


def _prove(before: str, after: str, section: str, lines: list[str]) -> None:
    """ValueError unless the new text says what the old one says but for these values."""
    said = tomllib.loads(after)  # where this succeeds, the section is a table
    wanted = tomllib.loads(before)
    wanted[section] = wanted.get(section, {}) | tomllib.loads("\n".join(lines))
    if said != wanted:
        raise ValueError(f"[{section}] is written in a form that cannot be changed here")


def _written(value: Value) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_written(number)}" for key, number in value.items())
        return f"{{ {pairs} }}"
    return f"{value:.6g}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
