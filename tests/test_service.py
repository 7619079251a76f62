"""The unit of systemd, the service command with a systemctl that only notes, and what the doctor says of the system."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinyhark.app.audio import checks as sound_checks
from tinyhark.app.audio.checks import check_level, check_permission
from tinyhark.app.audio.devices import InputDevice
from tinyhark.app.audio.source import Pcm
from tinyhark.app.cli import hark
from tinyhark.app.daemon import config as c
from tinyhark.app.daemon.checks import check_clock, check_network, check_services, network_sockets
from tinyhark.app.daemon.service import installed_program
from tinyhark.app.daemon.unit import NAME, unit_text

TCP = c.Config(audio=c.Tcp(address="127.0.0.1:4711"))
UNIX = c.Config(wyoming=c.Wyoming(uri="unix:///run/hark/wyoming.sock"))


def written(
    tmp_path: Path, *, user: bool, config: c.Config | None = None, path: str = "/etc/tinyhark/hark.toml"
) -> Path:
    unit = tmp_path / NAME
    unit.write_text(unit_text(Path(sys.executable), Path(path), config or c.Config(), user=user))
    return unit


def analyze(*arguments: Any) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", ["/etc/tinyhark/hark.toml", '/etc/a b/50% "q" \\ $x.toml'])
@pytest.mark.parametrize("config", [c.Config(), TCP, UNIX], ids=["quiet", "tcp", "unix"])
@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_systemd_has_no_complaint_about_the_unit(
    user: bool, config: c.Config, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    unit = written(tmp_path, user=user, config=config, path=path)
    assert analyze("verify", *(["--user"] if user else []), unit) == ""


@pytest.mark.parametrize(("config", "most"), [(c.Config(), 1.0), (TCP, 2.0), (UNIX, 1.0)], ids=["quiet", "tcp", "unix"])
def test_the_system_unit_exposes_little(config: c.Config, most: float, tmp_path: Path) -> None:
    report = analyze("security", "--offline=true", written(tmp_path, user=False, config=config))
    assert 0 < float(report.split("exposure level for")[1].split(":")[1].split()[0]) <= most


def test_a_unit_has_no_network_unless_the_configuration_needs_one(tmp_path: Path) -> None:
    quiet = written(tmp_path, user=False).read_text()
    assert "PrivateNetwork=yes" in quiet
    assert "RestrictAddressFamilies=AF_UNIX\n" in quiet
    loud = written(tmp_path, user=False, config=TCP).read_text()
    assert "PrivateNetwork" not in loud
    assert "RestrictAddressFamilies=AF_UNIX AF_INET" in loud
    assert "RestrictAddressFamilies=AF_UNIX\n" in written(tmp_path, user=True).read_text()


@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_a_socket_by_path_has_a_folder_and_needs_no_network(user: bool, tmp_path: Path) -> None:
    assert UNIX.wyoming
    text = written(tmp_path, user=user, config=UNIX).read_text()
    (folder,) = re.findall(r"^RuntimeDirectory=(\S+)$", text, re.MULTILINE)
    assert Path(UNIX.wyoming.place.path).parent == Path("/run", folder)
    assert "RestrictAddressFamilies=AF_UNIX\n" in text
    assert "DynamicUser" not in text or "RuntimeDirectoryPreserve" not in text, "others could not reach it then"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A systemctl that notes how it was called; what this gives sets its answer and returns the notes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    notes = tmp_path / "notes"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def answer(text: str = "", status: int = 0, refuses: str = "*") -> list[str]:
        """status: the exit status, of other verbs than `refuses` 0."""
        ends = f'case "$*" in {refuses}) exit {status};; esac'
        program.write_text(f"#!/bin/sh\necho \"$@\" >> '{notes}'\nprintf '%b' '{text}'\n{ends}\n")
        program.chmod(0o755)
        return notes.read_text().splitlines() if notes.exists() else []

    answer()
    return answer


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(hark, ["service", *arguments])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installation whose program is there."""
    program = tmp_path / "venv" / "hark"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    return program


def test_a_service_is_installed_and_removed(
    systemctl: Callable[..., list[str]], installed: Path, tmp_path: Path
) -> None:
    done = invoke("install", "--user")
    assert done.exit_code == 0, done.output
    unit, config = tmp_path / "config/systemd/user" / NAME, tmp_path / "config/tinyhark/hark.toml"
    assert f"ExecStart={installed} daemon --config {config}" in unit.read_text()
    assert c.load(config).stdout is not None
    started = ["daemon-reload", f"enable {NAME}", f"restart --no-block {NAME}"]
    assert systemctl() == [f"--user {what}" for what in ("show --property=Version", *started)]
    config.write_text("[stdout]\n# mine")
    assert invoke("install", "--user").exit_code == 0
    assert config.read_text() == "[stdout]\n# mine", "a configuration that is there stays"
    done = invoke("uninstall", "--user")
    assert done.stdout == f"removed {unit}\n"
    assert not unit.exists()
    assert config.exists()
    assert systemctl()[-2:] == [f"--user disable --now {NAME}", "--user daemon-reload"]
    assert invoke("uninstall", "--user").stderr == f"hark: {unit}: is not there; the service is not installed\n"


@pytest.mark.usefixtures("installed")
def test_a_bad_configuration_is_not_installed(systemctl: Callable[..., list[str]], tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[audoi]")
    done = invoke("install", "--user", "--config", str(config))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean audio?" in done.stderr
    sound = tmp_path / "sound.toml"
    sound.write_text('[audio]\nsource = "file"\npath = "none.wav"')
    done = invoke("install", "--user", "--config", str(sound))
    assert done.stderr.startswith(f"hark: {sound}: [audio] path: {tmp_path}/none.wav: cannot be read: No such file")
    assert {*systemctl()} == {"--user show --property=Version"}
    assert not (tmp_path / "config").exists()


@pytest.mark.usefixtures("installed")
def test_what_systemctl_refuses_is_one_line_and_what_was_written_is_named(
    systemctl: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    systemctl(status=4, refuses="*enable*")
    done = invoke("install", "--user")
    assert done.exit_code == 2
    assert done.stderr == "hark: systemctl enable: exit status 4\n"
    folder = tmp_path / "config"
    assert done.stdout == f"wrote {folder}/tinyhark/hark.toml\nwrote {folder}/systemd/user/{NAME}\n"
    monkeypatch.setenv("PATH", "/nowhere")
    assert invoke("status", "--user").stderr == "hark: systemctl: is not installed\n"


@pytest.mark.parametrize("there", [False, True], ids=["no systemctl", "systemd does not run"])
@pytest.mark.usefixtures("installed")
def test_without_systemd_nothing_is_written(
    there: bool, systemctl: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    systemctl(status=1)
    if not there:
        monkeypatch.setenv("PATH", "/nowhere")
    done = invoke("install", "--user")
    assert (done.exit_code, done.stdout) == (2, "")
    why = "systemctl show: exit status 1" if there else "systemctl: is not installed"
    assert done.stderr == f"hark: {why}; nothing was written; without systemd, start hark daemon --config FILE\n"
    assert not (tmp_path / "config").exists()


def test_a_service_of_the_system_needs_root_and_a_program_it_can_read(
    monkeypatch: pytest.MonkeyPatch, installed: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "hark: a service of the system needs root: sudo " in invoke("install").stderr
    assert installed_program(user=False) == installed
    monkeypatch.setattr("tinyhark.app.daemon.service._HOMES", (installed.parent,))
    with pytest.raises(Exception, match=r"hark: lies in a home folder, .* /opt/tinyhark, or give --user$"):
        installed_program(user=False)
    installed.unlink()
    with pytest.raises(Exception, match=r"hark: is not there; "):
        installed_program(user=True)


def facts(active: str, status: str = "", pid: int | None = None) -> str:
    known = {"LoadState": "loaded", "ActiveState": active, "UnitFileState": "enabled", "StatusText": status}
    return "".join(f"{name}={value}\\n" for name, value in (known | {"MainPID": pid or os.getpid()}).items())


def test_status_says_how_it_is(systemctl: Callable[..., list[str]]) -> None:
    systemctl(facts("active", "listening: USB; today: on 3"))
    done = invoke("status", "--user")
    assert (done.exit_code, done.stdout) == (0, "active (enabled): listening: USB; today: on 3\n")
    systemctl(facts("failed"))
    done = invoke("status", "--user")
    assert (done.exit_code, done.stdout) == (1, "failed (enabled): nothing more is known\n")
    systemctl("LoadState=not-found\\nActiveState=inactive\\n")
    done = invoke("status", "--user")
    assert (done.exit_code, done.stdout) == (1, "not installed: hark service install --user\n")


def test_the_doctor_looks_at_the_service(systemctl: Callable[..., list[str]], tmp_path: Path) -> None:
    assert [(f.subject, f.state) for f in check_services()] == [("service", "ok")]
    unit = tmp_path / "config/systemd/user" / NAME
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    with subprocess.Popen(["sleep", "60"]) as other:  # not this process, in which other tests may have left a socket
        systemctl(facts("active", "listening: USB", other.pid))
        found = list(check_services())
        other.kill()
    assert [(f.subject, f.state) for f in found] == [("service", "ok"), ("network", "ok")]
    systemctl(facts("failed"))
    (finding,) = check_services()
    assert finding.state == "warning"
    assert finding.text.endswith(f"is failed: journalctl --user -u {NAME} -n 20")
    systemctl(status=1)
    assert [(f.subject, f.state) for f in check_services()] == [("service", "warning")]


def test_network_sockets_are_seen() -> None:
    before = network_sockets(os.getpid())
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.bind(("::1", 0))
        assert network_sockets(os.getpid()) == before + 2
        assert check_network(os.getpid()).state == "warning"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert network_sockets(os.getpid()) == before


def test_a_clock_that_was_never_set_is_found() -> None:
    assert check_clock(datetime(1970, 1, 1, tzinfo=UTC)).text.endswith("sudo timedatectl set-ntp true")
    assert check_clock(datetime.now(UTC)).subject == "clock"


def test_sound_cards_that_may_not_be_opened_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_permission(tmp_path)) == []
    (tmp_path / "pcmC0D0c").touch()
    assert list(check_permission(tmp_path)) == []
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = check_permission(tmp_path)
    assert "sudo usermod -aG audio " in finding.text


class Gives:
    """A microphone that gives one sound again and again."""

    live, name, rate_hz, channels = True, "Mic", 16_000, 1

    def __init__(self, sound: Any) -> None:
        self._sound = np.asarray(sound, np.int16)

    def __call__(self, _: str) -> "Gives":
        return self

    def open(self) -> "Gives":
        return self

    def read(self) -> Any:
        return Pcm(self._sound[:, None])

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("sound", "state", "words"),
    [
        (np.zeros(1280), "warning", "Mic: digital silence"),
        (np.tile([32_767, -32_768], 640), "warning", "Mic: clipping"),
        (np.random.default_rng(1).integers(-1000, 1000, 1280), "ok", "-35 dBFS from Mic"),
    ],
)
def test_the_doctor_listens(sound: Any, state: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_checks, "MicrophoneSource", Gives(sound))
    finding = check_level(InputDevice(0, "Mic", 1, 16_000, "ALSA", is_default=True))
    assert (finding.subject, finding.state) == ("level", state)
    assert words in finding.text
