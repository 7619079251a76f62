"""The sound devices of this machine, through the module sounddevice."""

from typing import Any

from ..errors import AudioError


def load_portaudio() -> Any:
    """The module sounddevice; raises AudioError where the library that it needs is missing."""
    try:
        import sounddevice
    except OSError:
        raise AudioError(
            "sound devices: the PortAudio library is not installed; "
            "install it (Debian and Ubuntu: sudo apt install libportaudio2; macOS: brew install portaudio)"
        ) from None
    return sounddevice


def find_input(portaudio: Any, name: str | None) -> tuple[int, dict[str, Any]]:
    """Index and description of the default input device, or of the one with that number or that part of its name.

    Raises AudioError when there is no input device, none of that name, or several.
    """
    try:
        devices = [dict(device) for device in portaudio.query_devices()]
    except portaudio.PortAudioError as error:
        raise AudioError(f"microphone: the sound devices cannot be listed: {reason(error)}") from None
    inputs = [index for index, device in enumerate(devices) if device["max_input_channels"] > 0]
    if not inputs:
        raise AudioError("microphone: there is no input device; connect one, or allow this user to use sound")
    if name is None:
        default = portaudio.default.device[0]
        index = default if default in inputs else inputs[0]
        return index, devices[index]
    wanted = name.casefold()
    exact = [index for index in inputs if wanted in (str(index), devices[index]["name"].casefold())]
    found = exact or [index for index in inputs if wanted in devices[index]["name"].casefold()]
    if len(found) == 1:
        return found[0], devices[found[0]]
    names = "; ".join(f"{index} {devices[index]['name']}" for index in found or inputs)
    if found:
        raise AudioError(f"device {name!r}: {len(found)} input devices have it in their name; give one number: {names}")
    raise AudioError(f"device {name!r}: no input device has it in its name; there are: {names}")


def reason(error: Exception) -> str:
    """What PortAudio says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__
