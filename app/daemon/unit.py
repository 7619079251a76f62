"""The systemd unit of the daemon: hardened, without network unless the configuration needs one."""

from dataclasses import dataclass
from pathlib import Path

from .config import Config, Tcp

NAME = "tinyhark.service"

_COMMON = """\
[Unit]
Description=tinyhark, a keyword spotter

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} daemon --config {config}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
# A microphone that is not there is waited for; status says so.
TimeoutStartSec=infinity
TimeoutStopSec=10
WatchdogSec=30
# /run/hark, or a user's $XDG_RUNTIME_DIR/hark, is there while it runs, for the socket of [wyoming].
RuntimeDirectory=hark

NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies={families}
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""

_SYSTEM = """\

DynamicUser=yes
SupplementaryGroups=audio
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=char-alsa rw
CapabilityBoundingSet=
AmbientCapabilities=
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RemoveIPC=yes
{network}{folder}
[Install]
WantedBy=multi-user.target
"""

_USER = """\

[Install]
WantedBy=default.target
"""


_FOLDER = "StateDirectory=tinyhark\nStateDirectoryMode=0700\n"  # feedback.STATE_FOLDER may be written


@dataclass(frozen=True)
class Network:
    """What the daemon may do on the network."""

    families: str
    rules: str


_NONE = Network("AF_UNIX", "PrivateNetwork=yes\nIPAddressDeny=any\n")
_SOME = Network("AF_UNIX AF_INET AF_INET6 AF_NETLINK", "")


def network_of(config: Config) -> Network:
    """No network, unless a section of the configuration is about one."""
    talks = (
        isinstance(config.audio, Tcp),
        config.http is not None,
        config.mqtt is not None,
        config.wyoming is not None and bool(config.wyoming.place.host),
    )
    return _SOME if any(talks) else _NONE


def unit_text(program: Path, config_path: Path, config: Config, *, user: bool) -> str:
    """The unit file: of a user's own manager, or of the system with a user of its own."""
    network = network_of(config)
    folder = "" if config.feedback is None else _FOLDER
    text = _COMMON.format(program=_quoted(program), config=_quoted(config_path), families=network.families)
    return text + (_USER if user else _SYSTEM.format(network=network.rules, folder=folder))


def _quoted(path: Path) -> str:
    """A path as systemd reads it in a command line."""
    text = str(path).replace("%", "%%").replace("$", "$$")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if set(text) & set(" \t\"'\\;") else text
