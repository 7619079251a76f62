"""What loading left in memory is given back, and nothing that is still wanted."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinyhark.app.loaded_code import _unchanged

SMAPS = Path("/proc/self/smaps")

WORKS = """
import threading
import numpy
import onnxruntime
from tinyhark.app.loaded_code import drop_loaded_code

def resident_kb():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

def at_work():
    try:
        onnxruntime.InferenceSession(b"no model", providers=["CPUExecutionProvider"])
    except Exception as error:  # through frames of C++
        failure = type(error).__name__
    return numpy.fft.rfft(numpy.arange(64.0)).tobytes().hex(), f"{2.5:.3f} {failure}"

answer = at_work()
go_on = threading.Event()
other = threading.Thread(target=go_on.wait)
other.start()
before_kb = resident_kb()
drop_loaded_code()
beside_a_thread_kb = resident_kb()
go_on.set()
other.join()
drop_loaded_code()
after_kb = resident_kb()
assert at_work() == answer
import decimal, sqlite3  # what is loaded later finds its libraries as they were
print(before_kb - beside_a_thread_kb, before_kb - after_kb)
"""


def mapping(line: str, *, anonymous: int = 0, swap: int = 0) -> str:
    kb = f"Rss: 88 kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB"
    return f"{line}\nSize: 88 kB\n{kb}\nTHPeligible: 0\nVmFlags: rd mr mw me\n"


@pytest.mark.parametrize(
    ("smaps", "dropped"),
    [
        (mapping("7f01-7f02 r-xp 00001000 fe:00 42 /usr/lib/a-b.so"), True),
        (mapping("7f01-7f02 r--p 00000000 fe:00 42 /usr/lib/a.so"), True),
        (mapping("7f01-7f02 r--p 00000000 fe:00 42 /usr/lib/relocated.so", anonymous=4), False),
        (mapping("7f01-7f02 r--p 00000000 fe:00 42 /usr/lib/relocated.so", swap=4), False),
        (mapping("7f01-7f02 rw-p 00000000 fe:00 42 /usr/lib/a.so"), False),
        (mapping("7f01-7f02 r--s 00000000 fe:00 42 /a/table"), False),
        (mapping("7f01-7f02 r-xp 00000000 00:00 0 [vdso]"), False),
        (mapping("7f01-7f02 r--p 00000000 00:00 0 "), False),
    ],
)
def test_what_the_file_holds_is_dropped_and_nothing_else(smaps: str, dropped: bool) -> None:
    around = mapping("7f00-7f01 rw-p 00000000 00:00 0 [heap]", anonymous=88), mapping("7f02-7f03 ---p 0 00:00 0")
    assert list(_unchanged(smaps.join(around))) == [(0x7F01, 0x7F02)] * dropped


@pytest.mark.skipif(not SMAPS.exists(), reason="Linux's /proc")
def test_memory_falls_and_everything_works_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", WORKS], capture_output=True, text=True, check=True)
    beside_a_thread_kb, alone_kb = map(int, done.stdout.split())
    assert abs(beside_a_thread_kb) < 1000
    assert alone_kb > 5000
