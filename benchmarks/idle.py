"""What `hark daemon` costs while nobody speaks: CPU time and memory of all its processes, in quiet room sound.

    python benchmarks/idle.py [--config FILE] [--seconds 15] [--times 3] [--json FILE]

The microphone is a PulseAudio null sink at 44.1 kHz into which faint noise (-60 dBFS) is played. FILE takes the place
of an empty configuration. Medians over the times; memory: the share that a process has of what it maps (PSS), and RSS.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from table import print_table

WARM_S = 5
WAIT_S = 60
NOISE = 33  # RMS, -60 dBFS
ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


@contextmanager
def running(command: list[str], environment: dict[str, str], **streams: object) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, env=environment, **streams)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WAIT_S)


def quiet_room(stack: ExitStack, folder: Path) -> dict[str, str]:
    """A sound server whose default source is a quiet room -> the environment that finds it."""
    (folder / "run").mkdir(mode=0o700)
    (folder / ".asoundrc").write_text(ASOUNDRC)
    environment = os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}
    loads = ["--load=module-native-protocol-unix", "--load=module-null-sink sink_name=mic rate=44100"]
    stack.enter_context(
        running(["pulseaudio", "-n", "--exit-idle-time=-1", *loads], environment, stderr=subprocess.DEVNULL)
    )
    due_s = time.monotonic() + WAIT_S
    while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
        if time.monotonic() > due_s:
            sys.exit("idle: PulseAudio does not start here")
        time.sleep(0.2)
    noise = np.random.default_rng(0).normal(0, NOISE, 3600 * 44_100 // 60).astype(np.int16)
    (folder / "room.raw").write_bytes(noise.tobytes())
    play = f"while cat {folder}/room.raw; do :; done | exec pacat -d mic --rate=44100 --channels=1 --format=s16le"
    stack.enter_context(running(["sh", "-c", play], environment, stderr=subprocess.DEVNULL))
    return environment


def processes_of(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
    for thread in threads:
        children += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    return [pid, *(below for child in sorted(set(map(int, children))) for below in processes_of(child))]


def cpu_s(pid: int) -> float:
    """Time that the threads of a process ran, user and system."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def wake_ups(pid: int) -> int:
    """How often its threads waited for something."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    lines = [line for task in tasks for line in (task / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def memory_mb(pid: int) -> tuple[float, float]:
    """PSS, RSS."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kb["Pss"] / 1000, kb["Rss"] / 1000


def measure(pid: int, seconds: float) -> list[list[float]]:
    """For each process: % of a core, wake-ups a second, PSS, RSS."""
    pids = processes_of(pid)
    before = [(cpu_s(one), wake_ups(one)) for one in pids]
    start_s = time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - start_s
    return [
        [100 * (cpu_s(one) - cpu) / took_s, (wake_ups(one) - wakes) / took_s, *memory_mb(one)]
        for one, (cpu, wakes) in zip(pids, before, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("/dev/null"))
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        environment = quiet_room(stack, Path(folder))
        command = [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(options.config.absolute())]
        daemon = stack.enter_context(running(command, environment, stderr=subprocess.PIPE))
        assert daemon.stderr
        while b'"listening"' not in (line := daemon.stderr.readline()):
            if not line:
                sys.exit("idle: the daemon ended")
        time.sleep(WARM_S)
        runs = np.array([measure(daemon.pid, options.seconds) for _ in range(options.times)])
    columns = ["CPU % of a core", "wake-ups/s", "PSS MB", "RSS MB"]
    names = ["daemon", "capture", *map(str, range(3, runs.shape[1] + 1))][: runs.shape[1]]
    rows = dict(zip([*names, "all"], [*np.median(runs, 0), np.median(runs.sum(1), 0)], strict=True))
    print_table(["process", *columns], [[name, *(f"{value:.2f}" for value in row)] for name, row in rows.items()])
    if options.json:
        options.json.write_text(json.dumps({name: dict(zip(columns, row, strict=True)) for name, row in rows.items()}))


if __name__ == "__main__":
    main()
