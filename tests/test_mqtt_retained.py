"""What the MQTT output leaves at the broker: Home Assistant's discovery, keywords that are gone, second daemons."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from waiting import free_port, until

pytest.importorskip("aiomqtt", reason="the extra `daemon` is not installed")

from tinyhark.app.cli import hark
from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.event import State
from tinyhark.app.daemon.mqtt import Mqtt
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.setup import set_up


def test_home_assistant_finds_it(broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt]) -> None:
    mqtt_output(broker.port)
    until(lambda: listener.payloads("homeassistant/device/home_kitchen/config"))
    whole = json.loads(listener.payloads("homeassistant/device/home_kitchen/config")[0])
    parts = whole["components"].values()
    assert [part["platform"] for part in parts] == ["event", "event", "switch", "sensor", "button"]
    assert len({part["unique_id"] for part in parts}) == len(parts)
    assert [part["state_topic"] for part in parts if part["platform"] == "event"] == [
        "home/kitchen/event/yes",
        "home/kitchen/event/no",
    ]
    assert whole["availability_topic"] == "home/kitchen/available"
    assert whole["device"]["identifiers"] == ["home_kitchen"]


def test_a_keyword_that_is_no_longer_heard_is_forgotten(
    broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "homeassistant/device/home_kitchen/config"
    before = mqtt_output(broker.port)
    until(lambda: listener.payloads(config))
    before.stop()
    monkeypatch.setattr("tinyhark.app.daemon.home_assistant.__version__", "next")
    after = mqtt_output(broker.port, keywords=["no", "stop"])
    until(lambda: len(listener.payloads(config)) == 4)
    first, new, shorter, last = (json.loads(payload)["components"] for payload in listener.payloads(config))
    assert shorter.pop("event_yes") == {"platform": "event"}, "what Home Assistant understands as: remove it"
    assert "event_yes" in first
    assert new == shorter == last
    after.stop()
    mqtt_output(broker.port, keywords=["no", "stop"])
    time.sleep(1)
    assert len(listener.payloads(config)) == 5


@pytest.mark.parametrize("payload", ["no JSON", "[]", '{"components": 3}', '{"components": {"a": 1}}'])
def test_what_others_left_there_is_replaced(
    broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture, payload: str
) -> None:
    config = "homeassistant/device/home_kitchen/config"
    listener.publish(config, payload, retain=True)
    mqtt_output(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    time.sleep(0.2)
    assert len(listener.payloads(config)) == 2
    assert not caplog.records


def test_one_that_is_retired_leaves_nothing(
    broker: Any, listen: Callable[[int], Any], mqtt_output: Callable[..., Mqtt]
) -> None:
    output = mqtt_output(broker.port)
    listener = listen(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    output.retire()
    heard = listener.heard
    until(lambda: ("home/kitchen/available", "") in heard)
    names = ["config", "state", "mute", "available"]
    assert [topic.rpartition("/")[2] for topic, payload in heard if not payload] == names, "the device first"
    late = listen(broker.port)
    late.publish("end", "now", retain=True)
    until(lambda: late.payloads("end"))
    assert [topic for topic, _ in late.heard] == ["end"]


def test_a_daemon_whose_section_is_removed_leaves_nothing(
    broker: Any, listener: Any, tmp_path: Path, tiny_model: Path
) -> None:
    path = tmp_path / "hark.toml"
    without = f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\n'
    path.write_text(f'{without}[mqtt]\nport = {broker.port}\ntopic = "home/kitchen"')
    setup = set_up(path)
    daemon = Daemon(setup, lambda: setup, Notifier({}))
    setup.outputs["mqtt"].start()
    until(lambda: listener.payloads("home/kitchen/available"))
    path.write_text(without)
    daemon._take_over(set_up(path))
    until(lambda: listener.payloads("home/kitchen/available")[-1] == "")
    assert listener.payloads("homeassistant/device/home_kitchen/config")[-1] == ""


def retired(path: Path) -> tuple[int, str, str]:
    """The exit status of `hark daemon --retire`, and what it said."""
    done = CliRunner().invoke(hark, ["daemon", "--config", str(path), "--retire"])
    return done.exit_code, done.stdout, done.stderr


def test_a_daemon_that_was_stopped_first_can_be_retired(
    broker: Any, listen: Callable[[int], Any], mqtt_output: Callable[..., Mqtt], tmp_path: Path
) -> None:
    path = tmp_path / "hark.toml"
    path.write_text(f'[mqtt]\nport = {broker.port}\ntopic = "home/kitchen"')
    output = mqtt_output(broker.port)
    listener = listen(broker.port)
    until(lambda: listener.payloads("home/kitchen/available"))
    status, said, complaint = retired(path)
    assert (status, said) == (2, "")
    place = f"[mqtt] 127.0.0.1:{broker.port}"
    assert complaint.startswith(f"hark: {path}: {place}: a daemon publishes below home/kitchen; stop it, ")
    output.stop()
    until(lambda: listener.payloads("home/kitchen/available")[-1] == "offline")
    said = f"{path}: 127.0.0.1: nothing is kept below home/kitchen any more; Home Assistant forgets the device\n"
    assert retired(path) == (0, said, "")
    assert retired(path) == (0, said, ""), "nothing is there, which is what was asked for"
    late = listen(broker.port)
    late.publish("end", "now", retain=True)
    until(lambda: late.payloads("end"))
    assert [topic for topic, _ in late.heard] == ["end"]


def test_what_cannot_be_retired_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "hark.toml"
    path.write_text("[stdout]")
    why = "has no [mqtt], which names the broker and the topic; put it back until this is done"
    assert retired(path) == (2, "", f"hark: {path}: {why}\n")
    port = free_port()
    path.write_text(f"[mqtt]\nport = {port}")
    status, said, complaint = retired(path)
    assert (status, said, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith(f"hark: {path}: [mqtt] 127.0.0.1:{port}: ")


def test_two_daemons_of_one_topic_say_so_once(
    broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture
) -> None:
    """Both stay connected; what one says when it stops does not hide the other."""
    two = [mqtt_output(broker.port), mqtt_output(broker.port)]
    until(lambda: len(caplog.records) == 2)
    for output in two:
        output.state(State("listening"))
    until(lambda: sum("listening" in state for state in listener.payloads("home/kitchen/state")) == 2)
    two[1].stop()
    until(lambda: listener.payloads("home/kitchen/available")[-2:] == ["offline", "online"])
    assert sorted(caplog.messages) == sorted(
        f"mqtt: a second daemon, {one._name}, publishes below home/kitchen; give each a topic of its own" for one in two
    )


def test_a_daemon_that_is_started_again_is_no_second_one(
    broker: Any, listener: Any, mqtt_output: Callable[..., Mqtt], caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        output = mqtt_output(broker.port)
        until(lambda number=number: listener.payloads("home/kitchen/available").count("online") == number)
        output.stop()
    assert not caplog.records


def test_a_broker_that_does_not_let_it_forget_is_told_of(mosquitto: Callable[..., Any], tmp_path: Path) -> None:
    from paho.mqtt import publish

    rules = tmp_path / "acl"
    rules.write_text("topic read home/#\ntopic readwrite homeassistant/#\nuser writer\ntopic readwrite #\n")
    port = mosquitto("allow_anonymous true", f"acl_file {rules}").port
    publish.single("home/kitchen/state", "away", 1, True, "127.0.0.1", port, auth={"username": "writer"})
    path = tmp_path / "hark.toml"
    path.write_text(f'[mqtt]\nport = {port}\ntopic = "home/kitchen"')
    status, said, complaint = retired(path)
    assert (status, said) == (2, "")
    assert complaint.endswith("still keeps home/kitchen/state; may this user publish there?\n")
