"""From a configuration to what the daemon runs with: a source, a spotter, outputs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ..audio.microphone_source import MicrophoneSource
from ..audio.source import Source
from ..audio.sources import ArecordSource, FileSource, StdinSource, TcpSource
from ..errors import HarkError
from ..spotter import Spotter
from . import config as c
from .exec_hook import ExecHook
from .output import JsonLines, Output


@dataclass
class Setup:
    """What a configuration came to; nothing of it is open or started yet."""

    config: c.Config
    spotter: Spotter
    outputs: dict[str, Output]  # by the name of their section

    def open_source(self) -> Source:
        """The source of sound, to be opened."""
        return source_of(self.config.audio)


def set_up(path: Path) -> Setup:
    """Read a configuration and load what it names; raises HarkError, one line, for what cannot be used."""
    config = c.load(path)
    try:
        spotter = spotter_of(config)
        _check_commands(config, spotter.keywords)
    except HarkError as error:
        raise HarkError(f"{path}: {error}") from None
    return Setup(config, spotter, outputs_of(config))


def spotter_of(config: c.Config) -> Spotter:
    """The spotter that [model] and [detection] describe; HarkError for values that it refuses."""
    d = config.detection
    return Spotter(
        config.model.names,
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


def outputs_of(config: c.Config) -> dict[str, Output]:
    """The outputs whose sections are there, by their names."""
    outputs: dict[str, Output] = {}
    if config.stdout is not None:
        outputs["stdout"] = JsonLines()
    if config.exec is not None:
        outputs["exec"] = ExecHook(config.exec.run, config.exec.timeout_s, config.exec.at_most)
    return outputs


def _check_commands(config: c.Config, keywords: list[str]) -> None:
    """[exec] names keywords that can be heard, and programs that are there."""
    heard = config.model.keywords or keywords
    for keyword, command in config.exec.run.items() if config.exec else ():
        if keyword not in (*heard, c.EVERY_KEYWORD):
            raise HarkError(f"[exec] run: no keyword {keyword!r} is heard{c.nearest(keyword, heard)}")
        if shutil.which(command[0]) is None:
            raise HarkError(f"[exec] run: {keyword}: {command[0]}: no such program can be run")
