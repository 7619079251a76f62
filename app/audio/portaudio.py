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


def reason(error: Exception) -> str:
    """What PortAudio says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__
