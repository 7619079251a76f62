"""What this process costs: share of one core and resident memory."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


class ProcessUsage:
    """CPU of this process in percent of one core, measured over at least one second, and its resident memory."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, cpu_clock: Callable[[], float] = time.process_time
    ) -> None:
        self._clock, self._cpu_clock = clock, cpu_clock
        self._since: tuple[float, float] | None = None
        self._cpu_percent: float | None = None

    def cpu_percent(self) -> float | None:
        """Percent of one core over the last second or so; None in the first second."""
        now, cpu = self._clock(), self._cpu_clock()
        if self._since is None:
            self._since = now, cpu
        elif now - self._since[0] >= 1:
            self._cpu_percent = 100 * (cpu - self._since[1]) / (now - self._since[0])
            self._since = now, cpu
        return self._cpu_percent


def resident_mb() -> float:
    """Resident memory of this process in MB (10**6 bytes): now on Linux, its maximum so far elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
