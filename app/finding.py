"""What `hark doctor` finds."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One line: what was looked at, "ok", "warning" or "problem", and the fact or what mends it."""

    subject: str
    state: str
    text: str
