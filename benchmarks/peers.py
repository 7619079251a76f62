"""CPU time and memory of tinyhark, all words of its model, beside other spotters (peer_spotters.py), on the same sound.

    python benchmarks/peers.py [--repeats N] [--seconds S] [--chunk-ms MS] [--model NAME] [--json] [SOUND]

SOUND: any sound file; without it, the recording of `hark demo`. It is decoded once, and each spotter gets the same
16 kHz int16 samples, as a live stream would bring them, in a process of its own that imports nothing of the others. The
processes take turns, pass after pass: CPU is the median of what a process spends (all its threads, user and system) on
a pass, memory is what it holds resident after the last. Loading is not counted, nor is a warm-up pass.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from peer_spotters import PEERS, Peer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 16_000
OURS, RATIO_TO = "tinyhark", "pymicro-wakeword"
SPOTTERS = (OURS, *(peer.name for peer in PEERS))
Count = Callable[[bytes], int]  # the next int16 of a stream -> events in it


def tinyhark(model: str) -> tuple[list[str], Count]:
    import numpy as np

    from tinyhark.app.errors import HarkError
    from tinyhark.app.spotter import Spotter

    try:
        spotter = Spotter(model)
    except HarkError as error:
        raise SystemExit(f"tinyhark: {error}") from error
    return spotter.keywords, lambda chunk: len(spotter.feed(np.frombuffer(chunk, np.int16)))


def other(peer: Peer) -> tuple[list[str], Count]:
    feed = peer.feed()
    was_above = False

    def count(chunk: bytes) -> int:
        nonlocal was_above
        events = 0
        for scores in feed(chunk):
            is_above = max(scores) > peer.default
            events += is_above and not was_above
            was_above = is_above
        return events

    return list(peer.words), count


def work(name: str, model: str, sound: Path, chunk_samples: int) -> None:
    """In a process of its own: for each line on stdin one pass over the sound, its figures as JSON on stdout."""
    by_name = {peer.name: peer for peer in PEERS}
    try:
        words, count = tinyhark(model) if name == OURS else other(by_name[name])
    except ImportError as error:
        raise SystemExit(f"{name}: not importable here ({error})") from error
    from tinyhark.app.usage import resident_mb

    data, size = sound.read_bytes(), 2 * chunk_samples
    for _ in sys.stdin:
        start = time.process_time()
        events = sum(count(data[first : first + size]) for first in range(0, len(data), size))
        cpu_ms = 1000 * (time.process_time() - start) / (len(data) / 2 / RATE_HZ)
        print(json.dumps({"words": len(words), "cpu_ms_per_s": cpu_ms, "resident_mb": resident_mb(), "events": events}))
        sys.stdout.flush()


class Process:
    """A spotter in a process of its own."""

    def __init__(self, name: str, model: str, sound: Path, chunk_samples: int) -> None:
        self.name = name
        self.passes: list[dict[str, float]] = []
        command = [
            sys.executable,
            __file__,
            "--work",
            name,
            "--model",
            model,
            "--chunk",
            str(chunk_samples),
            str(sound),
        ]
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one_thread
        )

    def run(self) -> bool:
        """One pass; False when the process has ended (it said why on stderr)."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write("\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            return False
        line = self._child.stdout.readline()
        if line:
            self.passes.append(json.loads(line))
        return bool(line)

    def close(self) -> None:
        self._child.communicate()


def compare(audio: "NDArray[np.int16]", model: str, chunk_ms: int, repeats: int) -> dict[str, dict[str, float]]:
    """Spotter -> its figures, without the spotters that cannot run here."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "sound.raw"
        audio.tofile(raw)
        return take_turns(raw, model, chunk_ms * RATE_HZ // 1000, repeats)


def take_turns(raw: Path, model: str, chunk_samples: int, repeats: int) -> dict[str, dict[str, float]]:
    every = [Process(name, model, raw, chunk_samples) for name in SPOTTERS]
    running = every
    for _ in range(repeats + 1):
        running = [process for process in running if process.run()]
    for process in every:
        process.close()
    return {
        process.name: process.passes[-1]
        | {"cpu_ms_per_s": statistics.median(one["cpu_ms_per_s"] for one in process.passes[1:])}
        for process in running
    }


def show(figures: dict[str, dict[str, float]], sound_s: float, options: argparse.Namespace) -> None:
    from table import print_table

    base = figures.get(RATIO_TO, {}).get("cpu_ms_per_s")
    rows = [
        [
            f"{name}, {one['words']} word{'s' * (one['words'] > 1)}",
            f"{one['cpu_ms_per_s']:.2f}",
            f"{one['cpu_ms_per_s'] / base:.2f}" if base else "-",
            f"{one['resident_mb']:.1f}",
            f"{one['events']:.0f}",
        ]
        for name, one in figures.items()
    ]
    print(f"{sound_s:.1f} s of sound in chunks of {options.chunk_ms} ms, median of {options.repeats}")
    print_table(["spotter", "CPU ms per second", f"ratio to {RATIO_TO}", "resident MB", "events"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", nargs="?", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="use no more of the file (%(default)s)")
    parser.add_argument("--chunk-ms", type=int, default=80, help="sound that comes at once (%(default)s)")
    parser.add_argument("--model", default="commands", help="tinyhark's model (%(default)s)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", choices=SPOTTERS, help=argparse.SUPPRESS)
    parser.add_argument("--chunk", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.model, options.sound, options.chunk)
        return
    import tinyhark.app
    from tinyhark.app.audio.files import read_sound
    from tinyhark.app.errors import HarkError

    file = options.sound or Path(tinyhark.app.__file__).parent / "demo/demo.opus"
    try:
        audio = read_sound(file, round(options.seconds * RATE_HZ))
    except HarkError as error:
        raise SystemExit(f"peers.py: {error}") from error
    figures = compare(audio, options.model, options.chunk_ms, options.repeats)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures, len(audio) / RATE_HZ, options)


if __name__ == "__main__":
    main()
