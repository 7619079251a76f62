"""Who may ask over HTTP: the right host, the page itself or no page at all, and a token where one is set."""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

COOKIE = "tinyhark"
OPEN_TO_ALL = ("/login", "/page.css", "/icon.svg")  # what the login form needs; nothing in it is secret

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, a form would have no Origin
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests: with another Host than an address, this machine's name or one of `hosts`, which is how a page
    elsewhere would reach this machine by a name of its own; from another site's page; and without the token.
    """

    def __init__(self, hosts: Collection[str], token: str | None) -> None:
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(host.lower() for host in hosts)}
        self._token = None if token is None else token.encode()

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(given.encode(errors="replace"), self._token)

    @property
    def cookie(self) -> str:
        """What a browser keeps in place of the token."""
        return hmac.new(self._token or b"", b"tinyhark page", hashlib.sha256).hexdigest()

    def middleware(self, login: Handler) -> Middleware:
        """Checks each request; `login` answers one for the page that lacks the token."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check_site(request)
            if self._token is None or request.path in OPEN_TO_ALL or self._has_token(request):
                return await handler(request)
            if request.path == "/":
                return await login(request)
            raise web.HTTPUnauthorized(
                text="a token is needed: Authorization: Bearer TOKEN\n", headers={"WWW-Authenticate": "Bearer"}
            )

        return check

    def _check_site(self, request: web.Request) -> None:
        host = request.headers.getall("Host", [])
        if len(host) != 1 or not self._is_ours(host[0]):
            raise web.HTTPForbidden(text="this host name is not known here; [http] hosts names others\n")
        origin = request.headers.get("Origin")
        same_origin = origin is None or (
            origin.startswith(("http://", "https://")) and origin.split("//")[1] == host[0]
        )
        if not same_origin or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise web.HTTPForbidden(text="requests of other sites are refused\n")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            return "[" not in host and name.rstrip(".") in self._hosts
        return True

    def _has_token(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        cookie = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(errors="replace"), self.cookie.encode())


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Headers of every response: nothing from elsewhere, in no frame, kept by no cache."""
    response.headers.update(_HEADERS)
