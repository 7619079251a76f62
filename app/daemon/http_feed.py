"""What goes to those who watch over HTTP: server-sent events, a bounded queue for each watcher."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from ..detection import Detection
from .event import Event

log = logging.getLogger(__name__)

WATCHERS = 16
_QUEUED = 100  # messages; ten seconds of levels
_REMEMBERED = 50  # events, for those who come back


class Full(Exception):  # noqa: N818 - not an error of the daemon
    """There are as many watchers as there may be."""


def message(kind: str, data: object, number: int | None = None) -> bytes:
    """A server-sent event; data: what JSON can say, or its text."""
    text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
    mark = "" if number is None else f"id: {number}\n"
    return f"event: {kind}\n{mark}data: {text}\n\n".encode()


@dataclass(eq=False)
class Watcher:
    """Who watches; wants_levels: also levels and scores. `next` gives the messages."""

    transport: asyncio.Transport | None
    wants_levels: bool
    queue: "asyncio.Queue[bytes]" = field(default_factory=lambda: asyncio.Queue(_QUEUED))

    def put(self, one: bytes) -> None:
        """Give a message; who has too many waiting is dropped."""
        try:
            self.queue.put_nowait(one)
        except asyncio.QueueFull:
            if self.transport is not None and not self.transport.is_closing():
                log.warning("http: a reader of /events was dropped: it does not read")
                self.transport.abort()


class Feed:
    """Gives messages to all watchers; everything here belongs to the event loop's thread but the two counts.

    watchers: how many; viewers: how many of them want levels.
    """

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._events: deque[tuple[int, bytes, Detection]] = deque(maxlen=_REMEMBERED)
        self._newest: dict[str, bytes] = {}  # by kind, what holds until the next of its kind
        self.watchers = self.viewers = 0

    @contextmanager
    def watch(self, transport: asyncio.Transport | None, since: int | None, *, levels: bool) -> Iterator[Watcher]:
        """A new watcher, who first gets what holds now and, where `since` is given, the events after that number.

        Raises Full.
        """
        if len(self._watchers) >= WATCHERS:
            raise Full
        watcher = Watcher(transport, levels)
        for kind, one in self._newest.items():
            if levels or kind != "words":
                watcher.put(one)
        if since is not None:
            newest = self._events[-1][0] if self._events else 0
            after = since if since <= newest else 0  # a number from before the daemon was started again
            for number, one, _ in self._events:
                if number > after:
                    watcher.put(one)
        self._watchers.add(watcher)
        self._count()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._count()

    def detection(self, number: int) -> Detection | None:
        """The detection of an event, while it is remembered."""
        return next((detection for known, _, detection in self._events if known == number), None)

    def event(self, number: int, event: Event) -> None:
        """Tell an event and its number, from 1."""
        one = message("detection", event.to_json(), number)
        self._events.append((number, one, event.detection))
        for watcher in self._watchers:
            watcher.put(one)

    def now(self, kind: str, data: object) -> None:
        """Tell what holds from now on: "state", or "words", which are for those with levels."""
        one = self._newest[kind] = message(kind, data)
        for watcher in self._watchers:
            if watcher.wants_levels or kind != "words":
                watcher.put(one)

    def level(self, data: object) -> None:
        """Tell level and scores to those who want them."""
        one = message("level", data)
        for watcher in self._watchers:
            if watcher.wants_levels:
                watcher.put(one)

    def _count(self) -> None:
        self.watchers = len(self._watchers)
        self.viewers = sum(watcher.wants_levels for watcher in self._watchers)
