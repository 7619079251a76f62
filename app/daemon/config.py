"""The configuration of the daemon: a TOML file, typed; what is wrong with it is one line."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..errors import HarkError

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


class Config(Section, frozen=True):
    """The whole file; an output is on when its section is there."""

    audio: Audio = Microphone()
    model: Model = Model()
    detection: Detection = Detection()
    stdout: Stdout | None = None
    exec: Exec | None = None


_AUDIO = {str(kind.__struct_config__.tag): kind for kind in (Microphone, Arecord, Tcp, Stdin, File)}
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


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
        what, _, where = str(error).partition(" - at `$")
        raise HarkError(_explain(what, where.rstrip("`").lstrip("."), data)) from None


def _explain(what: str, where: str, data: dict[str, Any]) -> str:
    """msgspec's words for a place as those of a TOML file, with the nearest right key for a wrong one."""
    section, _, key = where.partition(".")
    place = f"[{section}] {key}".rstrip() + ": " if section else ""
    if unknown := _UNKNOWN.fullmatch(what):
        known = _keys(section, data)
        thing = f"there is no {'key' if section else 'section'} {unknown[1]!r}"
        return f"{place}{thing}{nearest(unknown[1], known)}"
    if missing := _MISSING.fullmatch(what):
        return f"{place}{missing[1]} is missing"
    if what.startswith("Invalid value") and key == "source":
        value = str(data["audio"]["source"])
        return f"{place}there is no source {value!r}{nearest(value, list(_AUDIO))}"
    words = what.replace("`", "").replace(" | null", "").replace("null", "nothing").replace("object", "table")
    return f"{place}{words[:1].lower()}{words[1:]}"


def _keys(section: str, data: dict[str, Any]) -> list[str]:
    if section == "audio":
        kind = _AUDIO[data["audio"]["source"]]
        return ["source", *(name for name in kind.__struct_fields__ if kind is not File or name != "channel")]
    kinds = {"": Config, "model": Model, "detection": Detection, "stdout": Stdout, "exec": Exec}
    return list(kinds[section].__struct_fields__)


def nearest(word: str, known: list[str]) -> str:
    """ "; did you mean ...?" where one of the known words is near, else what there is."""
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known) or 'none'}"


def _beside(config: Config, folder: Path) -> Config:
    audio, model = config.audio, config.model
    if isinstance(audio, File):
        audio = msgspec.structs.replace(audio, path=str(folder / audio.path))
    names = [str(folder / name) if name.endswith(".onnx") else name for name in model.names]
    return msgspec.structs.replace(config, audio=audio, model=msgspec.structs.replace(model, name=names))
