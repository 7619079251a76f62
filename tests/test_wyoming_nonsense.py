"""The Wyoming service against clients that send nonsense, too much, or nothing; the others are served."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("wyoming", reason="the extra `daemon` is not installed")

from wyoming.client import AsyncTcpClient
from wyoming.event import Event, async_read_event
from wyoming.ping import Ping, Pong

from tinyhark.app.daemon import wyoming_service
from tinyhark.app.model import Model

Sound = NDArray[np.int16]
WAIT_S = 60


def message(kind: str, payload: bytes = b"", **data: Any) -> bytes:
    header = {"type": kind, "data": data} | ({"payload_length": len(payload)} if payload else {})
    return json.dumps(header).encode() + b"\n" + payload


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


START = message("audio-start", rate=16_000, width=2, channels=1)


GO_ON = {
    "an unknown event": message("make-coffee"),
    "sound before its start": message("audio-chunk", b"\0\0", rate=16_000, width=2, channels=1),
    "a stop before a start": message("audio-stop"),
    "half a sample": START + message("audio-chunk", b"\0" * 5),
    "a rate of nothing": message("audio-start", rate=0, width=2, channels=1),
    "a rate of light": message("audio-start", rate=10**15, width=2, channels=1),
    "a rate in words": message("audio-start", rate="fast", width=2, channels=1),
    "a width of nine": message("audio-start", rate=16_000, width=9, channels=1),
    "a thousand channels": message("audio-start", rate=16_000, width=2, channels=1000),
    "no form": message("audio-start"),
    "names that are a number": message("detect", names=5),
    "a name that is not there": message("detect", names=["butler"]),
    "another form than at its start": START + message("audio-chunk", b"\0" * 8, rate=16_000, width=4, channels=1),
    "a line break": message("audio-start", rate="16\n000", width=2, channels=1),
    "a type of half a character": b'{"type": "\\ud800"}\n',
    "the same again and again": message("make-coffee") * 500,
    "an endless timestamp": message("audio-start", rate=16_000, width=2, channels=1, timestamp=10**30),
}


CLOSED = {
    "no JSON": b"GET / HTTP/1.1\r\n",
    "a list": b"[1, 2]\n",
    "a number": b"3\n",
    "no type": b"{}\n",
    "a type of number": b'{"type": 7}\n',
    "deep": b"[" * 50_000 + b"\n",
    "a long header": b"{" + b" " * 200_000,
    "a payload of a gigabyte": b'{"type": "audio-chunk", "payload_length": 1000000000}\n',
    "a payload of less than nothing": b'{"type": "audio-chunk", "payload_length": -1}\n',
    "a length in words": b'{"type": "audio-chunk", "data_length": "many"}\n',
    "data that is no object": b'{"type": "ping", "data": [1]}\n',
    "data that is no JSON": b'{"type": "ping", "data_length": 4}\nnope',
    "a number of five thousand digits": b'{"type": "ping", "data": {"text": ' + b"9" * 5000 + b"}}\n",
    "bytes": bytes(range(256)) + b"\n",
}


@pytest.mark.parametrize("sent", GO_ON.values(), ids=GO_ON)
def test_nonsense_that_can_be_passed_over(
    wyoming: Any, tones: Model, two_words: Sound, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent + message("ping", text="still there?"))
            answer = await asyncio.wait_for(async_read_event(reader), WAIT_S)
            assert answer
            assert Pong.is_type(answer.type)
            await close(writer)
            async with AsyncTcpClient("127.0.0.1", port) as client:
                assert len(await wyoming.hear(client, two_words.tobytes())) == 2

    wyoming.run(scene)
    [line] = caplog.messages
    assert line.startswith("wyoming: 127.0.0.1:")
    assert len(line) < 250
    assert line.isprintable()


@pytest.mark.parametrize("sent", CLOSED.values(), ids=CLOSED)
def test_nonsense_that_ends_the_connection(
    wyoming: Any, tones: Model, two_words: Sound, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
            await close(writer)
            async with AsyncTcpClient("127.0.0.1", port) as client:
                assert len(await wyoming.hear(client, two_words.tobytes())) == 2

    wyoming.run(scene)
    [line] = caplog.messages
    assert "closed" in line
    assert len(line) < 250
    assert line.isprintable()


def test_many_different_complaints_are_not_all_told(
    wyoming: Any, tones: Model, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port, AsyncTcpClient("127.0.0.1", port) as client:
            for number in range(100):
                await client.write_event(Event(f"coffee-{number}"))
            await client.write_event(Ping().event())
            assert await client.read_event()

    wyoming.run(scene)
    assert 0 < len(caplog.messages) <= 20


def test_a_text_that_is_no_text_comes_back_as_what_can_be_sent(wyoming: Any, tones: Model) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b'{"type": "ping", "data": {"text": "\\ud800!"}}\n')
            answer = await asyncio.wait_for(async_read_event(reader), WAIT_S)
            assert answer
            assert Pong.from_event(answer).text == "\\ud800!"
            await close(writer)

    wyoming.run(scene)


def test_who_goes_in_the_middle(wyoming: Any, tones: Model, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(START + b'{"type": "audio-chunk", "payload_length": 100}\nabc')
            await writer.drain()
            await close(writer)
            while not caplog.records:
                await asyncio.sleep(0.01)

    wyoming.run(scene)
    assert "ended inside a message" in caplog.messages[0]


def test_no_more_clients_than_there_is_room_for(
    wyoming: Any, tones: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_service, "MOST_CLIENTS", 2)

    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            clients = [AsyncTcpClient("127.0.0.1", port) for _ in range(3)]
            for client in clients:
                await client.connect()
                with suppress(ConnectionError):
                    await client.write_event(Ping().event())
                    await client.read_event()
            assert "there are 2 clients already" in caplog.messages[0]
            for client in clients:
                with suppress(ConnectionError):
                    await client.disconnect()

    wyoming.run(scene)


def test_who_does_not_read_is_let_go(
    wyoming: Any, tones: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_service, "_WRITE_S", 0.3)

    async def scene() -> None:
        async with wyoming.serving(tones) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            ask = message("describe") * 200
            with suppress(ConnectionError):
                while not caplog.records:
                    writer.write(ask)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(writer.drain(), 0.5)
            await close(writer)

    wyoming.run(scene)
    assert "neither sends nor reads" in caplog.messages[0]
