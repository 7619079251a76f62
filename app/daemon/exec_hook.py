"""The output that runs a program for a keyword: an argument list, never a shell."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from ..detection import Detection
from .config import EVERY_KEYWORD
from .event import Event
from .output import Output

log = logging.getLogger(__name__)

_GRACE_S = 1.0
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "HARK_MQTT_PASSWORD")  # no business of the programs


class ExecHook(Output):
    """Runs `commands[keyword]`, or that of "*", with the event as JSON on standard input and in HARK_ variables.

    timeout_s: after it the program and all it started are killed; at_most: so many run at once, others are left out;
    sound_of: gives the sound around a detection as a WAV file that grows, which the program reads from HARK_SOUND.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        timeout_s: float,
        at_most: int,
        sound_of: Callable[[Detection], Iterator[bytes] | None] = lambda _: None,
    ) -> None:
        self._commands, self._timeout_s, self._at_most, self._sound_of = commands, timeout_s, at_most, sound_of
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
        sound = self._sound_of(event.detection)
        theirs, ours = os.pipe() if sound is not None else (None, None)
        if theirs is not None:
            facts["HARK_SOUND"] = f"/dev/fd/{theirs}"
        try:
            return subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # standard output is the daemon's own
                env=self._environment | facts,
                pass_fds=[] if theirs is None else [theirs],
                start_new_session=True,  # so that all it starts can be killed with it
            )
        finally:
            if sound is not None and theirs is not None and ours is not None:
                os.close(theirs)
                threading.Thread(target=_pour, args=(sound, ours), name="exec sound", daemon=True).start()


def _pour(sound: Iterator[bytes], descriptor: int) -> None:
    """Write sound until there is no more, or nobody who reads it."""
    with suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as pipe:
        for piece in sound:
            pipe.write(piece)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
