"""The process of `hark`: streams that are closed or full, odd names, Ctrl-C and SIGTERM, and nobody who is told."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

HARK = [sys.executable, "-m", "tinyhark.app"]
ODD_NAME = b"\xe9 \n\x1b[31m.wav"  # no UTF-8, two lines, and a command to the terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names, signals and streams of POSIX")


@pytest.fixture
def file(tmp_path: Path, say: Callable[..., NDArray[np.int16]]) -> Path:
    path = tmp_path / "said.mp3"
    soundfile.write(path, say(0.7, "low", 0.6), 16_000)
    return path


@pytest.fixture
def shell(tiny_model: Path, file: Path) -> Callable[..., Any]:
    """`shell("hark detect --model $MODEL $FILE >&-")`, in the folder of the file."""

    def run(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        variables = {**os.environ, "MODEL": str(tiny_model), "FILE": file.name, **environment}
        line = command.replace("hark", f"'{sys.executable}' -m tinyhark.app", 1)
        return subprocess.run(["sh", "-c", line], capture_output=True, cwd=file.parent, env=variables, check=False)

    return run


@pytest.mark.parametrize("command", ["detect --model $MODEL $FILE", "why --model $MODEL $FILE", "models", "--version"])
def test_a_full_device_is_one_line(shell: Callable[..., Any], command: str) -> None:
    done = shell(f"hark {command} >/dev/full")
    assert done.returncode == 2
    assert done.stderr == b"hark: standard output: cannot be written: No space left on device\n"


@pytest.mark.parametrize(("close", "shown"), [(">&-", 0), ("2>&-", 1), ("<&- >&- 2>&-", 0)])
def test_closed_streams(shell: Callable[..., Any], close: str, shown: int) -> None:
    done = shell(f"hark detect --model $MODEL $FILE {close}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b" low ") == shown


def test_standard_input_that_is_closed_holds_no_sound(shell: Callable[..., Any]) -> None:
    done = shell("hark detect --model $MODEL - <&-")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"no sound came" in done.stderr


def test_who_reads_no_further_is_not_told(shell: Callable[..., Any]) -> None:
    assert shell("hark detect --model $MODEL $FILE $FILE $FILE | head -0").stderr == b""


def test_odd_names_are_read_and_shown_in_one_line(shell: Callable[..., Any], file: Path) -> None:
    odd = file.parent / os.fsdecode(ODD_NAME)
    soundfile.write(file.with_suffix(".wav"), soundfile.read(file)[0], 16_000)
    file.with_suffix(".wav").rename(odd)
    shown = rb"./\udce9 \n\x1b[31m.wav"
    for encoding in ("utf-8", "ascii"):
        found = shell("hark detect --model $MODEL ./?*.wav", PYTHONIOENCODING=encoding)
        assert (found.returncode, found.stderr) == (0, b"")
        assert found.stdout.startswith(shown + b"  ")
        assert found.stdout.count(b"\n") == 1
    assert rb'"file":"./\\udce9 \n\u001b[31m.wav"' in shell("hark detect --json --model $MODEL ./?*.wav").stdout
    odd.write_bytes(b"no sound")
    refused = shell("hark detect --model $MODEL ./?*.wav")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
    assert refused.stderr.startswith(b"hark: " + shown.removeprefix(b"./"))


@pytest.mark.parametrize(
    ("number", "status", "line"), [(signal.SIGINT, 130, b"hark: stopped\n"), (signal.SIGTERM, 143, b"")]
)
def test_a_signal_ends_it_without_a_traceback(
    tiny_model: Path, file: Path, number: int, status: int, line: bytes
) -> None:
    command = [*HARK, "detect", "--model", str(tiny_model), str(file), "-"]
    pipe = subprocess.PIPE
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout
        process.stdout.readline()  # it waits for standard input now
        process.send_signal(number)
        assert (process.communicate()[1], process.returncode) == (line, status)


def test_sigterm_gives_the_terminal_back(tiny_model: Path, tmp_path: Path, say: Callable[..., Any]) -> None:
    soundfile.write(tmp_path / "long.wav", say(30.0), 16_000)
    master, terminal = pty.openpty()
    command = [*HARK, "demo", "--model", str(tiny_model), str(tmp_path / "long.wav")]
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        seen, deadline = b"", time.monotonic() + 20
        while b"Ctrl-C" not in seen and time.monotonic() < deadline:
            seen += os.read(master, 65536)
        process.terminate()
        try:
            while data := os.read(master, 65536):
                seen += data
        except OSError:  # Linux: the other end is closed
            pass
    os.close(master)
    assert process.returncode == 143
    assert b"\x1b[?1049l" in seen
    assert b"\x1b[?25h" in seen
    assert b"Traceback" not in seen


def test_onnxruntime_reports_to_nobody(tiny_model: Path, tmp_path: Path) -> None:
    """From 1.29 on it numbers the device in the user's cache, and reports; a CI variable would keep it from that."""
    (tmp_path / "home").mkdir()
    environment = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
    code = f"from tinyhark.app import Spotter; Spotter({str(tiny_model)!r})"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list((tmp_path / "home").rglob("*")) == []
