"""The MQTT output against a real mosquitto, which is killed and restarted, and against peers that are none."""

import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from waiting import free_port, until

pytest.importorskip("aiomqtt", reason="the extra `daemon` is not installed")

from tinyhark.app.daemon.control import Control
from tinyhark.app.daemon.event import Event, State
from tinyhark.app.daemon.mqtt import Mqtt
from tinyhark.app.detection import Detection

WAIT_S = 60
WHEN = datetime(2026, 3, 1, 12, 30, 1, 250_000, UTC)


def event(keyword: str = "yes", score: float = 0.75) -> Event:
    return Event(Detection(keyword, score, 1600, 17_600, "tones"), WHEN)


def test_events_state_and_muting_are_published(
    broker: Any, listener: Any, listen: Callable[[int], Any], mqtt_output: Callable[..., Mqtt]
) -> None:
    output = mqtt_output(broker.port)
    until(lambda: listener.payloads("home/kitchen/available") == ["online"])
    output.state(State("degraded", "the microphone gives digital silence"))
    output.muted(True)
    output.event(event())
    until(lambda: listener.payloads("home/kitchen/event/yes"))
    [heard] = map(json.loads, listener.payloads("home/kitchen/event/yes"))
    assert (heard["event_type"], heard["keyword"], heard["score"]) == ("heard", "yes", 0.75)
    assert heard["wall_time"] == "2026-03-01T12:30:01.250+00:00"
    until(lambda: "ON" in listener.payloads("home/kitchen/mute"))
    state = json.loads(listener.payloads("home/kitchen/state")[-1])
    assert state.pop("daemon").startswith(socket.gethostname())
    assert state == {"state": "degraded", "reason": "the microphone gives digital silence"}
    late = listen(broker.port)
    until(lambda: late.payloads("home/kitchen/mute") == ["ON"])
    assert not late.payloads("home/kitchen/event/yes"), "an event is no state"
    output.stop()
    until(lambda: listener.payloads("home/kitchen/available")[-1] == "offline")


def test_commands(
    broker: Any,
    listener: Any,
    mqtt_output: Callable[..., Mqtt],
    mqtt_control: Control,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mqtt_output(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    listener.publish("home/kitchen/mute/set", "ON")
    until(lambda: mqtt_control.is_muted)
    listener.publish("home/kitchen/mute/set", "off")
    until(lambda: not mqtt_control.is_muted)
    told: list[str] = []
    mqtt_control.on_false_wake = lambda: told.append("false wake")
    listener.publish("home/kitchen/false_wake/set", "PRESS")
    until(lambda: told)
    odd = ["maybe", b"\xff\xfe\x00", b"x" * 5_000, b""]
    for payload in odd:
        listener.publish("home/kitchen/mute/set", payload)
    listener.publish("home/kitchen/reboot/set", "ON")
    listener.publish("home/kitchen/mute/set", b"x" * 200_000)  # longer than what we let the broker send
    listener.publish("home/kitchen/mute/set", "ON")
    until(lambda: mqtt_control.is_muted)
    lines = [record.message for record in caplog.records if "is no command" in record.message]
    assert len(lines) == len(odd) + 1
    assert all(len(line) < 150 and "\n" not in line for line in lines)


def test_a_retained_command_is_not_obeyed(
    broker: Any,
    listener: Any,
    mqtt_output: Callable[..., Mqtt],
    mqtt_control: Control,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener.publish("home/kitchen/mute/set", "ON", retain=True)
    mqtt_output(broker.port)
    until(lambda: any("retained" in record.message for record in caplog.records))
    assert not mqtt_control.is_muted, "or a daemon would be deaf at every start"


def test_a_broker_that_is_killed_and_comes_back(
    broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    output = mqtt_output(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    broker.kill()
    for number in range(150):
        output.event(event("no", number / 1000))
    until(lambda: output.dropped == 50)  # memory is bounded: the newest 100 wait
    time.sleep(2.5)
    broker.start()
    until(lambda: len(listener.payloads("home/kitchen/event/no")) >= 100)
    scores = [json.loads(payload)["score"] for payload in listener.payloads("home/kitchen/event/no")]
    assert list(dict.fromkeys(scores)) == [number / 1000 for number in range(50, 150)]
    until(lambda: listener.payloads("home/kitchen/available")[-1] == "online")
    until(lambda: not output.dropped)
    [away, again, dropped] = [record for record in caplog.records if record.name.endswith("mqtt")]
    assert away.getMessage() == f"mqtt: 127.0.0.1:{broker.port}: the connection was lost; trying again until it works"
    assert again.getMessage() == "mqtt: connected again"
    assert dropped.getMessage() == "mqtt: events were dropped"
    assert dropped.__dict__["facts"] == {"dropped": 50}


def test_what_is_too_old_is_not_published_but_told_once_for_each_outage(
    broker: Any,
    listener: Any,
    mqtt_output: Callable[..., Mqtt],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tinyhark.app.daemon.mqtt._BACK_OFF_S", (0.1, 0.5))
    output = mqtt_output(broker.port, keep_s=0.2)
    for count in (1, 2):
        broker.kill()
        for _ in range(count):
            output.event(event("no"))
        time.sleep(0.5)
        broker.start()
        told = [{"dropped": one} for one in range(1, count + 1)]
        until(lambda told=told: [r.__dict__["facts"] for r in caplog.records if "dropped" in r.message] == told)
    output.event(event("yes"))
    until(lambda: listener.payloads("home/kitchen/event/yes"))
    assert not listener.payloads("home/kitchen/event/no")


def test_user_and_password(
    tmp_path: Path, mosquitto: Callable[..., Any], mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    tool = shutil.which("mosquitto_passwd")
    assert tool
    subprocess.run([tool, "-c", "-b", passwords, "hark", "right"], check=True, capture_output=True)
    one = mosquitto("allow_anonymous false", f"password_file {passwords}")
    mqtt_output(one.port, "hark", "wrong")
    until(lambda: any("uthori" in record.message for record in caplog.records))
    assert not any("wrong" in record.message for record in caplog.records), "a password is in no log"
    caplog.clear()
    right = mqtt_output(one.port, "hark", "right")
    right.event(event())
    until(lambda: not right._events)
    assert not caplog.records


@pytest.mark.parametrize(
    "answer", [b"\x20\x03\x00\x87\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, b"\x20\xff\xff\xff\xff"]
)
def test_a_peer_that_is_no_broker(
    mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr("tinyhark.app.daemon.mqtt._BACK_OFF_S", (0.05, 0.1))
    monkeypatch.setattr("tinyhark.app.daemon.mqtt_broker._TIMEOUT_S", 1.0)
    served = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                served.append(connection)
                with suppress(OSError):
                    connection.recv(1000)
                    connection.sendall(answer)
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        output = mqtt_output(server.getsockname()[1])
        until(lambda: len(served) > 2)
        output.stop()
        server.shutdown(socket.SHUT_RDWR)
    lines = [record.message for record in caplog.records if record.name.endswith("daemon.mqtt")]
    assert len(lines) == 1, "once in an outage"
    assert "trying again" in lines[0]


def test_a_peer_that_hangs(
    mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinyhark.app.daemon.mqtt_broker._TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = mqtt_output(server.getsockname()[1])
        before_s = time.monotonic()
        output.event(event())
        assert time.monotonic() - before_s < 0.1, "who hears does not wait"
        until(lambda: any("trying again" in record.message for record in caplog.records))
        before_s = time.monotonic()
        output.stop()
        assert time.monotonic() - before_s < 2


def test_no_one_there(mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    mqtt_output(port)
    until(lambda: caplog.records)
    assert f"127.0.0.1:{port}" in caplog.records[0].message


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here, to make certificates with")
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    what = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    what += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(pem), "-keyout", str(key)]
    subprocess.run([openssl, "req", "-x509", *what], check=True, capture_output=True)
    return pem, key


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # paho does not close a failed one
def test_tls(
    mosquitto: Callable[..., Any], mqtt_output: Callable[..., Mqtt], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem, key = certificate(tmp_path, "broker")
    other, _ = certificate(tmp_path, "other")
    port = mosquitto("allow_anonymous true", f"certfile {pem}", f"keyfile {key}").port
    stranger = mqtt_output(port, tls=ssl.create_default_context(cafile=other))
    until(lambda: caplog.messages)
    assert "certificate verify failed" in caplog.messages[0]
    stranger.stop()
    caplog.clear()
    output = mqtt_output(port, tls=ssl.create_default_context(cafile=pem))
    output.event(event())
    until(lambda: not output._events)
    assert not caplog.messages


def test_a_flood_of_nonsense_is_told_once(
    broker: Any,
    listener: Any,
    mqtt_output: Callable[..., Mqtt],
    mqtt_control: Control,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mqtt_output(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    for number in range(60):
        listener.publish("home/kitchen/mute/set", "maybe")
        listener.publish("home/kitchen/mute/set", f"maybe {number}")
    listener.publish("home/kitchen/mute/set", "ON")
    until(lambda: mqtt_control.is_muted)
    assert len(caplog.messages) == 20
