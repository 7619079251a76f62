"""What systemd is told: ready, alive, status. Datagrams to a socket of its own, by path or abstract name."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

_PATIENCE_S = 1.0  # for a manager whose queue is full


class Notifier:
    """Tells the service manager that the environment names, and nobody where it names none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "")
        self._interval_s = int(usec) / 2e6 if mine and usec.isdecimal() else None
        self._fed_s = 0.0
        self._status = ""

    def ready(self) -> None:
        """The service is up, or has taken its new configuration."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A new configuration is being read."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it is another one."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog, where there is one, twice in its time."""
        now_s = time.monotonic()
        if self._interval_s is not None and now_s - self._fed_s >= self._interval_s:
            self._fed_s = now_s
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(_PATIENCE_S)
            sock.sendto(message.encode(), self._address)
