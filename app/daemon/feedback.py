"""What was a false wake is kept as a sound file, for `hark tune`; a bounded folder."""

import logging
import os
import queue
import re
import threading
from datetime import UTC
from pathlib import Path

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..atomic import write_bytes
from ..errors import HarkError
from .control import Control
from .event import Event
from .output import Output

log = logging.getLogger(__name__)

_MINE = re.compile(r"false-wake-\d{8}T\d{9}-[\w-]*\.wav")
STATE_FOLDER = Path("/var/lib/tinyhark")  # systemd makes it for the service of the system, which alone may look into it
_AFTER_S = 0.5  # kept after the end of the detection's window
_STOPPING_S = 1.0


def check_folder(folder: Path) -> None:
    """Raises HarkError for a folder that this user could neither write into nor make."""
    if folder.is_relative_to(STATE_FOLDER):
        return
    there = folder
    try:
        while not there.exists():
            there = there.parent
        reason = "" if there.is_dir() else f"{there} is no folder"
    except OSError as error:
        reason = error.strerror or str(error)
    if not reason and not os.access(there, os.W_OK | os.X_OK):
        reason = f"this user may not write into {there}"
    if reason:
        what = "written into" if there == folder else "made"
        raise HarkError(f"[feedback] folder: {folder}: cannot be {what}: {reason}")


class Feedback(Output):
    """Writes `seconds` of sound around the last detection where it is told that this was a false wake.

    Oldest files make room for new ones beyond max_bytes in the folder, but only those that it wrote itself.
    """

    def __init__(self, folder: Path, seconds: float, max_bytes: int, control: Control) -> None:
        self._folder, self._seconds, self._max_bytes, self._control = folder, seconds, max_bytes, control
        self._asked: queue.Queue[Event | str] = queue.Queue(16)
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        """Take feedback."""
        self._thread.start()
        self._control.on_false_wake = self._false_wake

    def event(self, event: Event) -> None:
        """Keep its sound in memory until the next."""
        self._put(event)

    def stop(self) -> None:
        """Take no more feedback."""
        self._control.on_false_wake = None
        self._put("stop")
        self._thread.join(_STOPPING_S)

    def _false_wake(self) -> None:
        self._put("false wake")

    def _put(self, what: Event | str) -> None:
        try:
            self._asked.put_nowait(what)
        except queue.Full:
            log.warning("feedback: too much at once, something was left out")

    def _run(self) -> None:
        last: tuple[Event, bytes] | None = None
        while (asked := self._asked.get()) != "stop":
            if isinstance(asked, Event):
                last = asked, self._sound(asked)
            elif last is None:
                log.warning("feedback: there was no detection since the last feedback; nothing is kept")
            else:
                self._keep(*last)
                last = None

    def _sound(self, event: Event) -> bytes:
        end = event.detection.end_sample + round(_AFTER_S * SAMPLE_RATE_HZ)
        return b"".join(self._control.recent.read_wav(end - round(self._seconds * SAMPLE_RATE_HZ), end))

    def _keep(self, event: Event, wav: bytes) -> None:
        time = event.wall_time.astimezone(UTC)
        word = re.sub(r"[^\w-]", "_", event.detection.keyword)[:40]
        path = self._folder / f"false-wake-{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03d}-{word}.wav"
        try:
            self._make_room(len(wav))
            write_bytes(path, wav, 0o600)
        except (OSError, HarkError) as error:
            log.error("feedback: %s", error)
        else:
            log.info("a false wake was kept", extra={"facts": {"file": str(path)}})

    def _make_room(self, size: int) -> None:
        """Delete the oldest of its own files until the new one fits."""
        if not self._folder.is_dir():
            return
        mine = [path for path in self._folder.iterdir() if _MINE.fullmatch(path.name) and path.is_file()]
        mine.sort(key=lambda path: path.name)
        total = sum(path.stat().st_size for path in mine)
        while mine and total + size > self._max_bytes:
            oldest = mine.pop(0)
            total -= oldest.stat().st_size
            oldest.unlink()
