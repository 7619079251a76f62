"""What `hark doctor` asks of the sound: PortAudio, devices, permission, rate, level, each with what mends it."""

import getpass
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..errors import AudioError
from ..finding import Finding
from .devices import InputDevice, choose, input_devices
from .health import Second, complaint_of
from .intake import Intake
from .microphone_source import MicrophoneSource
from .portaudio import load_portaudio

_LISTENED_S = 2.0
_WAITED_S = 8.0
_SUBJECT = "microphone"


def check_sound(folder: Path = Path("/dev/snd")) -> Iterator[Finding]:
    """PortAudio and the microphones that it sees; without them everything but live sound works."""
    try:
        devices = input_devices(load_portaudio())
    except AudioError as error:
        yield Finding(_SUBJECT, "warning", str(error))
        return
    except ImportError:
        yield Finding(_SUBJECT, "warning", "pip install sounddevice")
        return
    yield from check_permission(folder)
    if not devices:
        yield Finding(_SUBJECT, "warning", "none found: connect one, or start the sound server")
        return
    default = choose(devices, None)
    for device in devices:
        yield _rate_of(device, ", the default" if device == default else "")
    yield check_level(default)


def check_permission(folder: Path) -> Iterator[Finding]:
    """Whether this user may open the sound cards there are."""
    cards = sorted(folder.glob("pcm*c"))
    if cards and not any(os.access(card, os.R_OK | os.W_OK) for card in cards):
        user = getpass.getuser()
        mend = f"sudo usermod -aG audio {user}, then log in again"
        yield Finding("permission", "warning", f"{user} may not open the sound cards in {folder}: {mend}")


def _rate_of(device: InputDevice, mark: str) -> Finding:
    facts = f"{device.name}: {device.channels} channels, {device.rate_hz} Hz{mark}"
    if device.rate_hz < SAMPLE_RATE_HZ:
        return Finding(
            _SUBJECT,
            "warning",
            f"{facts}; below 16000 Hz words lose their consonants: choose another profile or device",
        )
    return Finding(_SUBJECT, "ok", facts)


def check_level(device: InputDevice) -> Finding:
    """Listen to a device for two seconds and judge what it gives."""
    subject = "level"
    sound: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
    try:
        with Intake(MicrophoneSource(device.name)) as intake:
            waited = 0
            for block in intake.blocks():
                sound.append(block.samples)
                waited += not len(block.samples)
                if sum(map(len, sound)) >= _LISTENED_S * SAMPLE_RATE_HZ or waited > _WAITED_S / 0.25:
                    break
    except AudioError as error:
        return Finding(subject, "warning", f"{error}; who has it open: fuser -v /dev/snd/*")
    heard = np.concatenate(sound)
    if not len(heard):
        return Finding(
            subject, "warning", f"{device.name} gives no sound at all: plug it in again, or restart the sound server"
        )
    if complaint := complaint_of([Second.of(half) for half in np.array_split(heard, 2)]):
        return Finding(subject, "warning", f"{device.name}: {complaint}: {_mixer()}")
    return Finding(subject, "ok", f"{Second.of(heard).dbfs:.0f} dBFS from {device.name}")


def _mixer() -> str:
    """The command that sets the volume of a microphone here."""
    if shutil.which("wpctl"):
        return "wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 0; wpctl set-volume @DEFAULT_AUDIO_SOURCE@ 80%"
    if shutil.which("pactl"):
        return "pactl set-source-mute @DEFAULT_SOURCE@ 0; pactl set-source-volume @DEFAULT_SOURCE@ 80%"
    return "alsamixer, F4 for the microphones, M to unmute"
