"""The end of a process that was started to capture sound."""

import subprocess
from contextlib import suppress

_GRACE_S = 1.0
_KILLED_S = 5.0


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it, by force if need be; a process that hangs in a driver even then is left to the system."""
    for signal, patience_s in ((process.terminate, _GRACE_S), (process.kill, _KILLED_S)):
        signal()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            break
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
