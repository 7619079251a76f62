"""A short tone when a keyword was heard, played by a process of its own: drivers hang, and devices come and go."""

import logging
import queue
import select
import subprocess
import sys
import threading

from ..audio.processes import end
from .event import Event
from .output import Output

log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_STOPPING_S = 1.0


class Chime(Output):
    """Plays on an output device, the default one or that with `device` in its name; failing is told once."""

    def __init__(self, device: str | None) -> None:
        self._command = [sys.executable, "-m", "tinyhark.app.daemon.chime_player", *([device] if device else [])]
        self._asked: queue.Queue[bool] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, name="chime", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = self._failed = False

    def start(self) -> None:
        """Be ready to play."""
        self._thread.start()

    def event(self, event: Event) -> None:  # noqa: ARG002
        """Play, unless it plays already."""
        if not self._asked.full():
            self._asked.put(True)

    def stop(self) -> None:
        """End the process."""
        self._stopping = True
        if not self._asked.full():
            self._asked.put(False)
        self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        try:
            while not self._stopping:
                if self._process is None:
                    self._process = self._started()
                if self._asked.get() and not self._stopping:
                    self._play()
        finally:
            self._end()

    def _started(self) -> "subprocess.Popen[bytes] | None":
        try:
            return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except OSError:
            return None

    def _play(self) -> None:
        try:
            reason = self._ask()
        except OSError:
            reason = "the process that plays has ended"
        if reason:
            self._end()
            if not self._failed:
                log.warning("chime: cannot be played: %s", reason)
        self._failed = bool(reason)

    def _ask(self) -> str:
        """Have it played -> why that failed, empty if it did not."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return "the process that plays cannot be started"
        self._process.stdin.write(b"\n")
        if not select.select([self._process.stdout], [], [], _PATIENCE_S)[0]:
            return "the device does not take it"
        answer = self._process.stdout.readline().decode(errors="replace").strip()
        return "" if answer == "played" else answer or "the process that plays has ended"

    def _end(self) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            end(self._process)
            self._process = None
