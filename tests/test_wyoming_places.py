"""Where the Wyoming service is reached: addresses, networks, sockets, pipes, the command, the daemon's section."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import free_port

pytest.importorskip("wyoming", reason="the extra `daemon` is not installed")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient, AsyncUnixClient
from wyoming.event import async_read_event, async_write_event
from wyoming.info import Describe, Info
from wyoming.wake import Detection

from tinyhark.app.daemon.config import Config, Wyoming, load
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.daemon.unit import network_of
from tinyhark.app.daemon.wyoming_place import Place, check
from tinyhark.app.daemon.wyoming_service import WyomingService
from tinyhark.app.errors import HarkError
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]
WAIT_S = 60


def test_a_unix_socket(wyoming: Any, tones: Model, two_words: Sound, tmp_path: Path) -> None:
    place = Place.parse(f"unix://{tmp_path}/hark.sock")

    async def scene() -> None:
        async with wyoming.serving(tones, place), AsyncUnixClient(place.path) as client:
            assert len(await wyoming.hear(client, two_words.tobytes())) == 2

    wyoming.run(scene)
    assert not Path(place.path).exists()


def test_standard_input_and_output(wyoming: Any, tiny_model: Path, two_words: Sound) -> None:
    async def scene() -> None:
        command = [sys.executable, "-m", "tinyhark.app", "wyoming", "--uri", "stdio://", "--model", str(tiny_model)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert process.stdin
        assert process.stdout
        chunk = AudioChunk(16_000, 2, 1, two_words.tobytes())
        for event in (AudioStart(16_000, 2, 1).event(), chunk.event(), AudioStop().event()):
            await async_write_event(event, process.stdin)
        names = []
        for _ in range(2):
            heard = await async_read_event(process.stdout)
            assert heard
            names.append(Detection.from_event(heard).name)
        assert names == ["low", "high"]
        process.stdin.close()
        assert await process.wait() == 0

    wyoming.run(scene)


def test_only_allowed_networks() -> None:
    _, networks = check("tcp://0.0.0.0:1", ["192.168.1.0/24", "fd00::/8"])
    service = WyomingService(Place.parse("tcp://0.0.0.0:1"), networks, lambda: Spotter("commands"), [])
    allowed = ["127.0.0.1", "::1", "192.168.1.77", "::ffff:192.168.1.3", "fd00::5", "fd00::5%eth0"]
    assert all(map(service._is_allowed, allowed))
    assert not any(map(service._is_allowed, ["192.168.2.1", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"]))


@pytest.mark.parametrize(
    ("uri", "allow", "message"),
    [
        ("http://127.0.0.1:80", [], "must be tcp://HOST:PORT"),
        ("tcp://127.0.0.1", [], "must be tcp://HOST:PORT"),
        ("tcp://127.0.0.1:99999", [], "must be tcp://HOST:PORT"),
        ("unix://", [], "must be tcp://HOST:PORT"),
        ("tcp://0.0.0.0:10400", [], "name who may"),
        ("tcp://0.0.0.0:10400", ["my house"], "a network is written"),
        ("tcp://0.0.0.0:10400", ["192.168.1.7/24"], "a network is written"),
    ],
)
def test_places_that_are_none(uri: str, allow: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(uri, allow)


def test_a_port_that_is_taken(wyoming: Any, tones: Model) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            second = WyomingService(Place.parse(f"tcp://127.0.0.1:{port}"), [], lambda: Spotter(tones), [])
            with pytest.raises(HarkError, match=r"cannot be served: .*in use"):
                await second.serve(asyncio.Event())

    wyoming.run(scene)


def test_standard_input_that_is_a_file_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinyhark.app", "wyoming", "--uri", "stdio://", "--model", str(tiny_model)]
    (tmp_path / "in").touch()
    with (tmp_path / "in").open() as source:
        done = subprocess.run(command, stdin=source, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hark: stdio:// needs pipes for standard input and output; they are files\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_when_it_is_told_to_and_leaves_no_socket(
    wyoming: Any, tiny_model: Path, tmp_path: Path, two_words: Sound, number: signal.Signals
) -> None:
    path = tmp_path / "hark.sock"

    async def scene() -> None:
        command = [sys.executable, "-m", "tinyhark.app", "wyoming", "--uri", f"unix://{path}"]
        process = await asyncio.create_subprocess_exec(*command, "--model", str(tiny_model))
        async with wyoming.reached(AsyncUnixClient(path)) as client:
            assert len(await wyoming.hear(client, two_words.tobytes())) == 2
            process.send_signal(number)
            assert await process.wait() == 0

    wyoming.run(scene)
    assert not path.exists()


def test_others_are_closed_with_one_line(wyoming: Any, tones: Model, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        place = Place.parse(f"tcp://127.0.0.1:{free_port()}")
        service = WyomingService(place, [], lambda: Spotter(tones), tones.keywords)
        service._allow = service._allow[1:]  # as if this machine were another one
        stopping, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(service.serve(stopping, ready.set))
        await ready.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()
        stopping.set()
        await task

    wyoming.run(scene)
    [line] = caplog.messages
    assert line.endswith("not in an allowed network, closed")


def configured(tmp_path: Path, tiny_model: Path, text: str) -> Path:
    path = tmp_path / "hark.toml"
    path.write_text(f'[audio]\nsource = "stdin"\n[model]\nname = "{tiny_model}"\nkeywords = ["low"]\n{text}')
    return path


def test_as_a_part_of_the_daemon(
    wyoming: Any, tmp_path: Path, tiny_model: Path, two_words: Sound, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for a port that is taken, and serves the keywords that the daemon reports."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        output = set_up(configured(tmp_path, tiny_model, f'[wyoming]\nuri = "tcp://127.0.0.1:{port}"')).outputs[
            "wyoming"
        ]
        output.start()
        while not caplog.records:
            time.sleep(0.02)
    assert caplog.messages == [
        f"wyoming: tcp://127.0.0.1:{port} cannot be served: Address already in use; it is tried again"
    ]

    async def scene() -> None:
        async with wyoming.reached(AsyncTcpClient("127.0.0.1", port)) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event
            assert [one.name for one in Info.from_event(event).wake[0].models] == ["low"]
            assert [one.name for one in await wyoming.hear(client, two_words.tobytes())] == ["low"]

    wyoming.run(scene)
    output.stop()
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("uri = 'stdio://'", "[wyoming]: uri is stdio://, which the daemon has other uses for"),
        ("uri = 'tcp://[::1'", "[wyoming]: uri is 'tcp://[::1'; it must be tcp://HOST:PORT"),
        ("uri = 'tcp://0.0.0.0:10400'", "[wyoming]: tcp://0.0.0.0:10400 can be reached by other machines"),
        ("allow = ['here']", "[wyoming]: allow: 'here' does not appear to be an IPv4 or IPv6 network"),
        ("url = 'tcp://127.0.0.1:1'", "[wyoming]: there is no key 'url'; did you mean uri?"),
    ],
)
def test_a_section_that_is_wrong_is_one_line(tmp_path: Path, tiny_model: Path, text: str, line: str) -> None:
    path = configured(tmp_path, tiny_model, f"[wyoming]\n{text}")
    with pytest.raises(HarkError) as error:
        set_up(path)
    assert str(error.value).removeprefix(f"{path}: ").startswith(line)


def test_a_socket_counts_from_the_folder_of_the_file_and_needs_no_network(tmp_path: Path, tiny_model: Path) -> None:
    config = load(configured(tmp_path, tiny_model, "[wyoming]\nuri = 'unix://hark.sock'"))
    assert config.wyoming
    assert config.wyoming.place.path == str(tmp_path / "hark.sock")
    assert network_of(config) == network_of(Config())
    assert network_of(Config(wyoming=Wyoming())) != network_of(Config())


def test_without_the_library_there_is_one_line(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if ".daemon.wyoming_" in name]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("wyoming", "wyoming.audio", "wyoming.event"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HarkError, match=r"\[wyoming\] needs wyoming.*; pip install 'tinyhark\[daemon\]'"):
        set_up(configured(tmp_path, tiny_model, "[wyoming]"))
