"""A sound server of our own as the edge of the machine: what is played into it is heard by its microphone.

`conftest.py` registers this file as a plugin.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAMS = ("pulseaudio", "paplay", "pactl", "arecord")
WAIT_S = 90
ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


class SoundServerError(Exception):
    """It does not start here; says why."""


class SoundServer:
    """A PulseAudio with a null sink "mic", whose monitor is the default source.

    environment: with which a program finds it, and no other one.
    """

    def __init__(self, folder: Path, rate_hz: int) -> None:
        (folder / "run").mkdir(mode=0o700)
        (folder / ".asoundrc").write_text(ASOUNDRC)
        self.environment = os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}
        self._rate_hz, self._folder = rate_hz, folder
        self.start()

    def start(self) -> None:
        modules = ("module-native-protocol-unix", f"module-null-sink sink_name=mic rate={self._rate_hz}")
        loads = [f"--load={module}" for module in modules]
        with (self._folder / "pulse.log").open("a") as log:
            self._process = subprocess.Popen(
                ["pulseaudio", "-n", "--exit-idle-time=-1", *loads], env=self.environment, stdout=log, stderr=log
            )
        due_s = time.monotonic() + WAIT_S
        while subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > due_s:
                said = (self._folder / "pulse.log").read_text()[-300:]
                raise SoundServerError(f"PulseAudio does not start here: {said}")
            time.sleep(0.2)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)

    def play(self, path: Path) -> None:
        subprocess.run(["paplay", "-d", "mic", str(path)], env=self.environment, check=True, timeout=WAIT_S)


def missing_programs() -> str:
    """The programs that are not installed, and where they are; empty where all are."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (Debian: pulseaudio pulseaudio-utils alsa-utils)" if missing else ""


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[Callable[[int], SoundServer]]:
    """`sound_server(rate_hz)`: a SoundServer that ends with the test; skips where there are no programs for it."""
    if missing := missing_programs():
        pytest.skip(missing)
    running: list[SoundServer] = []

    def start(rate_hz: int) -> SoundServer:
        try:
            running.append(SoundServer(tmp_path, rate_hz))
        except SoundServerError as error:
            pytest.skip(str(error))
        return running[-1]

    yield start
    for server in running:
        server.stop()
