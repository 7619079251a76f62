"""A Wyoming service and a client of it, by the real client library, for tests of several files.

`conftest.py` registers this file as a plugin, where the library is installed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import free_port
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.ping import Ping, Pong
from wyoming.wake import Detection

from tinyhark.app.daemon.wyoming_place import Place
from tinyhark.app.daemon.wyoming_service import WyomingService
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

WAIT_S = 60


@pytest.fixture(scope="session")
def tones(tiny_model: Path) -> Model:
    """`tiny_model`, loaded."""
    return Model.load(tiny_model)


@pytest.fixture(scope="session")
def two_words(say: Callable[..., NDArray[np.int16]]) -> NDArray[np.int16]:
    """Sound of "low" and "high"."""
    return say(0.3, "low", 0.5, "high", 0.2)


@pytest.fixture(scope="session")
def wyoming() -> SimpleNamespace:
    """The functions below."""
    return SimpleNamespace(serving=serving, run=run, reached=reached, hear=hear)


@asynccontextmanager
async def serving(model: Model, place: Place | None = None) -> AsyncIterator[int]:
    """A service on a port of its own."""
    place = place or Place.parse(f"tcp://127.0.0.1:{free_port()}")
    stopping, ready = asyncio.Event(), asyncio.Event()
    service = WyomingService(place, [], lambda: Spotter(model), model.keywords)
    task = asyncio.create_task(service.serve(stopping, ready.set))
    await asyncio.wait_for(ready.wait(), WAIT_S)
    yield place.port
    stopping.set()
    await asyncio.wait_for(task, WAIT_S)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 2 * WAIT_S))


@asynccontextmanager
async def reached(client: AsyncClient) -> AsyncIterator[AsyncClient]:
    """A client whose server may still be about to listen."""
    while True:
        with suppress(OSError):
            await client.connect()
            break
        await asyncio.sleep(0.05)
    yield client
    await client.disconnect()


async def hear(
    client: AsyncClient, data: bytes, rate: int = 16_000, width: int = 2, channels: int = 1, at_ms: int = 0
) -> list[Any]:
    """Send sound in chunks of a tenth of a second -> what came back until the end of it was confirmed by a ping."""
    await client.write_event(AudioStart(rate, width, channels, at_ms).event())
    size = rate // 10 * width * channels
    for first in range(0, len(data), size):
        await client.write_event(AudioChunk(rate, width, channels, data[first : first + size]).event())
    await client.write_event(AudioStop().event())
    await client.write_event(Ping(text="end").event())
    heard: list[Any] = []
    while (event := await client.read_event()) is not None and not Pong.is_type(event.type):
        heard.append(Detection.from_event(event) if Detection.is_type(event.type) else event.type)
    return heard
