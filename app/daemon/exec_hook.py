"""The output that runs a program for a keyword: an argument list, never a shell."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .config import EVERY_KEYWORD
from .event import Event
from .output import Output

log = logging.getLogger(__name__)

_GRACE_S = 1.0
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # between the daemon and systemd


class ExecHook(Output):
    """Runs `commands[keyword]`, or that of "*", with the event as JSON on standard input and in HARK_ variables.

    timeout_s: after it the program and all it started are killed; at_most: so many run at once, others are left out.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]], timeout_s: float, at_most: int) -> None:
        self._commands, self._timeout_s, self._at_most = commands, timeout_s, at_most
        self._slots = threading.Semaphore(at_most)
        self._running: dict[subprocess.Popen[bytes], None] = {}
        self._environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        self.left_out = 0

    def event(self, event: Event) -> None:
        """Start the program for its keyword, if there is one."""
        keyword = event.detection.keyword
        command = self._commands.get(keyword) or self._commands.get(EVERY_KEYWORD)
        if command is None:
            return
        if not self._slots.acquire(blocking=False):
            self.left_out += 1
            log.warning("exec: %s: left out, %d programs are still running", keyword, self._at_most)
            return
        threading.Thread(target=self._run, args=(command, event), name="exec", daemon=True).start()

    def stop(self) -> None:
        """Kill what still runs."""
        for process in list(self._running):
            _kill(process)

    def _run(self, command: Sequence[str], event: Event) -> None:
        keyword = event.detection.keyword
        try:
            process = self._start(command, event)
            self._running[process] = None
            try:
                process.communicate((event.to_json() + "\n").encode(), self._timeout_s)
                if process.returncode:
                    log.warning("exec: %s: %s ended with status %d", keyword, command[0], process.returncode)
            except subprocess.TimeoutExpired:
                log.warning("exec: %s: %s was killed after %g s", keyword, command[0], self._timeout_s)
                _kill(process)
            finally:
                del self._running[process]
        except OSError as error:
            log.error("exec: %s: %s cannot be run: %s", keyword, command[0], error.strerror)
        finally:
            self._slots.release()

    def _start(self, command: Sequence[str], event: Event) -> "subprocess.Popen[bytes]":
        facts = {
            "HARK_KEYWORD": event.detection.keyword,
            "HARK_SCORE": f"{event.detection.score:.4f}",
            "HARK_WALL_TIME": event.wall_time.isoformat(timespec="milliseconds"),
            "HARK_MODEL": event.detection.model,
        }
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # standard output is the daemon's own
            env=self._environment | facts,
            start_new_session=True,  # so that all it starts can be killed with it
        )


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
