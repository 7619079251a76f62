"""Sources of sound: pipes, a TCP peer, arecord and the capture process, each real but for the device behind it."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyhark.app.audio.microphone_source import MicrophoneSource
from tinyhark.app.audio.pipes import RawStream
from tinyhark.app.audio.source import Opened, Pcm
from tinyhark.app.audio.sources import ArecordSource, FileSource, TcpSource
from tinyhark.app.errors import AudioError

SOUND = np.random.default_rng(5).integers(-9000, 9000, 40_000).astype(np.int16)
WAIT_S = 60  # for a process on a busy machine

# Stands for the module sounddevice in the capture process: an eight-channel device that takes no other number.
FAKE_SOUNDDEVICE = """
import os, sys, time
import numpy as np
class PortAudioError(Exception): pass
class default: device = (0, -1)
def query_hostapis(): return [{"name": "ALSA"}]
def query_devices():
    name = os.environ.get("FAKE_DEVICE", "Array")
    return [{"name": name, "max_input_channels": 8, "default_samplerate": 48000.0, "hostapi": 0}] if name else []
class RawInputStream:
    read_available = 0
    def __init__(self, channels, samplerate, dtype, **settings):
        assert dtype == "int16" and samplerate == 48000 and "callback" not in settings
        if channels != 8: raise PortAudioError("Invalid number of channels")
        self.n = 0
    def start(self):
        print("a library that talks")
        os.write(1, b"and writes")
        if os.environ.get("FAKE_BUSY"): raise PortAudioError("Device unavailable [PaErrorCode -9985]")
    def read(self, frames):
        self.n += 1
        if self.n > int(os.environ.get("FAKE_READS", "3")):
            if os.environ.get("FAKE_HANGS"): time.sleep(600)
            raise PortAudioError("Unanticipated host error")
        data = np.full((frames, 8), self.n, np.int16)
        data[:, 7] = -self.n
        return data.tobytes(), self.n == 2
"""


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The capture process finds the fake device; its environment is to be changed by what this gives."""
    (tmp_path / "sounddevice.py").write_text(FAKE_SOUNDDEVICE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return monkeypatch


def collected(stream: Opened) -> Iterator[Pcm]:
    """All that comes, to the end or the error."""
    due_s = time.monotonic() + WAIT_S
    while (pcm := stream.read()) is not None:
        assert time.monotonic() < due_s
        if len(pcm.data):
            yield pcm


@pytest.mark.usefixtures("device")
def test_a_capture_process_gives_the_device_s_own_sound() -> None:
    stream = MicrophoneSource("arr", channel=8).open()
    assert (stream.name, stream.rate_hz, stream.channels) == ("Array", 48_000, 8)
    got = []
    with pytest.raises(AudioError, match=r"^microphone Array: gives no more sound: Unanticipated host error$"):
        got.extend(collected(stream))
    stream.close()
    assert [(pcm.data[0, 0], pcm.data[0, 7], pcm.overflowed) for pcm in got[:2]] == [(1, -1, False), (2, -2, True)]
    assert [pcm.data.shape for pcm in got] == [(9600, 8)] * 3


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FAKE_BUSY", "1", "microphone Array: cannot be opened: Device unavailable"),
        ("FAKE_DEVICE", "", "microphone: there is no input device; "),
        ("FAKE_DEVICE", "Other", "device 'arr': no input device has it in its name; there are: Other"),
    ],
)
def test_what_a_capture_process_cannot_open_is_one_line(
    device: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    device.setenv(variable, value)
    with pytest.raises(AudioError) as error:
        MicrophoneSource("arr").open()
    assert str(error.value).startswith(words)


@pytest.mark.usefixtures("device")
def test_a_capture_process_without_portaudio_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    with pytest.raises(AudioError, match="libportaudio2"):
        MicrophoneSource().open()


@pytest.mark.usefixtures("device")
def test_a_capture_process_that_breaks_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("import os; os.abort()")
    with pytest.raises(AudioError, match=r"^microphone: the capture process did not open it; see hark doctor$"):
        MicrophoneSource().open()


def test_a_device_that_hangs_is_left(device: pytest.MonkeyPatch) -> None:
    device.setenv("FAKE_HANGS", "1")
    stream = MicrophoneSource().open()
    got = collected(stream)
    assert len([next(got) for _ in range(3)]) == 3
    pcm = stream.read()
    assert pcm is not None
    assert pcm.data.shape == (0, 8)
    stream.close()
    stream._process.wait(0)


def test_raw_sound_is_cut_into_blocks_of_whole_frames() -> None:
    reading, writing = os.pipe()
    stream = RawStream("pipe", 16_000, 2, reading, lambda: os.close(reading), why_ended=None)
    data = SOUND.tobytes() + b"\x01"  # ends inside a frame

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for first in range(0, len(data), 777):
                pipe.write(data[first : first + 777])

    threading.Thread(target=write, daemon=True).start()
    got = list(collected(stream))
    assert max(len(pcm.data) for pcm in got) == 3200
    np.testing.assert_array_equal(np.concatenate([pcm.data for pcm in got]), SOUND.reshape(-1, 2))
    assert stream.read() is None
    stream.close()


def test_a_pipe_that_gives_nothing_does_not_hold_a_reader() -> None:
    reading, writing = os.pipe()
    stream = RawStream("pipe", 16_000, 1, reading, lambda: os.close(reading), why_ended=None)
    pcm = stream.read()
    assert pcm is not None
    assert len(pcm.data) == 0
    os.close(writing)
    stream.close()


def test_a_tcp_peer_is_heard_until_it_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(SOUND.tobytes())

        threading.Thread(target=serve, daemon=True).start()
        stream = TcpSource("127.0.0.1", port).open()
        got = []
        with pytest.raises(AudioError, match=rf"^tcp 127.0.0.1:{port}: gives no more sound: the peer closed"):
            got.extend(collected(stream))
        stream.close()
    np.testing.assert_array_equal(np.concatenate([pcm.data for pcm in got])[:, 0], SOUND)
    with pytest.raises(AudioError, match=rf"^tcp 127.0.0.1:{port}: cannot be reached: Connection refused$"):
        TcpSource("127.0.0.1", port).open()


def arecord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "arecord"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_arecord_is_heard_and_its_overruns_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arecord(
        tmp_path,
        monkeypatch,
        "assert sys.argv[1:] == '-q -D plughw:1 -t raw -f S16_LE -r 16000 -c 1'.split()\n"
        "os.write(1, bytes(2 * 12800))\n"
        "time.sleep(2)\n"
        "os.write(2, b'overrun!!! (at least 1234567890.000 ms long)\\n')\n"
        "os.write(1, bytes(2 * 12800))\n",
    )
    stream = ArecordSource("plughw:1").open()
    got = []
    with pytest.raises(AudioError, match=r"^arecord plughw:1: gives no more sound: "):
        got.extend(collected(stream))
    stream.close()
    assert sum(len(pcm.data) for pcm in got) == 2 * 12_800
    lost_s = sum(pcm.lost_frames for pcm in got) / 16_000
    assert 1.0 < lost_s < WAIT_S  # two seconds, less the block that came first, more on a busy machine
    assert any(pcm.overflowed for pcm in got)


def test_what_arecord_cannot_open_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arecord(tmp_path, monkeypatch, "sys.exit('arecord: main:831: audio open error: Device or resource busy')")
    stream = ArecordSource().open()
    with pytest.raises(AudioError, match=r"^arecord default: gives no more sound: main:831: .* busy$"):
        list(collected(stream))
    stream.close()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AudioError, match=r"^arecord: is not installed: sudo apt install alsa-utils$"):
        ArecordSource().open()


def test_a_file_is_a_source(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND, 16_000)
    stream = FileSource(tmp_path / "a.wav").open()
    got = list(collected(stream))
    stream.close()
    np.testing.assert_array_equal(np.concatenate([pcm.data for pcm in got])[:, 0], SOUND)
    assert all(pcm.data.shape == (3200, 1) for pcm in got[:-1])
    with pytest.raises(AudioError, match=r"nothing.wav: cannot be read"):
        FileSource(tmp_path / "nothing.wav").open().read()
