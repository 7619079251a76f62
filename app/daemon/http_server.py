"""Listening for HTTP: an address that is taken or not there yet is tried again; connections are bounded."""

import asyncio
import logging
import time

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from ..errors import HarkError
from .loop_output import when_it_can_be_had

log = logging.getLogger(__name__)

CONNECTIONS = 64
IDLE_S = 15.0  # for a request to come whole, and between two of them
_TOLD_S = 60  # refusals of one kind are told at most so often


async def serve(app: web.Application, host: str, port: int, stop: asyncio.Event, idle_s: float = IDLE_S) -> None:
    """Answer requests until `stop` is set."""
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log_class=_refusals(),
        access_log=log,
        keepalive_timeout=idle_s,
        lingering_time=1.0,
        max_line_size=2048,
        max_field_size=4096,
        max_headers=64,
        auto_decompress=False,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        server = await when_it_can_be_had(lambda: _listen(runner, host, port), stop)
        await stop.wait()
        if server is not None:
            server.close()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """The listening server; raises HarkError where the address cannot be had."""
    made = runner.server
    assert made is not None

    def connection() -> asyncio.Protocol:
        return made() if len(made.connections) < CONNECTIONS else _Refuses()

    try:
        server = await asyncio.get_running_loop().create_server(connection, host, port, backlog=16)
    except OSError as error:
        raise HarkError(f"http: {host} port {port}: {error.strerror or error}") from None
    log.info("http: listens", extra={"facts": {"address": host, "port": port}})
    return server


class _Refuses(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def _refusals() -> type[AbstractAccessLogger]:
    """Logs requests that got an error, at most one of each status and minute; aiohttp makes one a connection."""
    told_s: dict[int, float] = {}

    class Refusals(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time_s: float) -> None:  # noqa: ARG002
            status, now_s = response.status, time.monotonic()
            if (
                status < 400
                or response.content_type == "text/html"
                or request.path == "/health"
                or now_s < told_s.get(status, 0.0)
            ):
                return
            told_s[status] = now_s + _TOLD_S
            why = (response.text or "").partition("\n")[0] if isinstance(response, web.Response) else ""
            log.warning("http: %s: %s %s: %d %s", request.remote, request.method, request.path[:100], status, why)

    return Refusals
