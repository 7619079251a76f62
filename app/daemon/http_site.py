"""What can be asked of the daemon over HTTP: events, metrics, health, the page, mute and feedback."""

import asyncio
from functools import cache
from importlib.resources import files
from typing import Protocol

from aiohttp import web

from .control import Control
from .event import State
from .http_feed import Feed, Full
from .http_guard import COOKIE, Guard, add_headers
from .http_metrics import Metrics

BODY_BYTES = 4096
_PATIENCE_S = 10.0  # for a client to send what it announced, or to take what it asked for
_ALIVE_S = 15.0  # between comments that keep a quiet stream open

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Known(Protocol):
    """What the site asks of the output it belongs to."""

    def complaint(self) -> str:
        """Why the daemon does not hear, in plain words; empty while it does."""
        ...

    def current(self) -> State:
        """The daemon's state."""
        ...


class Site:
    """Answers requests; runs in the event loop's thread."""

    def __init__(self, known: Known, control: Control, feed: Feed, guard: Guard) -> None:
        self._known, self._control, self._feed, self._guard = known, control, feed, guard
        self._metrics = Metrics(control, known.current, lambda: feed.watchers)

    def application(self) -> web.Application:
        """The application with all its routes."""
        app = web.Application(middlewares=[self._guard.middleware(self._login_form)], client_max_size=BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        for path in _PAGE:
            app.router.add_get(path, self._file)
        app.router.add_get("/events", self._events)
        app.router.add_get("/events/{number:\\d{1,15}}.wav", self._sound)
        app.router.add_get("/metrics", self._metrics_text)
        app.router.add_get("/health", self._health)
        app.router.add_post("/mute", self._mute)
        app.router.add_post("/unmute", self._mute)
        app.router.add_post("/false-wake", self._false_wake)
        app.router.add_post("/login", self._login)
        return app

    async def _file(self, request: web.Request) -> web.Response:
        name, kind = _PAGE[request.path]
        return web.Response(text=_web(name), content_type=kind)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", request.query.get("since", ""))
        since = int(last) if last.isdecimal() and len(last) < 16 else None
        try:
            with self._feed.watch(request.transport, since, levels="levels" in request.query) as watcher:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                while True:
                    try:
                        async with asyncio.timeout(_ALIVE_S):
                            one = await watcher.queue.get()
                    except TimeoutError:
                        one = b": alive\n\n"
                    await response.write(one)
        except Full:
            raise web.HTTPServiceUnavailable(text="there are too many readers of /events already\n") from None

    async def _sound(self, request: web.Request) -> web.StreamResponse:
        detection = self._feed.detection(int(request.match_info["number"]))
        if detection is None:
            raise web.HTTPNotFound(text="there is no such event, or it was too long ago\n")
        sound = self._control.sound_of(detection)
        if sound is None:
            raise web.HTTPConflict(text="sound is not kept: the configuration has no section [preroll]\n")
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        await response.prepare(request)
        while piece := await asyncio.to_thread(next, sound, b""):
            async with asyncio.timeout(_PATIENCE_S):
                await response.write(piece)
        await response.write_eof()
        return response

    async def _metrics_text(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _health(self, _: web.Request) -> web.Response:
        complaint = self._known.complaint()
        answer = {"state": self._known.current().name, "reason": complaint, "muted": self._control.is_muted}
        return web.json_response(answer, status=503 if complaint else 200)

    async def _mute(self, request: web.Request) -> web.Response:
        if request.path == "/mute":
            self._control.mute()
        else:
            self._control.unmute()
        return web.json_response({"muted": self._control.is_muted})

    async def _false_wake(self, _: web.Request) -> web.Response:
        if not self._control.false_wake():
            raise web.HTTPConflict(text="false wakes are not kept: the configuration has no section [feedback]\n")
        return web.json_response({"kept": True}, status=202)

    async def _login_form(self, _: web.Request) -> web.Response:
        return web.Response(text=_web("login.html"), content_type="text/html", status=401)

    async def _login(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                form = await request.post()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the form did not come\n") from None
        if not self._guard.is_token(str(form.get("token", "")).strip()):
            return await self._login_form(request)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self._guard.cookie, httponly=True, samesite="Strict", secure=request.secure)
        return response


@cache
def _web(name: str) -> str:
    return (files(__package__) / "web" / name).read_text(encoding="utf-8")
