"""A Wyoming wake-word service: clients send sound, each is told what was heard in it.

Protocol: https://github.com/OHF-Voice/wyoming; names and timestamps as wyoming-openwakeword has them. One loaded model,
a state for each client; all of it in one thread.
"""

import asyncio
import ipaddress
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wyoming.event import Event, async_get_stdin, async_get_stdout, async_write_event
from wyoming.info import Attribution, Info, WakeModel, WakeProgram

from .. import __version__
from ..errors import HarkError
from ..spotter import Spotter
from .wyoming_client import HEADER_BYTES, Client, MalformedError, read_event
from .wyoming_place import LOOPBACK, Network, Place

log = logging.getLogger(__name__)

MOST_CLIENTS = 16
_WRITE_S, _CLOSE_S, _IDLE_S = 10.0, 1.0, 600.0
_TOLD = 20  # different lines about one client's messages


Announce = Callable[[Place, asyncio.Event], Coroutine[Any, Any, None]]


def announcer() -> Announce:
    """What announces a place by zeroconf; its library takes memory, so that nobody else imports it."""
    from .wyoming_zeroconf import announce

    return announce


class WyomingService:
    """Serves clients at a place; make: a new spotter on models that are loaded once; keywords: those that it reports.

    allow: networks whose clients are served beside this machine's own, where the place is open to others; announce:
    tells the local network of the place, as `announcer` does.
    """

    def __init__(
        self,
        place: Place,
        allow: Sequence[Network],
        make: Callable[[], Spotter],
        keywords: Sequence[str],
        announce: Announce | None = None,
    ) -> None:
        self._place, self._make, self._keywords, self._announce = place, make, keywords, announce
        self._allow = [*allow, *map(ipaddress.ip_network, LOOPBACK)]
        self._info = _info(keywords)
        self._clients = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, stopping: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stopping` is set; raises HarkError where the place cannot be had."""
        if self._place.is_stdio:
            await self._serve_stdio(stopping)
            return
        server = await self._listen()
        log.info("wyoming: listens", extra={"facts": {"uri": self._place.uri}})
        ready()
        beside = [asyncio.create_task(self._announce(self._place, stopping))] if self._announce else []
        try:
            await stopping.wait()
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, *beside, return_exceptions=True)
            if self._place.path:
                Path(self._place.path).unlink(missing_ok=True)

    async def _serve_stdio(self, stopping: asyncio.Event) -> None:
        try:
            reader, writer = await async_get_stdin(), await async_get_stdout()
        except ValueError:
            raise HarkError("stdio:// needs pipes for standard input and output; they are files") from None
        tasks = {asyncio.create_task(self._converse(reader, writer, "stdio")), asyncio.create_task(stopping.wait())}
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        place = self._place
        try:
            if not place.path:
                return await asyncio.start_server(self._accept, place.host, place.port, limit=HEADER_BYTES)
            server = await asyncio.start_unix_server(self._accept, place.path, limit=HEADER_BYTES)
            Path(place.path).chmod(0o660)
            return server
        except OSError as error:
            code = error.errno or 0  # asyncio's own words would repeat the address
            reason = os.strerror(code) if code > 0 else error
            raise HarkError(f"wyoming: {place.uri} cannot be served: {reason}") from None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        connection = asyncio.current_task()
        assert connection
        self._connections.add(connection)
        try:
            if isinstance(peer, tuple) and not self._is_allowed(peer[0]):
                log.warning("wyoming: %s: not in an allowed network, closed", name)
            elif self._clients >= MOST_CLIENTS:
                log.warning("wyoming: %s: closed, there are %d clients already", name, self._clients)
            else:
                await self._converse(reader, writer, name)
        except asyncio.CancelledError:
            pass  # the service ends
        finally:
            self._connections.discard(connection)
            writer.close()
            with suppress(OSError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(_CLOSE_S):
                    await writer.wait_closed()
            writer.transport.abort()

    def _is_allowed(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._allow if network.version == address.version)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        """Answer one client until it goes; nothing that it sends ends more than its own connection."""
        self._clients += 1
        try:
            await self._answer(reader, writer, name)
        except MalformedError as error:  # where the next message begins is not known
            log.warning("wyoming: %s: closed: %s", name, error)
        except TimeoutError:
            log.warning("wyoming: %s: closed: it neither sends nor reads", name)
        except asyncio.IncompleteReadError:
            log.warning("wyoming: %s: ended inside a message", name)
        except ConnectionError:
            pass  # gone is gone
        except Exception as error:  # whatever it made a library raise, the others are served
            log.error("wyoming: %s: closed: %s: %s", name, type(error).__name__, error)
        finally:
            self._clients -= 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        client, told = Client(self._make, self._keywords, self._info), set[str]()
        while True:
            async with asyncio.timeout(_IDLE_S):  # wait_for of Python 3.11 may lose a cancellation where data is there
                event = await read_event(reader)
            if event is None:
                return
            try:
                for answers in client.answers(event):
                    for answer in answers:
                        async with asyncio.timeout(_WRITE_S):
                            await async_write_event(answer, writer)
                    await asyncio.sleep(0)  # the other clients' turn
            except MalformedError as error:
                if str(error) not in told and len(told) < _TOLD:
                    told.add(str(error))
                    log.warning("wyoming: %s: %s", name, error)


def _info(keywords: Sequence[str]) -> Event:
    """What the service says of itself: each keyword is a model, as its clients choose between models."""
    nobody = Attribution("tinyhark", "")
    models = [WakeModel(keyword, nobody, True, keyword, __version__, [], keyword) for keyword in keywords]
    program = WakeProgram("tinyhark", nobody, True, "An always-on keyword spotter", __version__, models)
    return Info(wake=[program]).event()
