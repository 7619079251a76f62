"""Memory of what ran once: loading a program and its libraries leaves much resident that is never used again."""

import ctypes
import re
import threading
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4  # Linux, madvise(2)
_SPAN = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]")  # read-only, private, of a file


def drop_loaded_code() -> None:
    """Unmap code and constants of the program and all libraries, on Linux, while no other thread of Python's runs.

    Call it when a process has loaded what it runs from now on. 10 to 20 MB would stay resident until the system is
    short of memory. What does run is mapped again from the page cache, once; nothing is dropped but what the file
    holds.
    """
    if threading.active_count() > 1:  # it might be loading a library, whose addresses are being written
        return
    try:
        spans = list(_unchanged(Path("/proc/self/smaps").read_text()))
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError, TypeError):  # another system
        return
    for first, end in spans:
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_DONTNEED)


def _unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """First and end address of each read-only mapping of a file whose pages are the file's, from proc(5)'s smaps.

    The loader writes addresses into some of what it makes read-only afterwards: that is in no file.
    """
    span = None
    for line in smaps.splitlines():
        name, _, value = line.partition(":")
        if name in ("Anonymous", "Swap"):
            span = span if value.split()[0] == "0" else None
        elif name == "VmFlags":  # the last line of each
            if span:
                yield int(span[1], 16), int(span[2], 16)
            span = None
        elif "-" in name:
            span = _SPAN.match(line)
