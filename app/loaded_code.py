"""Code that ran once: what loading a program and its libraries ran stays resident unless it is given back."""

import ctypes
from pathlib import Path

_MADV_DONTNEED = 4  # Linux, madvise(2)


def drop_loaded_code() -> None:
    """Unmap the pages of all libraries' code, on Linux; call it when a process has loaded what it runs from now on.

    Some 15 MB of what loading ran never run again, but would stay resident until the system is short of memory. What
    does run is mapped again from the page cache, once. Code is read-only, so nothing is lost.
    """
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
        code = [line.split()[0] for line in maps if " r-xp " in line and ".so" in line]
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError, TypeError):  # another system
        return
    for span in code:
        first, end = (int(address, 16) for address in span.split("-"))
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_DONTNEED)
