"""Where a Wyoming service is reached, and by whom."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.0/8", "::1/128")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Place:
    """Where to serve: host and port, a socket's path, or neither: standard input and output; uri: as it was named."""

    uri: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> "Place":
        """From tcp://HOST:PORT, unix://PATH, stdio://; raises ValueError for all else."""
        wrong = ValueError(f"uri is {uri!r}; it must be tcp://HOST:PORT, unix://PATH or stdio://")
        try:
            parts = urlsplit(uri)
            port = parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme == "tcp" and parts.hostname and port and not parts.path:
            return cls(uri, parts.hostname, port)
        if parts.scheme == "unix" and (parts.netloc or parts.path) and not parts.query:
            return cls(uri, path=parts.netloc + parts.path)
        if uri == "stdio://":
            return cls(uri)
        raise wrong

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach it."""
        try:
            return bool(self.host) and not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def is_stdio(self) -> bool:
        """Whether it is standard input and output."""
        return not self.host and not self.path


def networks_of(allow: Sequence[str]) -> list[Network]:
    """Networks from their texts; raises ValueError for what is none."""
    try:
        return [ipaddress.ip_network(text) for text in allow]
    except ValueError as error:
        raise ValueError(f"allow: {error}; a network is written 192.168.1.0/24") from None


def check(uri: str, allow: Sequence[str], *, zeroconf: bool = False) -> tuple[Place, list[Network]]:
    """Both as they are meant; raises ValueError for what is wrong, and for an open place without networks.

    zeroconf: whether the place is to be announced, which one that is not open cannot be.
    """
    place, networks = Place.parse(uri), networks_of(allow)
    if place.is_open and not networks:
        raise ValueError(f"{uri} can be reached by other machines: name who may, as allow 192.168.1.0/24")
    if zeroconf and not place.is_open:
        raise ValueError(f"zeroconf would announce {uri}, which other machines cannot reach")
    return place, networks
