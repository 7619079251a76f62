"""tinyhark: an always-on keyword spotter. Sound in, keyword events out, on the device."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyhark.dsp.front_end import FrontEnd

    from .detection import Detection
    from .model import Model
    from .spotter import Spotter

    __version__: str

# Before onnxruntime is imported anywhere: from 1.29 on it reports each session to Microsoft and numbers the device.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Detection", "FrontEnd", "Model", "Spotter", "__version__"]

_HOMES = {
    "Detection": "tinyhark.app.detection",
    "FrontEnd": "tinyhark.dsp.front_end",
    "Model": "tinyhark.app.model",
    "Spotter": "tinyhark.app.spotter",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `hark` must start without numpy and onnxruntime."""
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("tinyhark")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
