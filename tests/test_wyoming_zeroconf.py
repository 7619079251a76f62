"""The Wyoming service is announced by mDNS where that is asked for: a client on loopback sees it."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from waiting import free_port

pytest.importorskip("wyoming", reason="the extra `daemon` is not installed")
pytest.importorskip("zeroconf", reason="the extra `daemon` is not installed")

from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from tinyhark.app.daemon import wyoming_zeroconf
from tinyhark.app.daemon.setup import set_up
from tinyhark.app.daemon.wyoming_place import Place
from tinyhark.app.daemon.wyoming_service import WyomingService, announcer
from tinyhark.app.errors import HarkError
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

LOOPBACK = "127.0.0.1"
WAIT_S = 60


class Seen:
    """What another machine's mDNS sees of the services of this kind, on the loopback interface alone."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[tuple[str, ServiceStateChange]] = asyncio.Queue()

    async def __aenter__(self) -> "Seen":
        self.network = AsyncZeroconf(interfaces=[LOOPBACK])
        self.browser = AsyncServiceBrowser(self.network.zeroconf, wyoming_zeroconf.KIND, handlers=[self._change])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.browser.async_cancel()
        await self.network.async_close()

    def _change(self, *, name: str, state_change: ServiceStateChange, **_: object) -> None:
        self.changes.put_nowait((name, state_change))

    async def next(self, wanted: ServiceStateChange) -> str:
        """The name of the next service that came or went."""
        while True:
            name, change = await asyncio.wait_for(self.changes.get(), WAIT_S)
            if change == wanted:
                return name

    async def place(self, name: str) -> tuple[list[str], int | None]:
        info = AsyncServiceInfo(wyoming_zeroconf.KIND, name)
        assert await info.async_request(self.network.zeroconf, 10_000)
        return info.parsed_addresses(), info.port


def test_it_is_seen_reached_and_gone(wyoming: Any, tones: Model) -> None:
    async def scene() -> None:
        port, stopping = free_port(), asyncio.Event()
        place = Place.parse(f"tcp://{LOOPBACK}:{port}")
        service = WyomingService(place, [], lambda: Spotter(tones), tones.keywords, announcer())
        async with Seen() as seen:
            task = asyncio.create_task(service.serve(stopping))
            name = await seen.next(ServiceStateChange.Added)
            assert name.startswith(f"tinyhark on {socket.gethostname()[:8]}")
            [host], found = await seen.place(name)
            assert (host, found) == (LOOPBACK, port)
            async with AsyncTcpClient(host, port) as client:
                await client.write_event(Describe().event())
                event = await client.read_event()
                assert event
                assert Info.from_event(event).wake[0].name == "tinyhark"
            stopping.set()
            assert await seen.next(ServiceStateChange.Removed) == name
            await task

    wyoming.run(scene)


@pytest.mark.parametrize(
    ("places", "ends"),
    [
        (((LOOPBACK, 10_401), (LOOPBACK, 10_402)), (":10401", ":10402")),
        (((LOOPBACK, 10_401), ("127.0.0.2", 10_401)), (":10401", ":10401-2")),
    ],
)
def test_two_have_two_names(wyoming: Any, places: tuple[tuple[str, int], ...], ends: tuple[str, ...]) -> None:
    """Two of one machine by their ports, two machines of one name by a number; each has its own address alone."""

    async def scene() -> None:
        stopping = asyncio.Event()
        async with Seen() as seen:
            tasks, names = [], []
            for (host, port), end in zip(places, ends, strict=True):
                place = Place.parse(f"tcp://{host}:{port}")
                tasks.append(asyncio.create_task(wyoming_zeroconf.announce(place, stopping)))
                names.append(await seen.next(ServiceStateChange.Added))
                assert names[-1].endswith(f"{end}.{wyoming_zeroconf.KIND}")
            assert [await seen.place(name) for name in names] == [([host], port) for host, port in places]
            stopping.set()
            await asyncio.gather(*tasks)

    wyoming.run(scene)


def test_without_a_network_it_is_tried_again_and_told_once(
    wyoming: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that starts has its address later; one that moves gets another."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(wyoming_zeroconf, "_LOOK_S", 0.05)
    answers: list[str | OSError] = [OSError(101, "Network is unreachable")] * 2 + ["127.0.0.1"] * 2 + ["127.0.0.2"]

    async def address(_: str) -> str:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(wyoming_zeroconf, "_address", address)

    async def scene() -> None:
        stopping = asyncio.Event()
        task = asyncio.create_task(wyoming_zeroconf.announce(Place.parse("tcp://0.0.0.0:10400"), stopping))
        while len(caplog.records) < 3:
            await asyncio.sleep(0.01)
        stopping.set()
        await task

    wyoming.run(scene)
    assert caplog.messages[0].startswith("wyoming: cannot be announced: [Errno 101] Network is unreachable")
    assert [record.__dict__["facts"]["address"] for record in caplog.records[1:]] == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:10400", "unix://hark.sock"])
def test_what_nobody_else_can_reach_is_not_announced(tmp_path: Path, tiny_model: Path, uri: str) -> None:
    path = tmp_path / "hark.toml"
    path.write_text(f'[model]\nname = "{tiny_model}"\n[wyoming]\nuri = "{uri}"\nzeroconf = true')
    with pytest.raises(HarkError, match=r"\[wyoming\]: zeroconf would announce .*, which other machines cannot reach"):
        set_up(path)
