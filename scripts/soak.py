"""Does `hark daemon` go on for good? It hears the demo recording in a loop, with noise and silence, and is watched.

    scripts/python scripts/soak.py speed [--minutes 1440]   of sound, as fast as it can: no growth, nothing lost
    scripts/python scripts/soak.py paced [--minutes 30]     in real time, from a TCP peer: also no delay that grows
    scripts/python scripts/soak.py overload [--minutes 8]   the same with too little CPU for a while; root, for a cgroup

Each loop must give the same events at the same samples as `Spotter` does. Prints the figures as JSON. The exit status
is 1 where something is not as it must be, with a line that says what; 2 where no CPU time can be withheld here.
"""

import argparse
import json
import signal
import socket
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from watched_daemon import WAIT_S, Daemon, cpu_limit

from tinyhark.app.audio.files import read_sound
from tinyhark.app.spotter import Spotter
from tinyhark.dsp import SAMPLE_RATE_HZ

DEMO = Path(__file__).parents[1] / "app" / "demo" / "demo.opus"
LOOP_S = 120
BLOCK_SAMPLES = 1280
WARM_LOOPS = 3  # or a twentieth of the run, before memory is compared
GROWTH_KB = 1024
LATE_S = 1.5  # an event: a second of backlog, and what its window takes
STARVED_S = 3.0  # the same where the process runs for a millisecond in half a second


def loop_sound() -> NDArray[np.int16]:
    """Two minutes: faint noise, the demo recording, digital silence, louder noise."""
    rng = np.random.default_rng(0)
    demo = read_sound(DEMO)
    faint, silence = rng.normal(0, 20, 5 * SAMPLE_RATE_HZ), np.zeros(20 * SAMPLE_RATE_HZ)
    rest = LOOP_S * SAMPLE_RATE_HZ - len(demo) - len(faint) - len(silence)
    return np.concatenate([faint, demo, silence, rng.normal(0, 300, rest)]).astype(np.int16)


def expected_of(sound: NDArray[np.int16]) -> list[tuple[str, int]]:
    """Keyword and last sample of each event of a loop, as a spotter hears them that heard the loop before."""
    heard = Spotter().feed(np.concatenate([sound, sound]))
    return [(d.keyword, d.end_sample - len(sound)) for d in heard if d.end_sample > len(sound)]


class Soak:
    """What is common to all runs: the sound, what must be heard, what is said at the end."""

    def __init__(self) -> None:
        self.sound = loop_sound()
        self.expected = expected_of(self.sound)
        self.facts: dict[str, Any] = {"events_a_loop": len(self.expected)}
        self.wrong: list[str] = []
        self._memory: list[dict[str, int]] = []

    def remember(self, daemon: Daemon) -> None:
        """Note its memory after a loop."""
        self._memory.append(daemon.memory_kb())

    def judge_memory(self) -> None:
        """Compare the end with the time after warming up."""
        if len(self._memory) <= WARM_LOOPS:
            return
        warm = self._memory[max(WARM_LOOPS, len(self._memory) // 20) - 1]
        last = self._memory[-1]
        self.facts |= {"warm_kb": warm, "last_kb": last}
        if last["anonymous"] - warm["anonymous"] > GROWTH_KB:
            self.wrong.append(f"memory grew from {warm} to {last} kB")

    def expected_in(self, first: int, end: int) -> list[tuple[str, int]]:
        """Keyword and last sample of the events between two samples of the loop as it goes on."""
        loops = range(end // len(self.sound) + 1)
        events = [(word, at + number * len(self.sound)) for number in loops for word, at in self.expected]
        return [event for event in events if first < event[1] <= end]

    def judge_events(self, daemon: Daemon, samples: int) -> None:
        """Nothing lost, nothing more, and every event at its sample in every loop."""
        must = self.expected_in(0, samples)
        heard = [(event.keyword, event.end_sample) for event in daemon.events]
        self.facts |= {"events": len(heard), "lost_s": daemon.lost_s}
        for one in sorted(set(must) ^ set(heard), key=lambda one: one[1])[:5]:
            self.wrong.append(f"{'missing' if one in must else 'too much'}: {one[0]} at sample {one[1]}")
        if daemon.lost_s:
            self.wrong.append(f"{daemon.lost_s} s of sound were lost")


def speed(soak: Soak, minutes: float) -> None:
    """Sound as fast as it is taken, through a pipe."""
    loops = max(1, round(60 * minutes / LOOP_S))
    data = soak.sound.tobytes()
    start_s = time.monotonic()
    with TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder), 'source = "stdin"')
        assert daemon.process.stdin
        for number in range(loops):
            daemon.process.stdin.write(data)
            soak.remember(daemon)
            if number % 30 == 29:
                print(f"{(number + 1) * LOOP_S / 3600:g} h, {soak._memory[-1]}", file=sys.stderr, flush=True)
        cpu_s = daemon.cpu_s()
        daemon.process.stdin.close()
        if status := daemon.end():
            soak.wrong.append(f"the daemon ended with {status}: {daemon.log[-1:]}")
    took_s = time.monotonic() - start_s
    sound_s = loops * LOOP_S
    soak.facts |= {"sound_s": sound_s, "took_s": round(took_s, 1), "cpu_ms_per_s": round(1000 * cpu_s / sound_s, 3)}
    soak.judge_events(daemon, loops * len(soak.sound))
    soak.judge_memory()


class Peer:
    """A TCP peer that sends the loop in real time to a daemon."""

    def __init__(self, soak: Soak, folder: Path) -> None:
        self._data, self._soak = soak.sound.tobytes(), soak
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(WAIT_S)
            self.daemon = Daemon(folder, f'source = "tcp"\naddress = "127.0.0.1:{server.getsockname()[1]}"')
            self._socket = server.accept()[0]
        self._socket.settimeout(WAIT_S)
        self._start_s = time.monotonic()
        self.sent_samples = 0

    def send(self, seconds: float) -> None:
        """Go on for so long, each block when its last sample is due."""
        end_samples = self.sent_samples + round(seconds * SAMPLE_RATE_HZ)
        loop_samples = len(self._soak.sound)
        while self.sent_samples < end_samples:
            at = self.sent_samples % loop_samples
            count = min(BLOCK_SAMPLES, loop_samples - at)
            self.sent_samples += count
            time.sleep(max(0.0, self._start_s + self.sent_samples / SAMPLE_RATE_HZ - time.monotonic()))
            self._socket.sendall(self._data[2 * at : 2 * (at + count)])
            if self.sent_samples % loop_samples == 0:
                self._soak.remember(self.daemon)

    def stop(self) -> None:
        """Let the daemon finish what it has, and end it."""
        time.sleep(2 * LATE_S)
        self.daemon.process.send_signal(signal.SIGTERM)
        if status := self.daemon.end():
            self._soak.wrong.append(f"the daemon ended with {status}")
        self._socket.close()

    def delays_s(self, since_samples: int = 0) -> list[float]:
        """How long after its last sample each event came, of those that ended after a sample."""
        events = [event for event in self.daemon.events if event.end_sample > since_samples]
        return [event.at_s - self._start_s - event.end_sample / SAMPLE_RATE_HZ for event in events]


def paced(soak: Soak, minutes: float) -> None:
    """Sound in real time."""
    with TemporaryDirectory() as folder:
        peer = Peer(soak, Path(folder))
        peer.send(60 * minutes)
        cpu_s = peer.daemon.cpu_s()
        peer.stop()
    soak.facts |= {"sound_s": 60 * minutes, "cpu_ms_per_s": round(1000 * cpu_s / 60 / minutes, 3)}
    soak.judge_events(peer.daemon, peer.sent_samples)
    soak.judge_memory()
    judge_delays(soak, "delay_s", peer.delays_s(), LATE_S)


def judge_delays(soak: Soak, name: str, delays_s: list[float], most_s: float) -> None:
    """Events come soon after their sound."""
    if not delays_s:
        soak.wrong.append(f"{name}: no events")
        return
    soak.facts[name] = {"median": round(statistics.median(delays_s), 3), "most": round(max(delays_s), 3)}
    if max(delays_s) > most_s:
        soak.wrong.append(f"{name}: {max(delays_s):.2f} s")


def overload(soak: Soak, minutes: float) -> None:
    """A fifth of a core, then a fifth of what it needs, then all again, for a quarter of the time each."""
    quarter_s = 15 * minutes
    with TemporaryDirectory() as folder:
        peer = Peer(soak, Path(folder))
        daemon = peer.daemon
        with cpu_limit(daemon.process.pid) as limit:
            peer.send(quarter_s / 2)
            before_s = daemon.cpu_s()
            peer.send(quarter_s / 2)
            need = (daemon.cpu_s() - before_s) / (quarter_s / 2)
            limit(0.2)
            peer.send(quarter_s)
            enough_samples = peer.sent_samples
            limit(need / 5)
            peer.send(quarter_s)
            limit(None)
            lifted_samples = peer.sent_samples
            peer.send(quarter_s)
            peer.stop()
    settled = lifted_samples + int(LATE_S * SAMPLE_RATE_HZ)
    heard = [(event.keyword, event.end_sample) for event in daemon.events]
    soak.facts |= {"needed_share": round(need, 4), "lost_s": daemon.lost_s, "events": len(heard)}
    for when, must in (
        ("with a fifth of a core", soak.expected_in(0, enough_samples - SAMPLE_RATE_HZ)),
        ("after the limit was lifted", soak.expected_in(settled + SAMPLE_RATE_HZ, peer.sent_samples)),
    ):
        soak.wrong += [f"missing {when}: {one[0]} at sample {one[1]}" for one in must if one not in heard]
    if not daemon.lost_s:
        soak.wrong.append("nothing was lost with a fifth of the CPU it needs")
    judge_delays(soak, "delay_s", peer.delays_s(), STARVED_S)
    judge_delays(soak, "delay_after_s", peer.delays_s(settled), LATE_S)


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = {"speed": (speed, 1440.0), "paced": (paced, 30.0), "overload": (overload, 8.0)}
    parser.add_argument("run", choices=runs)
    parser.add_argument("--minutes", type=float, help="of sound")
    options = parser.parse_args()
    run, usual = runs[options.run]
    soak = Soak()
    try:
        run(soak, options.minutes or usual)
    except PermissionError as error:
        print(f"soak {options.run}: {error}: no cgroup can be made here", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(soak.facts, indent=1))
    for line in soak.wrong:
        print(f"soak {options.run}: {line}", file=sys.stderr)
    sys.exit(1 if soak.wrong else 0)


if __name__ == "__main__":
    main()
