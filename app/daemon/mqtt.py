"""The output that publishes to an MQTT broker: events, state, muting, and what Home Assistant finds by itself."""

import asyncio
import json
import logging
import math
import ssl
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ..text import printable
from .control import Control
from .event import Event, State
from .home_assistant import discovery, event_topic
from .loop_output import LoopOutput

log = logging.getLogger(__name__)

_BACK_OFF_S = (1.0, 60.0)
_TIMEOUT_S = 10.0
_KEPT = 100  # events while the broker is away
_LONGEST_COMMAND = 1024
_TOLD = 20  # different lines about commands while it is connected
_PACKET_BYTES = 65_536  # the broker sends nothing longer
_QUIET = logging.getLogger("tinyhark.mqtt.library")
_QUIET.disabled = True  # what matters of it is told here


@dataclass(frozen=True)
class Broker:
    """Where to publish; topic: of all of it; discovery: the prefix that Home Assistant looks below, "" for none.

    keep_s: an event that could not be published for so long is dropped: nobody wants the light on an hour later.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None
    topic: str
    discovery: str
    keep_s: float

    @property
    def place(self) -> str:
        """For log lines."""
        return f"{self.host}:{self.port}"


class Mqtt(LoopOutput):
    """Publishes as long as the broker is there, tries again while it is not; one thread, one connection."""

    name = "mqtt"
    sections = ("model",)  # the keywords that Home Assistant is told of

    def __init__(self, broker: Broker, keywords: Sequence[str], control: Control) -> None:
        self._broker, self._control = broker, control
        self._keywords = keywords
        self._events: deque[tuple[float, Event]] = deque()
        self._state, self._muted = State("starting"), control.is_muted
        self._wake = asyncio.Event()
        self._told = ""
        self.dropped = 0

    def event(self, event: Event) -> None:
        """Publish it now or, for `keep_s`, when the broker is back."""
        if len(self._events) >= _KEPT:
            self._drop()
        self._events.append((time.monotonic(), event))
        self.call(self._wake.set)

    def state(self, state: State) -> None:
        """Publish it, retained."""
        self._state = state
        self.call(self._wake.set)

    def muted(self, is_muted: bool) -> None:
        """Publish it, retained."""
        self._muted = is_muted
        self.call(self._wake.set)

    def _drop(self) -> None:
        with suppress(IndexError):
            self._events.popleft()
            self.dropped += 1

    async def serve(self, stopping: asyncio.Event) -> None:
        """Keep connected; say goodbye at the end, if that takes no more than a second."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of connections that the library gave up
        shortest_s, longest_s = _BACK_OFF_S
        wait_s = shortest_s
        while not stopping.is_set():
            since_s = math.inf
            try:
                async with self._client() as client:
                    self._tell_once("")
                    since_s = time.monotonic()
                    await self._serve(client, stopping)
            except Exception as error:  # whatever a peer made the library raise, the daemon goes on
                if stopping.is_set():
                    return
                if time.monotonic() - since_s > longest_s:  # or two daemons of one topic would push each other out fast
                    wait_s = shortest_s
                reason = str(error).strip() or type(error).__name__
                self._tell_once(f"{self._broker.place}: {reason}; trying again until it works")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), wait_s)
                wait_s = min(2 * wait_s, longest_s)

    def _tell_once(self, complaint: str) -> None:
        """A line for each outage and for its end, whatever changes in between."""
        if complaint and not self._told:
            log.warning("mqtt: %s", complaint)
        elif self._told and not complaint:
            log.info("mqtt: connected again", extra={"facts": {"broker": self._broker.place, "dropped": self.dropped}})
        self._told = complaint

    def _client(self) -> aiomqtt.Client:
        b = self._broker
        limit = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limit.MaximumPacketSize = _PACKET_BYTES
        return aiomqtt.Client(
            b.host,
            b.port,
            username=b.user,
            password=b.password,
            identifier="tinyhark-" + b.topic.replace("/", "-"),  # a new connection ends the one that hangs
            will=aiomqtt.Will(f"{b.topic}/available", "offline", qos=1, retain=True),
            tls_context=b.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            properties=limit,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=_KEPT,
            logger=_QUIET,
        )

    async def _serve(self, client: aiomqtt.Client, stopping: asyncio.Event) -> None:
        commands = asyncio.create_task(self._obey(client))
        try:
            await self._publish(client, commands, stopping)
        finally:
            commands.cancel()
            with suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await commands

    async def _publish(self, client: aiomqtt.Client, commands: "asyncio.Task[None]", stopping: asyncio.Event) -> None:
        topic, sent = self._broker.topic, dict[str, str]()
        await client.subscribe(f"{topic}/+/set", qos=1)
        while True:
            for name, payload in self._retained().items():
                if sent.get(name) != payload:
                    await client.publish(name, payload, qos=1, retain=True)
                    sent[name] = payload
            while self._events:
                since, event = self._events[0]
                if time.monotonic() - since > self._broker.keep_s:
                    self._drop()
                    continue
                await client.publish(event_topic(topic, event.detection.keyword), _payload(event), qos=1)
                if self._events and self._events[0][1] is event:  # else it was dropped meanwhile, for a newer one
                    self._events.popleft()
            if stopping.is_set():
                await client.publish(f"{topic}/available", "offline", qos=1, retain=True)
                return
            woken, told = (asyncio.create_task(one.wait()) for one in (self._wake, stopping))
            await asyncio.wait({woken, told, commands}, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            told.cancel()
            if commands.done():
                commands.result()  # the connection is gone
                raise aiomqtt.MqttError("the connection ended")
            self._wake.clear()

    def _retained(self) -> dict[str, str]:
        b = self._broker
        said = {
            f"{b.topic}/state": json.dumps({"state": self._state.name, "reason": self._state.reason}),
            f"{b.topic}/mute": "ON" if self._muted else "OFF",
            f"{b.topic}/available": "online",
        }
        if b.discovery:
            said |= discovery(b.discovery, b.topic, self._keywords)
        return said

    async def _obey(self, client: aiomqtt.Client) -> None:
        told = set[str]()
        async for message in client.messages:
            complaint = self._complaint(message)
            if complaint and complaint not in told and len(told) < _TOLD:
                told.add(complaint)
                log.warning("mqtt: %s", complaint)

    def _complaint(self, message: aiomqtt.Message) -> str:
        """Do what a message asks for -> empty, or why it cannot be done."""
        topic = printable(message.topic.value)
        if message.retain:
            return f"{topic}: a retained command is not obeyed; publish it without"
        payload = message.payload if isinstance(message.payload, bytes) else b""
        text = payload[: _LONGEST_COMMAND + 1].decode("ascii", "replace").strip()
        command = topic.removeprefix(self._broker.topic + "/").removesuffix("/set")
        if len(text) <= _LONGEST_COMMAND and self._act(command, text.upper()):
            return ""
        return f"{topic}: {text[:20]!r} is no command; there are mute: ON or OFF, false_wake"

    def _act(self, command: str, payload: str) -> bool:
        match command, payload:
            case "mute", "ON":
                self._control.mute()
            case "mute", "OFF":
                self._control.unmute()
            case "false_wake", _:
                if not self._control.false_wake():
                    log.warning("mqtt: a false wake was told, but there is no [feedback] to keep its sound")
            case _:
                return False
        return True


def _payload(event: Event) -> str:
    """The event's own JSON and what Home Assistant's event entities ask for."""
    return json.dumps(json.loads(event.to_json()) | {"event_type": "heard"})
