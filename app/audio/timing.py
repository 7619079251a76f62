"""How time is cut and measured where sound comes in."""

import time

BLOCKS_PER_SECOND = 5  # a call costs nearly as much for fewer frames, and nobody notices the delay
PATIENCE_S = 0.25  # how long a read waits before it says that nothing came
LATE_S = 0.9  # live sound older than this is dropped; the rest of a second is for being stopped just then


def clock_s() -> float:
    """Seconds that go on while the machine sleeps, whatever is done to the wall clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
