"""What leaves the daemon: events and its state, one form for every output."""

from datetime import datetime
from typing import Literal, get_args

import msgspec

from ..detection import Detection

StateName = Literal["starting", "listening", "degraded"]
STATES: tuple[StateName, ...] = get_args(StateName)


class Event(msgspec.Struct, frozen=True):
    """A detection, and when the last sample of its window was heard, in the local time of that moment."""

    detection: Detection
    wall_time: datetime

    def to_json(self) -> str:
        """One line: the detection's fields, `time_s`, and `wall_time` as RFC 3339."""
        return self.detection.to_json(wall_time=self.wall_time.isoformat(timespec="milliseconds"))


class State(msgspec.Struct, frozen=True):
    """How the daemon is: "starting" until the first good second of sound, "degraded" with a reason in plain words."""

    name: StateName
    reason: str = ""
