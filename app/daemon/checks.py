"""What `hark doctor` asks of the system: the clock, the service, what the daemon has to do with the network."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ..errors import HarkError
from ..finding import Finding
from .service import Service

_FIRST_YEAR = 2025  # a clock that says less was never set


def check_clock(now: datetime) -> Finding:
    """Whether the times of events can be right."""
    mend = "sudo timedatectl set-ntp true"
    if now.year < _FIRST_YEAR:
        return Finding("clock", "warning", f"says {now:%Y-%m-%d}, the times of events will be wrong: {mend}")
    try:
        command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    if said == "no":
        return Finding("clock", "warning", f"is not synchronized, the times of events may be wrong: {mend}")
    return Finding("clock", "ok", f"{now.isoformat(timespec='seconds')}{', synchronized' if said == 'yes' else ''}")


def check_services() -> Iterator[Finding]:
    """The services that are installed: whether they run, and without a network."""
    installed = [service for service in _services() if service.unit.exists()]
    if not installed:
        yield Finding("service", "ok", "not installed; hark service install makes hark daemon start with the machine")
    for service in installed:
        yield from _check(service)


def _services() -> Iterator[Service]:
    yield Service.of_system()
    try:
        yield Service.of_user()
    except HarkError:
        return


def _check(service: Service) -> Iterator[Finding]:
    try:
        facts = service.facts()
    except HarkError as error:
        yield Finding("service", "warning", f"{service.unit}: {error}")
        return
    if facts["ActiveState"] != "active":
        said = f" ({facts['StatusText']})" if facts["StatusText"] else ""
        yield Finding("service", "warning", f"{service.unit} is {facts['ActiveState']}{said}: {service.journal} -n 20")
        return
    yield Finding("service", "ok", f"{service.unit} is active: {facts['StatusText']}")
    yield check_network(int(facts["MainPID"]))


def check_network(pid: int) -> Finding:
    """Whether a running daemon has network sockets open."""
    try:
        count = network_sockets(pid)
    except OSError as error:
        return Finding(
            "network", "warning", f"what process {pid} has open cannot be seen ({error.strerror}): sudo hark doctor"
        )
    if count:
        text = f"the daemon has {count} network sockets open; that should be what its configuration asks for"
        return Finding("network", "warning", text)
    return Finding("network", "ok", "the daemon has no network socket open")


def network_sockets(pid: int) -> int:
    """How many sockets of the internet a process has open; raises OSError where that cannot be seen."""
    process = Path("/proc") / str(pid)
    inodes = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "icmp", "icmp6"):
        lines = (process / "net" / table).read_text().splitlines()[1:] if (process / "net" / table).exists() else []
        inodes |= {f"socket:[{line.split()[9]}]" for line in lines}
    count = 0
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += str(descriptor.readlink()) in inodes
    return count
