"""The output that publishes to an MQTT broker: events, state, muting, and what Home Assistant finds by itself."""

import asyncio
import json
import logging
import math
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from ..errors import HarkError
from ..text import printable
from .control import Control
from .event import Event, State
from .home_assistant import discovery, event_topic, without
from .loop_output import LoopOutput
from .mqtt_broker import Broker, reason

log = logging.getLogger(__name__)

_BACK_OFF_S = (1.0, 60.0)
_RETAINED_S = 1.0  # for what is retained to come
_KEPT = 100  # events while the broker is away
_LONGEST_COMMAND = 1024
_TOLD = 20  # different lines about messages while it is connected
_OF_OTHERS = SubscribeOptions(qos=1, noLocal=True)


class Mqtt(LoopOutput):
    """Publishes as long as the broker is there, tries again while it is not; one thread, one connection.

    dropped: events since that was last told.
    """

    name = "mqtt"
    sections = ("model",)  # the keywords that Home Assistant is told of

    def __init__(self, broker: Broker, keywords: Sequence[str], control: Control) -> None:
        self._broker, self._control = broker, control
        self._keywords = keywords
        self._events: deque[tuple[float, Event]] = deque()
        self._state, self._muted = State("starting"), control.is_muted
        self._wake = asyncio.Event()
        self._sent = dict[str, str]()  # what is retained, of this connection
        self._told, self._retired = "", False
        self._name = f"{socket.gethostname()}-{secrets.token_hex(3)}"  # another one at each start
        self._rivals = set[str]()
        self.dropped = 0

    def event(self, event: Event) -> None:
        """Publish it now or, for `keep_s`, when the broker is back."""
        self.call(self._add, time.monotonic(), event)

    def state(self, state: State) -> None:
        """Publish it, retained."""
        self._state = state
        self.call(self._wake.set)

    def muted(self, is_muted: bool) -> None:
        """Publish it, retained."""
        self._muted = is_muted
        self.call(self._wake.set)

    def retire(self) -> None:
        """End, and let the broker keep nothing of it, so that Home Assistant forgets the device."""
        self._retired = True
        self.stop()

    def clear(self) -> None:
        """As `retire`, for one that was not started; HarkError where that cannot be done or a daemon is there."""
        try:
            asyncio.run(self._clear())
        except HarkError:
            raise
        except Exception as error:  # whatever a peer made the library raise
            raise HarkError(f"[mqtt] {self._broker.place}: {reason(error)}") from None

    async def _clear(self) -> None:
        _quiet_loop()
        async with self._broker.client(f"tinyhark-{self._name}") as client:
            if await _kept(client, [self._broker.available]) == {self._broker.available: b"online"}:
                raise HarkError(
                    f"[mqtt] {self._broker.place}: a daemon publishes below {self._broker.topic}; stop it, or take "
                    "[mqtt] from its configuration and reload, which does the same. Where none runs any more: "
                    f"mosquitto_pub -r -n -t {self._broker.available}"
                )
            await self._retain(client, dict.fromkeys(self._retained(), ""))
            if left := await _kept(client, self._retained()):
                raise HarkError(
                    f"[mqtt] {self._broker.place}: still keeps {', '.join(left)}; may this user publish there?"
                )

    def _add(self, since_s: float, event: Event) -> None:
        if len(self._events) >= _KEPT:
            self._drop()
        self._events.append((since_s, event))
        self._wake.set()

    def _drop(self) -> None:
        self._events.popleft()
        self.dropped += 1

    async def serve(self, stopping: asyncio.Event) -> None:
        """Keep connected; say goodbye at the end, if that takes no more than a second."""
        _quiet_loop()
        shortest_s, longest_s = _BACK_OFF_S
        wait_s = shortest_s
        while not stopping.is_set():
            since_s = math.inf
            try:
                async with self._broker.client(f"tinyhark-{self._name}") as client:
                    self._tell_once("")
                    since_s = time.monotonic()
                    await self._serve(client, stopping)
            except Exception as error:  # whatever a peer made the library raise, the daemon goes on
                if stopping.is_set():
                    return
                if time.monotonic() - since_s > longest_s:  # shorter ones do not count: it may be away again at once
                    wait_s = shortest_s
                self._tell_once(f"{self._broker.place}: {reason(error)}; trying again until it works")
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await stopping.wait()
                wait_s = min(2 * wait_s, longest_s)

    def _tell_once(self, complaint: str) -> None:
        """A line for each outage and for its end, whatever changes in between."""
        if complaint and not self._told:
            log.warning("mqtt: %s", complaint)
        elif self._told and not complaint:
            log.info("mqtt: connected again", extra={"facts": {"broker": self._broker.place}})
        self._told = complaint

    def _tell_dropped(self) -> None:
        """Once an outage, as soon as the events that are left have been published."""
        if self.dropped:
            log.warning("mqtt: events were dropped", extra={"facts": {"dropped": self.dropped}})
            self.dropped = 0

    async def _serve(self, client: aiomqtt.Client, stopping: asyncio.Event) -> None:
        self._sent.clear()
        tasks = [asyncio.create_task(self._publish(client, stopping)), asyncio.create_task(self._listen(client))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish(self, client: aiomqtt.Client, stopping: asyncio.Event) -> None:
        """Publish what is there and what comes, until it is to stop."""
        await client.subscribe(f"{self._broker.topic}/+/set", qos=1)
        for name in (self._state_topic, self._broker.available, *self._discovery()):
            await client.subscribe(name, options=_OF_OTHERS)
        while True:
            await self._retain(client, self._retained())
            while self._events:
                since_s, event = self._events[0]
                if time.monotonic() - since_s > self._broker.keep_s:
                    self._drop()
                    continue
                await client.publish(event_topic(self._broker.topic, event.detection.keyword), _payload(event), qos=1)
                if self._events and self._events[0][1] is event:  # else it was dropped meanwhile, for a newer one
                    self._events.popleft()
            self._tell_dropped()
            if stopping.is_set():
                await self._retain(client, self._last_words())
                return
            woken, told = (asyncio.create_task(one.wait()) for one in (self._wake, stopping))
            await asyncio.wait({woken, told}, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            told.cancel()
            self._wake.clear()

    async def _retain(self, client: aiomqtt.Client, said: dict[str, str]) -> None:
        """Publish what is new."""
        for name, payload in said.items():
            if self._sent.get(name) != payload:
                await client.publish(name, payload, qos=1, retain=True)
                self._sent[name] = payload

    def _retained(self) -> dict[str, str]:
        b = self._broker
        return self._discovery() | {
            self._state_topic: json.dumps(
                {"state": self._state.name, "reason": self._state.reason, "daemon": self._name}
            ),
            f"{b.topic}/mute": "ON" if self._muted else "OFF",
            b.available: "online",
        }

    @property
    def _state_topic(self) -> str:
        return f"{self._broker.topic}/state"

    def _last_words(self) -> dict[str, str]:
        return dict.fromkeys(self._retained(), "") if self._retired else {self._broker.available: "offline"}

    def _discovery(self) -> dict[str, str]:
        b = self._broker
        return discovery(b.discovery, b.topic, self._keywords) if b.discovery else {}

    async def _listen(self, client: aiomqtt.Client) -> None:
        told = set[str]()
        async for message in client.messages:
            name = message.topic.value
            if name in self._discovery():
                await self._forget(client, name, message)
            elif name == self._state_topic:
                self._meet(message)
            elif name == self._broker.available:
                self._contradict(message)
            elif (complaint := self._complaint(message)) and complaint not in told and len(told) < _TOLD:
                told.add(complaint)
                log.warning("mqtt: %s", complaint)

    async def _forget(self, client: aiomqtt.Client, name: str, message: aiomqtt.Message) -> None:
        """Have Home Assistant forget the keywords of a former start that are no longer heard."""
        new = self._discovery()[name]
        if message.retain and (shorter := without(message.payload, new)):
            for payload in (shorter, new):
                await client.publish(name, payload, qos=1, retain=True)

    def _meet(self, message: aiomqtt.Message) -> None:
        """Notice another daemon of this topic by what it says, and let it notice this one."""
        try:
            said = json.loads(message.payload) if isinstance(message.payload, bytes) else None
        except (ValueError, RecursionError):
            return
        other = said.get("daemon") if isinstance(said, dict) else None
        if not isinstance(other, str) or message.retain or other in self._rivals or len(self._rivals) >= _TOLD:
            return
        self._rivals.add(other)
        self._say_again(self._state_topic)
        log.error(
            "mqtt: a second daemon, %s, publishes below %s; give each a topic of its own",
            *(printable(other[:80]), self._broker.topic),
        )

    def _contradict(self, message: aiomqtt.Message) -> None:
        """It is there, even where the broker noticed only now that a former connection is gone."""
        if message.payload != b"online" and not message.retain:
            self._say_again(self._broker.available)

    def _say_again(self, topic: str) -> None:
        self._sent.pop(topic, None)
        self._wake.set()

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


async def _kept(client: aiomqtt.Client, topics: Iterable[str]) -> dict[str, bytes]:
    """What a broker keeps of these topics and sends at once to who asks for them."""
    found = {}
    for topic in topics:
        await client.subscribe(topic, qos=1)
    with suppress(TimeoutError):
        async with asyncio.timeout(_RETAINED_S):
            async for message in client.messages:
                if message.retain and message.payload:
                    found[str(message.topic)] = bytes(message.payload)
    return found


def _quiet_loop() -> None:
    """Have the event loop not tell of connections that the library gave up."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)


def _payload(event: Event) -> str:
    """The event's own JSON and what Home Assistant's event entities ask for."""
    return json.dumps(json.loads(event.to_json()) | {"event_type": "heard"})
