"""The process of a command: standard streams that are open and take any text, and an end by SIGTERM that cleans up."""

import io
import os
import signal
import sys
from typing import Any

TERMINATED = 128 + signal.SIGTERM  # exit status, as shells have it


def prepare() -> None:
    """Make this process fit for a command; called once, before anything else is opened."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _open_streams() -> None:
    """A standard stream that was closed (`>&-`) is nothing to read and a place for what nobody wants.

    Otherwise the next file to be opened would get its number, and what is meant for the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - for good


def _terminate(*_: Any) -> None:
    """Leave as by an error, so that the terminal is restored and temporary files go."""
    sys.exit(TERMINATED)
