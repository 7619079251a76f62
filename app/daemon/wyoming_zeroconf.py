"""Telling the local network where the Wyoming service is (zeroconf, mDNS): Home Assistant then offers it by itself."""

import asyncio
import ipaddress
import logging
import socket
from contextlib import suppress

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from .wyoming_place import Place

log = logging.getLogger(__name__)
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)  # it warns, with tracebacks, of what is told here in a line

KIND = "_wyoming._tcp.local."
_LOOK_S = 30.0  # how often the address is looked at
_HOST_CHARACTERS = 40  # a name has at most 63
_MDNS = ("224.0.0.251", 5353)


async def announce(place: Place, stopping: asyncio.Event) -> None:
    """Announce it until `stopping` is set, anew where the machine gets another address; what fails is told once."""
    said, is_told, network = "", False, None
    while not stopping.is_set():
        try:
            address = await _address(place.host)
            if address != said:
                if network is not None:
                    await network.async_close()
                said, network = "", None
                network = await _announced(address, place.port)
                said, is_told = address, False
                log.info("wyoming: announced", extra={"facts": {"address": address, "port": place.port}})
        except Exception as error:  # whatever the library raised, the service goes on
            if not is_told:
                reason = str(error) or type(error).__name__
                log.warning("wyoming: cannot be announced: %s; it is tried again", reason)
            is_told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await stopping.wait()
    if network is not None:
        await network.async_close()


async def _announced(address: str, port: int) -> AsyncZeroconf:
    """A service of this machine's name and port; if another has it, with a number behind."""
    # without the port: two daemons of one machine do not always hear each other's answers and take one name, and
    # Home Assistant keeps to the port that it first saw under a name
    network = AsyncZeroconf(interfaces=[address])
    name = f"tinyhark on {socket.gethostname().partition('.')[0][:_HOST_CHARACTERS]}:{port}.{KIND}"
    try:
        # left out, it is `name` as it was before a number came behind: two machines would share their addresses
        server = f"tinyhark-{address.replace('.', '-')}-{port}.local."
        info = AsyncServiceInfo(KIND, name, port=port, parsed_addresses=[address], server=server)
        await (await network.async_register_service(info, allow_name_change=True))
    except BaseException:
        await network.async_close()
        raise
    return network


async def _address(host: str) -> str:
    """The address of a host; for 0.0.0.0 and ::, this machine's own in its local network. Raises OSError."""
    with suppress(ValueError):
        if not ipaddress.ip_address(host).is_unspecified:
            return host
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            route.connect(_MDNS)  # sends nothing
            return str(route.getsockname()[0])
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
