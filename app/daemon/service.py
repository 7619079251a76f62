"""The daemon as a service of systemd: installed, removed, asked."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..atomic import write_text
from ..errors import HarkError
from .setup import check_files, set_up
from .unit import NAME, unit_text

_FACTS = ("LoadState", "ActiveState", "UnitFileState", "StatusText", "MainPID", "FragmentPath")
_HOMES = (Path("/home"), Path("/root"))
_FIRST_CONFIG = """\
# Configuration of hark daemon; docs/daemon.md says what can stand here.
# After a change: hark daemon --check --config THIS_FILE, then systemctl reload tinyhark (--user for one's own).

[audio]
# device = "USB"        # a part of the name, as hark devices gives it

[model]
name = "commands"

[stdout]                # each event as a line of JSON, for the journal
"""


@dataclass(frozen=True)
class Service:
    """A service of the system or of a user: its unit file, the usual place of its configuration, whose it is."""

    unit: Path
    config: Path
    user: bool

    @classmethod
    def of_system(cls) -> "Service":
        """The service of the system."""
        return cls(Path("/etc/systemd/system") / NAME, Path("/etc/tinyhark/hark.toml"), user=False)

    @classmethod
    def of_user(cls) -> "Service":
        """The service of this user; raises HarkError for one without a home folder."""
        try:
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        except RuntimeError:
            raise HarkError("the service: this user has no home folder; set XDG_CONFIG_HOME to a folder") from None
        return cls(home / "systemd" / "user" / NAME, home / "tinyhark" / "hark.toml", user=True)

    @property
    def journal(self) -> str:
        """The command that shows its log."""
        return f"journalctl {'--user ' * self.user}-u {NAME}"

    def make_config(self, path: Path) -> bool:
        """Write a simple configuration where there is none -> whether there was none."""
        if path.exists():
            return False
        write_text(path, _FIRST_CONFIG)
        return True

    def check_systemd(self) -> None:
        """Raises HarkError where no systemd answers, which could not run what is installed."""
        try:
            self._control("show", "--property=Version")
        except HarkError as error:
            way_out = "nothing was written; without systemd, start hark daemon --config FILE"
            raise HarkError(f"{error}; {way_out}") from None

    def write_unit(self, program: Path, config: Path) -> None:
        """Check the configuration and write the unit; raises HarkError for what cannot be done."""
        setup = set_up(config)
        check_files(config, setup.config)
        write_text(self.unit, unit_text(program, config, setup.config, user=self.user))

    def start(self) -> None:
        """Start it, now and with the machine; raises HarkError for what systemd refuses."""
        self._control("daemon-reload")
        self._control("enable", NAME)
        self._control("restart", "--no-block", NAME)  # a microphone that is not there is waited for

    def uninstall(self) -> None:
        """Stop it and remove the unit; raises HarkError where it is not installed."""
        if not self.unit.exists():
            raise HarkError(f"{self.unit}: is not there; the service is not installed")
        self._control("disable", "--now", NAME)
        try:
            self.unit.unlink()
        except OSError as error:
            raise HarkError(f"{self.unit}: cannot be removed: {error.strerror}") from None
        self._control("daemon-reload")

    def facts(self) -> dict[str, str]:
        """What systemd knows of it, by systemd's names; raises HarkError where there is no systemd."""
        lines = self._control("show", NAME, *(f"--property={name}" for name in _FACTS)).splitlines()
        return dict.fromkeys(_FACTS, "") | dict(line.split("=", 1) for line in lines if "=" in line)

    def _control(self, *arguments: str) -> str:
        command = ["systemctl", *(["--user"] if self.user else []), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        except FileNotFoundError:
            raise HarkError("systemctl: is not installed") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HarkError(f"systemctl {arguments[0]}: {error}") from None
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
            raise HarkError(f"systemctl {arguments[0]}: {said}")
        return done.stdout


def installed_program(*, user: bool) -> Path:
    """The command hark of this installation, for a unit; raises HarkError where the service could not run it."""
    program = Path(sys.executable).with_name("hark")
    if not program.exists():
        raise HarkError(f"{program}: is not there; install tinyhark into an environment of its own: docs/install.md")
    if not user and any(program.resolve().is_relative_to(home) for home in _HOMES):
        raise HarkError(
            f"{program}: lies in a home folder, which a service of the system cannot read; "
            "install tinyhark in /opt/tinyhark, or give --user"
        )
    return program
