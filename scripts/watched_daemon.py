"""`hark daemon` in a process that is watched: its events, its log, its memory, its CPU time, and a limit on that."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

WAIT_S = 120
CPU_GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")  # version 1, 2


class Heard(NamedTuple):
    """An event: its keyword, its last sample, when its line came (monotonic)."""

    keyword: str
    end_sample: int
    at_s: float


class Daemon:
    """`hark daemon` in a process of its own; its events, its log, memory and CPU time of it and what it started."""

    def __init__(self, folder: Path, audio: str, environment: Mapping[str, str] = os.environ) -> None:
        (folder / "hark.toml").write_text(f"[audio]\n{audio}\n[stdout]\n")
        command = [sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(folder / "hark.toml")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=environment
        )
        self.events: list[Heard] = []
        self.log: list[dict[str, Any]] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_events, self._read_log)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(Heard(event["keyword"], event["end_sample"], time.monotonic()))

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.log.append(json.loads(line))

    def end(self) -> int:
        """Wait for its end -> exit status."""
        status = self.process.wait(WAIT_S)
        for reader in self._readers:
            reader.join(WAIT_S)
        return status

    @property
    def lost_s(self) -> float:
        """Sound that the log says was lost."""
        return sum(float(line.get("lost_s", 0)) for line in self.log)

    def pids(self) -> list[int]:
        """The process and those that it started."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [self.process.pid, *(int(pid) for task in tasks for pid in (task / "children").read_text().split())]

    def memory_kb(self) -> dict[str, int]:
        """Proportional, of its own, and anonymous: what a leak makes grow, whatever other programs share with it."""
        kb: Counter[str] = Counter()
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                name, _, rest = line.partition(":")
                kb[name] += int(rest.split()[0])
        return {"pss": kb["Pss"], "uss": kb["Private_Clean"] + kb["Private_Dirty"], "anonymous": kb["Anonymous"]}

    def cpu_s(self) -> float:
        """User and system time so far, of the threads that are there."""
        tasks = [task for pid in self.pids() for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def cpu_limit(pids: list[int]) -> Iterator[Callable[[float | None], None]]:
    """A cgroup with these processes alone -> a function that gives it a share of a core, None for all it wants."""
    version, root = (1, CPU_GROUPS[0]) if CPU_GROUPS[0].exists() else (2, CPU_GROUPS[1])
    group = root / f"tinyhark-soak-{pids[0]}"
    group.mkdir()

    def limit(share: float | None) -> None:
        period_us = 100_000 if share is None else max(100_000, round(1000 / share))  # a quota is at least 1 ms
        quota_us = None if share is None else round(share * period_us)
        if version == 2:
            (group / "cpu.max").write_text(f"{quota_us or 'max'} {period_us}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(period_us))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us or -1))

    try:
        limit(None)
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield limit
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):  # it has ended
                (root / "cgroup.procs").write_text(pid)
        group.rmdir()
