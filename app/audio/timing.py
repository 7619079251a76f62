"""How time is cut and measured where sound comes in."""

import time

BLOCKS_PER_SECOND = 12.5  # 80 ms: eight frames a call cost least, at a delay that nobody notices
PATIENCE_S = 0.25  # how long a read waits before it says that nothing came


def clock_s() -> float:
    """Seconds that go on while the machine sleeps, whatever is done to the wall clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
