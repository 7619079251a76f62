"""The Wyoming service in talk with the real client library: what is heard, for whom, and when."""

import asyncio
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

pytest.importorskip("wyoming", reason="the extra `daemon` is not installed")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]


def expected(tones: Model, two_words: Sound) -> list[tuple[str, int]]:
    spotter = Spotter(tones)
    found = spotter.feed(two_words) + spotter.finish()
    return [(one.keyword, round(one.end_sample / 16)) for one in found]


def test_what_it_says_of_itself(wyoming: Any, tones: Model) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event
            [program] = Info.from_event(event).wake
            assert (program.name, program.installed) == ("tinyhark", True)
            assert [(one.name, one.phrase, one.installed) for one in program.models] == [
                ("low", "low", True),
                ("high", "high", True),
            ]
            await client.write_event(Ping(text="there?").event())
            event = await client.read_event()
            assert event
            assert Pong.from_event(event).text == "there?"

    wyoming.run(scene)


def test_detections_are_those_of_the_spotter(wyoming: Any, tones: Model, two_words: Sound) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            for at_ms in (0, 5_000):  # one connection, stream after stream
                heard = await wyoming.hear(client, two_words.tobytes(), at_ms=at_ms)
                found = [(one.name, one.timestamp - at_ms) for one in heard]
                assert found == expected(tones, two_words)
                assert [name for name, _ in found] == ["low", "high"]

    wyoming.run(scene)


def test_times_are_those_of_the_chunks_where_they_have_some(wyoming: Any, tones: Model, two_words: Sound) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(AudioStart(16_000, 2, 1).event())
            for first in range(0, len(two_words), 1600):
                data = two_words[first : first + 1600].tobytes()
                await client.write_event(AudioChunk(16_000, 2, 1, data, 70_000 + first // 16).event())
            await client.write_event(AudioStop().event())
            for _, time_ms in expected(tones, two_words):
                event = await client.read_event()
                assert event
                assert Detection.from_event(event).timestamp == 70_000 + time_ms

    wyoming.run(scene)


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(48_000, 2, 2), (44_100, 4, 1), (16_000, 3, 1), (22_050, 2, 1), (16_000, 2, 8)]
)
def test_sound_of_other_forms(
    wyoming: Any, tones: Model, two_words: Sound, rate: int, width: int, channels: int
) -> None:
    wide = soxr.resample(two_words, 16_000, rate).repeat(channels).astype(np.int32) << 16
    data = wide.astype("<i4").tobytes()
    kept = np.frombuffer(data, np.uint8).reshape(-1, 4)[:, 4 - width :].tobytes()

    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            assert [one.name for one in await wyoming.hear(client, kept, rate, width, channels)] == ["low", "high"]

    wyoming.run(scene)


def test_names_and_silence(wyoming: Any, tones: Model, two_words: Sound) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Detect(names=["high"]).event())
            assert [one.name for one in await wyoming.hear(client, two_words.tobytes())] == ["high"]
            assert await wyoming.hear(client, bytes(32_000)) == [NotDetected().event().type]
            await client.write_event(Detect().event())
            assert [one.name for one in await wyoming.hear(client, two_words.tobytes())] == ["low", "high"]

    wyoming.run(scene)


def test_clients_at_once_have_states_of_their_own(wyoming: Any, tones: Model, two_words: Sound) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:

            async def one(number: int) -> list[Any]:
                async with AsyncTcpClient("127.0.0.1", port) as client:
                    return await wyoming.hear(client, bytes(3200 * number) + two_words.tobytes())

            for number, heard in enumerate(await asyncio.gather(*map(one, range(8)))):
                silence = np.zeros(1600 * number, np.int16)
                assert [(found.name, found.timestamp) for found in heard] == expected(
                    tones, np.append(silence, two_words)
                )

    wyoming.run(scene)


def test_minutes_of_sound_at_once_keep_nobody_waiting(wyoming: Any, tones: Model) -> None:
    """A second of it at a time, or the others would not be answered before its end."""

    async def scene() -> None:
        async with (
            wyoming.serving(tones) as port,
            AsyncTcpClient("127.0.0.1", port) as greedy,
            AsyncTcpClient("127.0.0.1", port) as client,
        ):
            await greedy.write_event(AudioStart(4_000, 1, 1).event())
            await greedy.write_event(AudioChunk(4_000, 1, 1, bytes([128]) * (1 << 20)).event())
            await greedy.write_event(Ping().event())
            waiting = asyncio.create_task(greedy.read_event())
            for _ in range(5):
                await client.write_event(Ping().event())
                assert await client.read_event()
            assert not waiting.done()
            waiting.cancel()

    wyoming.run(scene)


def test_it_ends_while_a_client_keeps_sending(wyoming: Any, tones: Model) -> None:
    async def scene() -> None:
        chunk = AudioChunk(16_000, 2, 1, bytes(640)).event()

        async def send(port: int) -> None:
            client = AsyncTcpClient("127.0.0.1", port)
            await client.connect()
            await client.write_event(AudioStart(16_000, 2, 1).event())
            while True:
                await client.write_event(chunk)
                sent.set()

        sent = asyncio.Event()
        async with wyoming.serving(tones) as port:
            sending = asyncio.create_task(send(port))
            await sent.wait()
            await asyncio.sleep(0.2)  # more has come than was heard
        with pytest.raises(ConnectionError):
            await sending

    wyoming.run(scene)
