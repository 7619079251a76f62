"""From a configuration to what the daemon runs with: a source, a spotter, outputs."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..audio.files import open_sound
from ..audio.microphone_source import MicrophoneSource
from ..audio.source import Source
from ..audio.sources import ArecordSource, FileSource, StdinSource, TcpSource
from ..errors import AudioError, HarkError
from ..model import Model
from ..spotter import Spotter
from ..text import nearest
from . import config as c
from .chime import Chime
from .control import Control
from .exec_hook import ExecHook
from .feedback import Feedback, check_folder
from .output import JsonLines, Output
from .wyoming_place import check as check_place

if TYPE_CHECKING:
    from .mqtt import Mqtt

TOKEN_CHARACTERS = 32


@dataclass
class Setup:
    """What a configuration came to; nothing of it is open or started yet."""

    config: c.Config
    spotter: Spotter
    outputs: dict[str, Output]  # by the name of their section
    control: Control

    def open_source(self) -> Source:
        """The source of sound, to be opened."""
        return source_of(self.config.audio)


def set_up(path: Path, control: Control | None = None) -> Setup:
    """Read a configuration and load what it names; raises HarkError, one line, for what cannot be used.

    control: that of the daemon, which stays the same when the configuration is read again.
    """
    config = c.load(path)
    control = control or Control()
    try:
        spotter = spotter_of(config)
        _check_commands(config, spotter.keywords)
        outputs = outputs_of(config, control, spotter)
    except HarkError as error:
        raise HarkError(f"{path}: {error}") from None
    return Setup(config, spotter, outputs, control)


def check_files(path: Path, config: c.Config) -> None:
    """What must be there when it runs: the sound file, a folder for feedback; raises HarkError, one line with the key.

    path: of the configuration. `set_up` leaves this to the run, whose user and time may be others.
    """
    try:
        if isinstance(config.audio, c.File):
            _check_sound(Path(config.audio.path))
        if config.feedback is not None:
            check_folder(Path(config.feedback.folder))
    except HarkError as error:
        raise HarkError(f"{path}: {error}") from None


def retire(path: Path) -> str:
    """Have the broker of a configuration keep nothing of its topic -> what was done, for a person.

    Raises HarkError where there is no [mqtt], the broker cannot be reached, or a daemon still publishes there.
    """
    mqtt = c.load(path).mqtt
    try:
        if mqtt is None:
            raise HarkError("has no [mqtt], which names the broker and the topic; put it back until this is done")
        _mqtt(mqtt, Control(), []).clear()
    except HarkError as error:
        raise HarkError(f"{path}: {error}") from None
    return f"{mqtt.host}: nothing is kept below {mqtt.topic} any more; Home Assistant forgets the device"


def spotter_of(config: c.Config, models: Sequence[Model] = ()) -> Spotter:
    """The spotter that [model] and [detection] describe; HarkError for values that it refuses.

    models: those of the configuration, where they are loaded already.
    """
    d = config.detection
    return Spotter(
        models or config.model.names,
        sensitivity=d.sensitivity,
        threshold=d.threshold,
        smoothing_ms=d.smoothing_ms,
        rearm=d.rearm,
        refractory_ms=d.refractory_ms,
        exclusion_ms=d.exclusion_ms,
        keywords=config.model.keywords,
        gate=d.gate,
    )


def source_of(audio: c.Audio) -> Source:
    """The source that [audio] describes."""
    match audio:
        case c.Microphone():
            return MicrophoneSource(audio.device, audio.channel)
        case c.Arecord():
            return ArecordSource(audio.device, audio.rate_hz, audio.channels)
        case c.Tcp():
            return TcpSource(*audio.host_and_port, audio.rate_hz, audio.channels)
        case c.Stdin():
            return StdinSource(audio.rate_hz, audio.channels)
        case c.File():
            return FileSource(Path(audio.path))


def outputs_of(config: c.Config, control: Control, spotter: Spotter) -> dict[str, Output]:
    """The outputs whose sections are there, by their names; raises HarkError for what one lacks."""
    outputs: dict[str, Output] = {}
    if config.stdout is not None:
        outputs["stdout"] = JsonLines()
    if config.exec is not None:
        hook = config.exec
        outputs["exec"] = ExecHook(hook.run, hook.timeout_s, hook.at_most, control.sound_of)
    if config.feedback is not None:
        max_bytes = round(1e6 * config.feedback.max_mb)
        outputs["feedback"] = Feedback(Path(config.feedback.folder), config.feedback.seconds, max_bytes, control)
    if config.chime is not None:
        outputs["chime"] = Chime(config.chime.device)
    if config.http is not None:
        outputs["http"] = _http(config.http, control)
    if config.mqtt is not None:
        outputs["mqtt"] = _mqtt(config.mqtt, control, config.model.keywords or spotter.keywords)
    if config.wyoming is not None:
        outputs["wyoming"] = _wyoming(config, spotter)
    return outputs


def _http(http: c.Http, control: Control) -> Output:
    with _libraries("http"):
        from .http_output import HttpOutput
    token = None
    if http.token_file is not None:
        token = _token("[http] token_file", Path(http.token_file))
    elif credential := _credential("http-token"):
        token = _token("[http] credential", credential)
    elif http.is_open:
        raise HarkError(
            f"[http]: address {http.address} can be reached by other machines: it needs a token_file, "
            "or systemd's credential http-token"
        )
    return HttpOutput(http.address, http.port, http.hosts, token, control)


def _mqtt(mqtt: c.Mqtt, control: Control, keywords: list[str]) -> "Mqtt":
    import ssl  # 2 MB that a daemon without it does without

    with _libraries("mqtt"):
        from .mqtt import Mqtt
        from .mqtt_broker import Broker
    port = mqtt.port or (8883 if mqtt.tls else 1883)
    try:
        tls = ssl.create_default_context(cafile=mqtt.ca_file) if mqtt.tls else None
    except OSError as error:
        raise HarkError(f"[mqtt] ca_file: {mqtt.ca_file}: cannot be used: {error.strerror or error}") from None
    password = _password(mqtt)
    broker = Broker(mqtt.host, port, mqtt.user, password, tls, mqtt.topic, mqtt.discovery, mqtt.keep_s)
    return Mqtt(broker, keywords, control)


def _password(mqtt: c.Mqtt) -> str | None:
    """The one in the file that is named, in the environment, or that systemd hands over; HarkError as `_secret`."""
    if mqtt.password_file is not None:
        return _secret("[mqtt] password_file", Path(mqtt.password_file), "UTF-8").rstrip("\n")
    if (given := os.environ.get("HARK_MQTT_PASSWORD")) is not None:
        return given
    if credential := _credential("mqtt-password"):
        return _secret("[mqtt] credential", credential, "UTF-8").rstrip("\n")
    return None


def _credential(name: str) -> Path | None:
    """The file in which systemd hands a credential over (LoadCredential=), None where it does not."""
    path = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), name)
    return path if path.is_absolute() and path.exists() else None


def _wyoming(config: c.Config, spotter: Spotter) -> Output:
    assert config.wyoming
    with _libraries("wyoming"):
        from .wyoming_output import WyomingOutput
        from .wyoming_service import WyomingService, announcer

        announce = announcer() if config.wyoming.zeroconf else None
    place, allow = check_place(config.wyoming.uri, config.wyoming.allow)
    keywords = config.model.keywords or spotter.keywords
    return WyomingOutput(WyomingService(place, allow, lambda: spotter_of(config, spotter.models), keywords, announce))


def _token(key: str, path: Path) -> str:
    """The token in a file; HarkError where there is none that cannot be guessed."""
    token = _secret(key, path, "ASCII").strip()
    if len(token) < TOKEN_CHARACTERS or not token.isprintable():
        raise HarkError(
            f"{key}: {path}: must hold one line of at least {TOKEN_CHARACTERS} characters: "
            f"openssl rand -hex {TOKEN_CHARACTERS // 2}"
        )
    return token


@contextmanager
def _libraries(section: str) -> Iterator[None]:
    """Around the imports of a section's own libraries: HarkError that says how to get one that is missing."""
    try:
        yield
    except ImportError as error:
        raise HarkError(f"[{section}] needs {error.name}; pip install 'tinyhark[daemon]'") from None


def _secret(key: str, path: Path, encoding: str) -> str:
    """What stands in the file that a key names; HarkError where it cannot be read."""
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError:
        reason = f"it is no {encoding} text"
    except (OSError, ValueError) as error:  # a zero byte in its name is the latter
        reason = getattr(error, "strerror", None) or str(error)
    raise HarkError(f"{key}: {path}: cannot be read: {reason}")


def _check_sound(path: Path) -> None:
    try:
        open_sound(path).close()
    except AudioError as error:
        raise HarkError(f"[audio] path: {error}") from None


def _check_commands(config: c.Config, keywords: list[str]) -> None:
    """[exec] names keywords that can be heard, and programs that are there."""
    heard = config.model.keywords or keywords
    for keyword, command in config.exec.run.items() if config.exec else ():
        if keyword not in (*heard, c.EVERY_KEYWORD):
            raise HarkError(f"[exec] run: no keyword {keyword!r} is heard{nearest(keyword, heard)}")
        if shutil.which(command[0]) is None:
            raise HarkError(f"[exec] run: {keyword}: {command[0]}: no such program can be run")
