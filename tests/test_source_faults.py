"""The daemon with sound that is none: peers that misbehave are said once and got over, bad files are one line."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.event import Event
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.output import Output
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.errors import AudioError

Sound = NDArray[np.int16]

WAIT_S = 120
RNG = np.random.default_rng(7)


class StopsAtTheFirst(Output):
    """Ends the daemon after its first event, and keeps that."""

    def __init__(self) -> None:
        self.keywords: list[str] = []
        self.stop_daemon: Callable[[], None] = lambda: None

    def event(self, event: Event) -> None:
        self.keywords.append(event.detection.keyword)
        self.stop_daemon()


def reset(peer: socket.socket) -> None:
    peer.sendall(bytes(6400))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


PEERS: dict[str, Callable[[socket.socket], object]] = {
    "closes at once": lambda peer: peer,
    "resets the connection": reset,
    "sends a byte": lambda peer: peer.sendall(b"\x01"),
    "ends inside a sample": lambda peer: peer.sendall(bytes(32_001)),
    "sends text": lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "sends random bytes": lambda peer: peer.sendall(RNG.bytes(64_000)),
    "sends half a minute at once": lambda peer: peer.sendall(30 * RNG.integers(-9, 9, 16_000, np.int16).tobytes()),
    "sends nothing for a while": lambda _: time.sleep(1.0),
    "closes its side only": lambda peer: (peer.shutdown(socket.SHUT_WR), time.sleep(0.5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_misbehaves_is_said_once_and_the_next_one_is_heard(
    name: str,
    tmp_path: Path,
    tiny_model: Path,
    say: Callable[..., Sound],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT_S)
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            with server.accept()[0] as peer:
                PEERS[name](peer)
            with server.accept()[0] as peer, suppress(OSError):  # the daemon closes it after the word
                for block in np.array_split(say(1.5, "low", 2.0), 49):  # 80 ms each; what comes faster is dropped
                    peer.sendall(block.tobytes())
                    time.sleep(0.08)

        threading.Thread(target=serve, daemon=True).start()
        path = tmp_path / "hark.toml"
        path.write_text(f'[audio]\nsource = "tcp"\naddress = "{address}"\n[model]\nname = "{tiny_model}"\n')
        setup = set_up(path)
        setup.outputs["first"] = first = StopsAtTheFirst()
        daemon = Daemon(setup, lambda: setup, Notifier({}))
        first.stop_daemon = daemon.stop
        daemon.run()
    assert first.keywords == ["low"]
    said = [message for message in caplog.messages if message.startswith(f"degraded: tcp {address}: ")]
    assert len(said) == 1


def floats(value: float) -> Callable[[Path], object]:
    return lambda path: soundfile.write(path, np.full(16_000, value, np.float32), 16_000, "FLOAT", format="WAV")


def cut(path: Path) -> None:
    soundfile.write(path, RNG.integers(-9, 9, 32_000).astype(np.int16), 16_000, format="WAV")
    path.write_bytes(path.read_bytes()[:40_000])


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "cannot be read: No such file"),
    "folder": (Path.mkdir, "cannot be read: Is a directory"),
    "empty": (Path.touch, "is empty"),
    "text": (lambda path: path.write_text("# no sound\n" * 99), "is no sound file"),
    "random": (lambda path: path.write_bytes(RNG.bytes(9999)), "is no sound file"),
    "header": (lambda path: path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt "), "is no sound file"),
    "not a number": (floats(np.nan), "holds values that are no numbers"),
    "infinite": (floats(np.inf), "holds values that are no numbers"),
    "cut": (cut, "is truncated"),
    "slow": (
        lambda path: soundfile.write(path, np.zeros(99, np.int16), 10, format="WAV"),
        "has a sample rate of 10 Hz",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_sound_ends_the_daemon_with_one_line(name: str, tmp_path: Path, tiny_model: Path) -> None:
    make, words = FILES[name]
    make(tmp_path / "a.wav")
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "file"\npath = "a.wav"\n[model]\nname = "{tiny_model}"\n')
    setup = set_up(path)
    with pytest.raises(AudioError) as error:
        Daemon(setup, lambda: setup, Notifier({})).run()
    assert str(error.value).startswith(f"{tmp_path}/a.wav: {words}")
    assert "\n" not in str(error.value)
