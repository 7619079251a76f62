"""Does `hark daemon` go on for good? It hears the demo recording in a loop, with noise and silence, and is watched.

    scripts/python scripts/soak.py speed [--minutes 1440]   of sound, as fast as it can: no growth, nothing lost
    scripts/python scripts/soak.py paced [--minutes 30]     in real time, from a TCP peer: also no delay, no drift
    scripts/python scripts/soak.py overload [--minutes 8]   the same with too little CPU for a while; root, for a cgroup

With --microphone, the last two play the sound into a PulseAudio of their own, whose microphone the daemon hears. Each
loop must give the events that `Spotter` gives, from a file or TCP at the very samples. Prints the figures as JSON. The
exit status is 1 where something is not as it must be, with a line that says what; 2 where that cannot be tried here.
"""

import argparse
import json
import signal
import statistics
import sys
import time
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from soak_players import SINK_HZ, Microphone, Peer, Player, SoundServerError, missing_programs
from watched_daemon import Daemon, Heard, cpu_limit

from tinyhark.app.audio.files import read_sound
from tinyhark.app.spotter import Spotter
from tinyhark.dsp import SAMPLE_RATE_HZ

DEMO = Path(__file__).parents[1] / "app" / "demo" / "demo.opus"
LOOP_S = 120
WARM_LOOPS = 3  # or a twentieth of the run, before memory is compared
GROWTH_KB = 1024
LATE_S = 1.0  # the most that an event may come after its last sample, whatever happens
DRIFT_S = 0.1  # the most that sample clock and events may come apart
LEAST_EVENTS = 10  # to judge that by
SLACK_S = 0.25  # how far an event may be from its sample where frames begin elsewhere


def loop_sound() -> NDArray[np.int16]:
    """Two minutes: faint noise, the demo recording, digital silence, louder noise."""
    rng = np.random.default_rng(0)
    demo = read_sound(DEMO)
    faint, silence = rng.normal(0, 20, 5 * SAMPLE_RATE_HZ), np.zeros(20 * SAMPLE_RATE_HZ)
    rest = LOOP_S * SAMPLE_RATE_HZ - len(demo) - len(faint) - len(silence)
    return np.concatenate([faint, demo, silence, rng.normal(0, 300, rest)]).astype(np.int16)


Event = tuple[str, int]  # keyword, last sample


def expected_of(sound: NDArray[np.int16], offset_samples: int = 0, sensitivity: float = 0.5) -> list[Event]:
    """The events of a loop, as a spotter hears them that heard the loop before; offset: of its frames."""
    heard = Spotter(sensitivity=sensitivity).feed(np.concatenate([sound[len(sound) - offset_samples :], sound, sound]))
    first = len(sound) + offset_samples
    return [(d.keyword, d.end_sample - first) for d in heard if d.end_sample > first]


def is_near(event: Event, others: list[Event], slack_samples: int) -> bool:
    """Whether one of the others is the same event, so many samples more or less."""
    return any(event[0] == word and abs(event[1] - at) <= slack_samples for word, at in others)


class Soak:
    """What is common to all runs: the sound, what must be heard, what is said at the end.

    exact: events come at the very samples, as frames begin where the sound does, and nothing is converted or lost.
    """

    def __init__(self, *, microphone: bool, exact: bool) -> None:
        self._microphone = microphone
        self.slack_samples = 0 if exact else round(SLACK_S * SAMPLE_RATE_HZ)
        self.sound = loop_sound()
        self.expected = self.possible = expected_of(self.sound)
        if not exact:
            self._expect_less()
        self.facts: dict[str, Any] = {"events_a_loop": len(self.expected)}
        self.wrong: list[str] = []
        self._memory: list[dict[str, int]] = []

    def _expect_less(self) -> None:
        """What must be heard wherever frames begin, through any resampler; what is near a threshold may be heard."""
        for quality in ("LQ", "HQ"):
            up = soxr.resample(self.sound, SAMPLE_RATE_HZ, SINK_HZ, quality)
            heard_so = soxr.resample(up, SINK_HZ, SAMPLE_RATE_HZ)
            for offset, sensitivity in ((50, 0.4), (210, 0.4), (370, 0.4), (530, 0.4), (130, 0.5), (450, 0.6)):
                heard = expected_of(heard_so, offset, sensitivity)
                self.possible = self.possible + heard
                if sensitivity <= 0.5:
                    self.expected = [event for event in self.expected if is_near(event, heard, self.slack_samples)]

    def player(self, folder: Path) -> Player:
        """What plays the loop in real time."""
        if self._microphone:
            return Microphone(self.sound, folder, self.remember, self.expected)
        return Peer(self.sound, folder, self.remember)

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

    def repeated(self, events: list[Event], first: int, end: int) -> list[Event]:
        """Those of a loop, between two samples of the loop as it goes on."""
        loops = range(end // len(self.sound) + 1)
        everywhere = [(word, at + number * len(self.sound)) for number in loops for word, at in events]
        return [event for event in everywhere if first < event[1] <= end]

    def judge_events(self, heard: list[Event], samples: int, lost_s: float) -> None:
        """Nothing lost, nothing more, and every event at its sample in every loop."""
        self.facts |= {"events": len(heard), "lost_s": lost_s}
        for what, ones, others in (
            ("missing", self.repeated(self.expected, 0, samples), heard),
            ("too much", heard, self.repeated(self.possible, 0, samples + 2 * self.slack_samples)),
        ):
            left = set(ones) - set(others)
            wrong = [one for one in left if not (self.slack_samples and is_near(one, others, self.slack_samples))]
            self.wrong += [f"{what}: {one[0]} at sample {one[1]}" for one in sorted(wrong, key=itemgetter(1))[:5]]
        if lost_s:
            self.wrong.append(f"{lost_s} s of sound were lost")


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
    soak.judge_events(events_of(daemon.events), loops * len(soak.sound), daemon.lost_s)
    soak.judge_memory()


def events_of(heard: list[Heard]) -> list[Event]:
    """What they are."""
    return [(event.keyword, event.end_sample) for event in heard]


def paced(soak: Soak, minutes: float) -> None:
    """Sound in real time."""
    with TemporaryDirectory() as folder, soak.player(Path(folder)) as player:
        player.play(60 * minutes)
        cpu_s = player.daemon.cpu_s()
        if status := player.stop():
            soak.wrong.append(f"the daemon ended with {status}")
    soak.facts |= {"sound_s": 60 * minutes, "cpu_ms_per_s": round(1000 * cpu_s / 60 / minutes, 3)}
    end = player.played_samples - soak.slack_samples
    heard = [event for event in events_of(player.heard()) if event[1] <= end]
    soak.judge_events(heard, end - soak.slack_samples, player.daemon.lost_s)
    soak.judge_memory()
    judge_delays(soak, "delay_s", player.delays_s(), LATE_S)
    judge_drift(soak, player)


def judge_drift(soak: Soak, player: Player) -> None:
    """Events lie as far from those of the loop, and come as late, at the end as at the beginning."""
    heard, delays_s = player.heard(), player.delays_s()
    expected = soak.repeated(soak.possible, 0, player.played_samples)
    apart_s = [
        min((event.end_sample - at for word, at in expected if word == event.keyword), key=abs, default=0)
        / SAMPLE_RATE_HZ
        for event in heard
    ]
    few = len(heard) // 4
    if few < LEAST_EVENTS:
        return
    for name, values in (("drift_of_samples_s", apart_s), ("drift_of_delay_s", delays_s)):
        drift_s = statistics.median(values[-few:]) - statistics.median(values[:few])
        soak.facts[name] = round(drift_s, 3)
        if abs(drift_s) > DRIFT_S:
            soak.wrong.append(f"{name}: {drift_s:.3f} s")


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
    with TemporaryDirectory() as folder, soak.player(Path(folder)) as player:
        daemon = player.daemon
        with cpu_limit(daemon.pids()) as limit:
            player.play(quarter_s / 2)
            before_s = daemon.cpu_s()
            player.play(quarter_s / 2)
            need = (daemon.cpu_s() - before_s) / (quarter_s / 2)
            limit(0.2)
            player.play(quarter_s)
            enough_samples = player.played_samples
            limit(need / 5)
            player.play(quarter_s)
            limit(None)
            settled = player.played_samples + int(LATE_S * SAMPLE_RATE_HZ)
            player.play(quarter_s)
            if status := player.stop():
                soak.wrong.append(f"the daemon ended with {status}")
    heard, slack = events_of(player.heard()), soak.slack_samples
    soak.facts |= {"needed_share": round(need, 4), "lost_s": daemon.lost_s, "events": len(heard)}
    for when, first, end in (
        ("with a fifth of a core", 0, enough_samples - SAMPLE_RATE_HZ),
        ("after the limit was lifted", settled + SAMPLE_RATE_HZ, player.played_samples - slack),
    ):
        must = soak.repeated(soak.expected, first, end)
        soak.wrong += [f"missing {when}: {one[0]} at {one[1]}" for one in must if not is_near(one, heard, slack)]
    if not daemon.lost_s:
        soak.wrong.append("nothing was lost with a fifth of the CPU it needs")
    judge_delays(soak, "delay_s", player.delays_s(), LATE_S)
    judge_delays(soak, "delay_after_s", player.delays_s(settled), LATE_S)


def cannot(run: str, why: str) -> int:
    """Say that a run cannot be tried here -> exit status."""
    print(f"soak {run}: {why}", file=sys.stderr)
    return 2


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    runs = {"speed": (speed, 1440.0), "paced": (paced, 30.0), "overload": (overload, 8.0)}
    parser.add_argument("run", choices=runs)
    parser.add_argument("--minutes", type=float, help="of sound")
    parser.add_argument("--microphone", action="store_true", help="not from a TCP peer: from a sound server")
    options = parser.parse_args()
    if options.microphone and options.run == "speed":
        parser.error("a microphone does not give sound at full speed")
    run, usual = runs[options.run]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        if options.microphone and (missing := missing_programs()):
            raise SoundServerError(missing)
        soak = Soak(microphone=options.microphone, exact=options.run != "overload" and not options.microphone)
        run(soak, options.minutes or usual)
    except PermissionError as error:
        sys.exit(cannot(options.run, f"{error}: no cgroup can be made here"))
    except SoundServerError as error:
        sys.exit(cannot(options.run, str(error)))
    print(json.dumps(soak.facts, indent=1))
    for line in soak.wrong:
        print(f"soak {options.run}: {line}", file=sys.stderr)
    sys.exit(1 if soak.wrong else 0)


if __name__ == "__main__":
    main()
