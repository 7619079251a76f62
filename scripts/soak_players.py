"""What plays a loop of sound to `hark daemon` in real time: a TCP peer, or a sound server with a microphone."""

import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from watched_daemon import WAIT_S, Daemon, Heard

from tinyhark.dsp import SAMPLE_RATE_HZ

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sound_server import SoundServer, SoundServerError, missing_programs  # noqa: F401

BLOCK_SAMPLES = 1280
DONE_S = 3.0  # for what the daemon still has when the sound ends
SINK_HZ = 44_100
RAW = ["--raw", f"--rate={SAMPLE_RATE_HZ}", "--channels=1", "--format=s16le"]

Sound = NDArray[np.int16]


class Player:
    """Plays the loop again and again, in real time from `start_s`, to the daemon that it starts.

    each_loop: called at the end of every loop. A context manager around all of it.
    """

    def __init__(self, loop: Sound, folder: Path, each_loop: Callable[[Daemon], None]) -> None:
        self.loop, self._each_loop = loop, each_loop
        self.played_samples = 0
        self.daemon = self._begun(folder)
        self.start_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemon.process.kill()

    def _begun(self, folder: Path) -> Daemon:
        """The daemon, ready to hear."""
        raise NotImplementedError

    def _send(self, block: Sound) -> None:
        """Its last sample is due."""

    def play(self, seconds: float) -> None:
        """Go on for so long."""
        end_samples = self.played_samples + round(seconds * SAMPLE_RATE_HZ)
        while self.played_samples < end_samples:
            at = self.played_samples % len(self.loop)
            block = self.loop[at : at + BLOCK_SAMPLES]
            self.played_samples += len(block)
            time.sleep(max(0.0, self.start_s + self.played_samples / SAMPLE_RATE_HZ - time.monotonic()))
            self._send(block)
            if self.played_samples % len(self.loop) == 0:
                self._each_loop(self.daemon)

    def stop(self) -> int:
        """Let the daemon finish what it has, and end it -> exit status."""
        time.sleep(DONE_S)
        self.daemon.process.send_signal(signal.SIGTERM)
        return self.daemon.end()

    def heard(self) -> list[Heard]:
        """The events, their samples counted from the beginning of the loop."""
        return self.daemon.events

    def delays_s(self, since_samples: int = 0) -> list[float]:
        """How long after its last sample each event came, of those that ended after a sample."""
        events = [event for event in self.heard() if event.end_sample > since_samples]
        return [event.at_s - self.start_s - event.end_sample / SAMPLE_RATE_HZ for event in events]


class Peer(Player):
    """A TCP peer that sends each block when its last sample is due."""

    def _begun(self, folder: Path) -> Daemon:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(WAIT_S)
            daemon = Daemon(folder, f'source = "tcp"\naddress = "127.0.0.1:{server.getsockname()[1]}"')
            self._socket = server.accept()[0]
        self._socket.settimeout(WAIT_S)
        return daemon

    def _send(self, block: Sound) -> None:
        self._socket.sendall(block.tobytes())

    def stop(self) -> int:
        """Let the daemon finish what it has, and end it -> exit status."""
        with self._socket:
            return super().stop()


class Microphone(Player):
    """A sound server's null sink, whose monitor is the daemon's microphone; the loop begins when a witness hears it.

    expected: keyword and last sample of each event of a loop.
    """

    def __init__(
        self, loop: Sound, folder: Path, each_loop: Callable[[Daemon], None], expected: list[tuple[str, int]]
    ) -> None:
        self._expected = expected
        super().__init__(loop, folder, each_loop)

    def _begun(self, folder: Path) -> Daemon:
        self._server = SoundServer(folder, SINK_HZ)
        daemon = Daemon(folder, 'device = "pulse"', self._server.environment)
        due_s = time.monotonic() + WAIT_S
        while not any(line["message"] == "opened" for line in daemon.log):
            if time.monotonic() > due_s:
                raise TimeoutError(f"no microphone: {daemon.log}")
            time.sleep(0.1)
        time.sleep(1)  # its first sound comes late
        record = ["parec", "-d", "mic.monitor", "--latency-msec=20", *RAW]
        play = ["pacat", "--playback", "-d", "mic", "--latency-msec=1000", *RAW]
        environment = self._server.environment
        with subprocess.Popen(record, env=environment, stdout=subprocess.PIPE, bufsize=0) as witness:
            assert witness.stdout
            witness.stdout.read(2)
            self._playing = subprocess.Popen(play, env=environment, stdin=subprocess.PIPE)
            threading.Thread(target=self._feed, daemon=True).start()
            while not any(heard := witness.stdout.read(1024)):
                if not heard:
                    raise RuntimeError("the sound server went away")
            witness.kill()
        return daemon

    def _feed(self) -> None:
        assert self._playing.stdin
        data = self.loop.tobytes()
        with suppress(OSError):  # it was ended
            while True:
                self._playing.stdin.write(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._playing.kill()
        self._server.stop()

    def heard(self) -> list[Heard]:
        """The events, their samples counted from the beginning of the loop."""
        early = [self._ahead(event) for event in self.daemon.events[:20]]
        ahead = round(statistics.median(samples for samples in early if samples is not None))
        return [event._replace(end_sample=event.end_sample - ahead) for event in self.daemon.events]

    def _ahead(self, event: Heard) -> int | None:
        """How far the daemon's samples are ahead of the loop's, where the event is the same word of 1.5 s before."""
        now = round((event.at_s - self.start_s) * SAMPLE_RATE_HZ)
        loops = now // len(self.loop) * len(self.loop)
        latest = [at + loops for word, at in self._expected if word == event.keyword]
        near = [at for at in latest if 0 <= now - at < 1.5 * SAMPLE_RATE_HZ]
        return event.end_sample - near[-1] if near else None
