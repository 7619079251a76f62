"""The configuration of the daemon: a TOML file, typed; what is wrong with it is one line."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..errors import HarkError
from .config_errors import explain
from .wyoming_place import Place
from .wyoming_place import check as check_place

Rate = Annotated[int, Meta(ge=8_000, le=192_000)]
Channels = Annotated[int, Meta(ge=1, le=64)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]
Override = float | dict[str, float] | None  # for all keywords, or keyword -> value
EVERY_KEYWORD = "*"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the file."""


class Microphone(Section, frozen=True, tag_field="source", tag="microphone"):
    """`[audio]`: an input device by its name or a part of it, None for the default one."""

    device: Text | None = None
    channel: Channels | None = None

    def __post_init__(self) -> None:
        if self.device is not None and self.device.isdigit():
            raise ValueError("device is a number, which means another device tomorrow; give a part of its name")


class Arecord(Section, frozen=True, tag_field="source", tag="arecord"):
    """`[audio]`: an ALSA device, as `arecord -L` names it."""

    device: Text = "default"
    rate_hz: Rate = 16_000
    channels: Channels = 1
    channel: Channels | None = None


class Tcp(Section, frozen=True, tag_field="source", tag="tcp"):
    """`[audio]`: a peer that sends raw int16 to whoever connects; address: HOST:PORT."""

    address: str
    rate_hz: Rate = 16_000
    channels: Channels = 1
    channel: Channels | None = None

    def __post_init__(self) -> None:
        _ = self.host_and_port

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address in its parts; ValueError where it is none."""
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"address is {self.address!r}; it must be HOST:PORT, as 127.0.0.1:4711")
        return host.strip("[]"), int(port)


class Stdin(Section, frozen=True, tag_field="source", tag="stdin"):
    """`[audio]`: raw int16 on standard input."""

    rate_hz: Rate = 16_000
    channels: Channels = 1
    channel: Channels | None = None


class File(Section, frozen=True, tag_field="source", tag="file"):
    """`[audio]`: a sound file, at full speed."""

    path: Text
    channel: None = None


Audio = Microphone | Arecord | Tcp | Stdin | File


class Model(Section, frozen=True):
    """`[model]`: installed models or files, one or several at once; the keywords to report, all if there are none."""

    name: Text | list[Text] = "commands"
    keywords: list[str] = []

    @property
    def names(self) -> list[str]:
        """The names, one or several."""
        return [self.name] if isinstance(self.name, str) else self.name


class Detection(Section, frozen=True):
    """`[detection]`: what takes the place of the model's own parameters, and whether quiet is spared the network."""

    sensitivity: Share | None = None
    threshold: Override = None
    smoothing_ms: Override = None
    rearm: Override = None
    refractory_ms: Override = None
    exclusion_ms: float | None = None
    gate: bool = False


class Stdout(Section, frozen=True):
    """`[stdout]`: each event as a line of JSON on standard output."""


class Exec(Section, frozen=True):
    """`[exec]`: a program for a keyword, or for "*", all that have none; never a shell."""

    run: Annotated[dict[str, Annotated[list[str], Meta(min_length=1)]], Meta(min_length=1)]
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    at_most: Annotated[int, Meta(ge=1, le=64)] = 4

    def __post_init__(self) -> None:
        for keyword, command in self.run.items():
            if not command[0] or any("\0" in argument for argument in command):
                raise ValueError(f"run: {keyword}: the program has no name, or a zero byte is in what it is given")


class Preroll(Section, frozen=True):
    """`[preroll]`: programs and HTTP can have the sound around a detection, seconds before and after its end."""

    before_s: Annotated[float, Meta(ge=0, le=10)] = 2.0
    after_s: Annotated[float, Meta(ge=0, le=15)] = 5.0


class Feedback(Section, frozen=True):
    """`[feedback]`: what was a false wake is kept in a folder, so many seconds each, the newest max_mb of them."""

    folder: Text
    seconds: Annotated[float, Meta(ge=1, le=15)] = 5.0
    max_mb: Annotated[float, Meta(ge=1)] = 50.0


class Chime(Section, frozen=True):
    """`[chime]`: a tone for each event; device: a part of an output device's name, None for the default one."""

    device: Text | None = None


class Http(Section, frozen=True):
    """`[http]`: where it listens, names it is reached by beside its own, and the file of the token that it asks for."""

    address: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8760
    hosts: list[Text] = []
    token_file: Text | None = None

    def __post_init__(self) -> None:
        _ = self.is_open  # raises for a wrong address

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it; ValueError where the address is none."""
        try:
            return not ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            raise ValueError(f"address is {self.address!r}; it must be an IP address, as 127.0.0.1 or ::") from None


class Mqtt(Section, frozen=True):
    """`[mqtt]`: a broker; topic: of all that is published; discovery: Home Assistant's prefix, "" for none.

    keep_s: how long an event waits for a broker that is away.
    """

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    user: Text | None = None
    password_file: Text | None = None
    tls: bool = False
    ca_file: Text | None = None
    topic: Text = "tinyhark"
    discovery: str = "homeassistant"
    keep_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0

    def __post_init__(self) -> None:
        for name in ("topic", "discovery"):
            value = getattr(self, name)
            if set("+#\0") & set(value) or value.startswith(("/", "$")) or value.endswith("/"):
                raise ValueError(f"{name} is {value!r}; it has no +, #, and no / or $ at its ends, as home/kitchen")
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file needs a user, too")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls = true")


class Wyoming(Section, frozen=True):
    """`[wyoming]`: a wake-word service for others' sound: tcp://HOST:PORT or unix://PATH; allow: their networks.

    zeroconf: whether it is announced in the local network.
    """

    uri: Text = "tcp://127.0.0.1:10400"
    allow: list[str] = []
    zeroconf: bool = False

    def __post_init__(self) -> None:
        check_place(self.uri, self.allow, zeroconf=self.zeroconf)
        if self.place.is_stdio:
            raise ValueError("uri is stdio://, which the daemon has other uses for; `hark wyoming` serves it")

    @property
    def place(self) -> Place:
        """The uri in its parts."""
        return Place.parse(self.uri)


class Config(Section, frozen=True):
    """The whole file; an output is on when its section is there."""

    audio: Audio = Microphone()
    model: Model = Model()
    detection: Detection = Detection()
    stdout: Stdout | None = None
    exec: Exec | None = None
    preroll: Preroll | None = None
    feedback: Feedback | None = None
    chime: Chime | None = None
    http: Http | None = None
    mqtt: Mqtt | None = None
    wyoming: Wyoming | None = None


_AUDIO = {str(kind.__struct_config__.tag): kind for kind in (Microphone, Arecord, Tcp, Stdin, File)}


def load(path: Path) -> Config:
    """Read a configuration file; relative paths in it count from its folder. Raises HarkError with what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise HarkError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise HarkError(f"{path}: is no UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise HarkError(f"{path}: is no TOML: {error}") from None
    try:
        config = parse(data)
    except HarkError as error:
        raise HarkError(f"{path}: {error}") from None
    return _beside(config, path.resolve().parent)


def parse(data: dict[str, Any]) -> Config:
    """A configuration from what TOML holds; raises HarkError with what is wrong, without the file's name."""
    audio = data.get("audio", {})
    if isinstance(audio, dict):
        data = data | {"audio": {"source": "microphone"} | audio}
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise HarkError(explain(error, data, lambda place: _known(place, data))) from None


def _known(place: str, data: dict[str, Any]) -> list[str]:
    """The keys of a section, the sections of the file for "", the sources of `audio.source`."""
    if place == "audio.source":
        return list(_AUDIO)
    if place == "audio":
        kind = _AUDIO[data["audio"]["source"]]
        return ["source", *(name for name in kind.__struct_fields__ if kind is not File or name != "channel")]
    kinds = {"": Config, "model": Model, "detection": Detection, "stdout": Stdout, "exec": Exec, "http": Http}
    kinds |= {"mqtt": Mqtt, "wyoming": Wyoming, "preroll": Preroll, "feedback": Feedback, "chime": Chime}
    return list(kinds[place].__struct_fields__)


def _beside(config: Config, folder: Path) -> Config:
    """With each path of a file or folder as one from `folder`."""
    keys = {"audio": ["path"], "feedback": ["folder"], "http": ["token_file"], "mqtt": ["password_file", "ca_file"]}
    changed: dict[str, Any] = {}
    for name, paths in keys.items():
        section = getattr(config, name)
        given = {key: str(folder / value) for key in paths if (value := getattr(section, key, None)) is not None}
        changed[name] = msgspec.structs.replace(section, **given) if given else section
    wyoming = config.wyoming
    if wyoming is not None and wyoming.place.path:
        changed["wyoming"] = msgspec.structs.replace(wyoming, uri=f"unix://{folder / wyoming.place.path}")
    names = [str(folder / name) if name.endswith(".onnx") else name for name in config.model.names]
    model = msgspec.structs.replace(config.model, name=names)
    return msgspec.structs.replace(config, model=model, **changed)
