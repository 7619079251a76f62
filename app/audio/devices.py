"""The input devices that PortAudio sees, and the choice of one by its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import AudioError
from ..text import printable
from .portaudio import reason


@dataclass(frozen=True, slots=True)
class InputDevice:
    """One input device; index: PortAudio's number of it, which another device has after the next change."""

    index: int
    name: str
    channels: int
    rate_hz: int
    host: str
    is_default: bool


def input_devices(portaudio: Any) -> list[InputDevice]:
    """All input devices, the default one first; raises AudioError where they cannot be listed."""
    try:
        hosts = [host["name"] for host in portaudio.query_hostapis()]
        found = list(_inputs(portaudio.query_devices(), hosts, portaudio.default.device[0]))
    except portaudio.PortAudioError as error:
        raise AudioError(f"microphone: the sound devices cannot be listed: {reason(error)}") from None
    return sorted(found, key=lambda device: not device.is_default)


def _inputs(devices: Any, hosts: list[str], default: int) -> Iterator[InputDevice]:
    for index, device in enumerate(devices):
        if device["max_input_channels"] > 0:
            name, host = printable(device["name"]), hosts[device["hostapi"]]
            rate_hz = round(device["default_samplerate"])
            yield InputDevice(index, name, device["max_input_channels"], rate_hz, host, index == default)


def choose(devices: list[InputDevice], name: str | None) -> InputDevice:
    """The default device, or the one of that name, or the only one with that in its name, whatever the case.

    Raises AudioError where there is none, or several.
    """
    if not devices:
        raise AudioError("microphone: there is no input device; connect one, or see hark doctor")
    if name is None:
        return devices[0]
    wanted = name.casefold()
    found = [device for device in devices if device.name.casefold() == wanted]
    found = found or [device for device in devices if wanted in device.name.casefold()]
    if len({device.name for device in found}) == 1:  # several systems may offer the same device
        return found[0]
    names = "; ".join(dict.fromkeys(device.name for device in found or devices))
    if found:
        raise AudioError(f"device {name!r}: {len(found)} input devices have it in their name; give more of it: {names}")
    raise AudioError(f"device {name!r}: no input device has it in its name; there are: {names}")
