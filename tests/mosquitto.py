"""A broker of our own as the edge of the machine: a real mosquitto, another client that listens to it, our output.

`conftest.py` registers this file as a plugin.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import free_port, until

MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
WAIT_S = 60


class Mosquitto:
    """A broker of its own for a test, which keeps nothing on disk."""

    def __init__(self, folder: Path, *rules: str) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._file.write_text("\n".join([f"listener {self.port} 127.0.0.1", "persistence false", "user root", *rules]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._file)], stderr=subprocess.DEVNULL)
        until(self._answers)

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Listener:
    """Another client of the broker: what it heard, by topic, and the newest retained of each."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[tuple[str, str]] = []
        self._client: Any = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _, __, message: self.heard.append(
            (message.topic, message.payload.decode("latin-1"))
        )
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def payloads(self, topic: str) -> list[str]:
        return [payload for name, payload in self.heard if name == topic]

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """`mosquitto(*rules)`: a running broker that ends with the test; skips where there is none."""
    if MOSQUITTO is None:
        pytest.skip("no mosquitto here: apt-get install mosquitto")
    pytest.importorskip("paho.mqtt", reason="the extra `daemon` is not installed")
    running: list[Mosquitto] = []

    def start(*rules: str) -> Mosquitto:
        running.append(Mosquitto(tmp_path, *(rules or ["allow_anonymous true"])))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.kill()


@pytest.fixture
def broker(mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """One that lets everybody in."""
    return mosquitto()


@pytest.fixture
def listen() -> Iterator[Callable[[int], Listener]]:
    """`listen(port)`: another client of a broker, which ends with the test."""
    running: list[Listener] = []

    def start(port: int) -> Listener:
        running.append(Listener(port))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def listener(broker: Mosquitto, listen: Callable[[int], Listener]) -> Listener:
    """Another client of `broker`."""
    return listen(broker.port)


@pytest.fixture
def mqtt_control() -> Any:
    """What the outputs of `mqtt_output` obey."""
    from tinyhark.app.daemon.control import Control

    return Control()


@pytest.fixture
def mqtt_output(mqtt_control: Any) -> Iterator[Callable[..., Any]]:
    """`mqtt_output(port)`: a running MQTT output, of the topic home/kitchen, which ends with the test."""
    from tinyhark.app.daemon.mqtt import Mqtt
    from tinyhark.app.daemon.mqtt_broker import Broker

    made: list[Mqtt] = []

    def start(
        port: int,
        user: str | None = None,
        password: str | None = None,
        keep_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        keywords: Sequence[str] = ("yes", "no"),
    ) -> Mqtt:
        broker = Broker("127.0.0.1", port, user, password, tls, "home/kitchen", "homeassistant", keep_s)
        made.append(Mqtt(broker, keywords, mqtt_control))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()
