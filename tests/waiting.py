"""What tests of daemons and services need: a port that is free, and to wait for what comes soon."""

import socket
import time
from collections.abc import Callable

WAIT_S = 60


def until(ready: Callable[[], object]) -> None:
    """Wait until something is so; fail after a minute."""
    due_s = time.monotonic() + WAIT_S
    while not ready():
        assert time.monotonic() < due_s
        time.sleep(0.01)


def free_port() -> int:
    """A port of this machine that nothing listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
