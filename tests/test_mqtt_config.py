"""The section [mqtt]: one line for each thing that can be wrong with it."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiomqtt", reason="the extra `daemon` is not installed")

from tinyhark.app.daemon.exec_hook import ExecHook
from tinyhark.app.daemon.mqtt import Mqtt
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.errors import HarkError


def configured(tmp_path: Path, tiny_model: Path, text: str) -> Path:
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\n[mqtt]\n{text}')
    return path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hots = 'a'", "[mqtt]: there is no key 'hots'; did you mean host?"),
        ("port = 0", "[mqtt] port: expected int >= 1"),
        ("topic = 'a/#'", "[mqtt]: topic is 'a/#'; it has no +, #"),
        ("password_file = 'x'", "[mqtt]: password_file needs a user, too"),
        ("user = 'a'\npassword_file = 'none'", "[mqtt] password_file: /none: cannot be read: No such file"),
        ("ca_file = 'x'", "[mqtt]: ca_file needs tls = true"),
        ("tls = true\nca_file = 'none'", "[mqtt] ca_file: /none: cannot be used: No such file"),
        ("tls = true\nca_file = 'hark.toml'", "[mqtt] ca_file: /hark.toml: cannot be used: "),
        ("keep_s = -1", "[mqtt] keep_s: expected float >= "),
    ],
)
def test_a_section_that_is_wrong_is_one_line(tmp_path: Path, tiny_model: Path, text: str, line: str) -> None:
    path = configured(tmp_path, tiny_model, text)
    with pytest.raises(HarkError) as error:
        set_up(path)
    assert str(error.value).removeprefix(f"{path}: ").replace(str(tmp_path), "").startswith(line)


def test_a_password_comes_from_a_file_the_environment_or_systemd(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def password(text: str = "user = 'hark'") -> str | None:
        output = set_up(configured(tmp_path, tiny_model, text)).outputs["mqtt"]
        assert isinstance(output, Mqtt)
        return output._broker.password

    assert password() is None
    (tmp_path / "mqtt-password").write_text("systemd's\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert password() == "systemd's"
    monkeypatch.setenv("HARK_MQTT_PASSWORD", "the environment's")
    assert password() == "the environment's"
    (tmp_path / "named").write_text("the file's\n")
    assert password("user = 'hark'\npassword_file = 'named'") == "the file's"


def test_a_password_in_the_configuration_itself_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(HarkError, match="there is no key 'password'; did you mean password_file"):
        set_up(configured(tmp_path, tiny_model, "password = 'secret'"))


def test_programs_do_not_get_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARK_MQTT_PASSWORD", "secret")
    assert "HARK_MQTT_PASSWORD" not in ExecHook({}, 1, 1)._environment


def test_without_the_library_there_is_one_line(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tinyhark.app.daemon.mqtt")
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    with pytest.raises(HarkError, match=r"\[mqtt\] needs aiomqtt; pip install 'tinyhark\[daemon\]'"):
        set_up(configured(tmp_path, tiny_model, ""))
