"""One client of the Wyoming service: what it sends, what it is told."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from ..audio.converter import Converter
from ..detection import Detection as Heard
from ..spotter import Spotter
from ..text import encodable, printable

HEADER_BYTES, DATA_BYTES, PAYLOAD_BYTES = 65_536, 65_536, 1 << 20
_FORM = {"rate": (4_000, 192_000), "width": (1, 4), "channels": (1, 8)}  # Hz, bytes a sample


class MalformedError(Exception):
    """What a client sent that cannot be used, in one line."""

    def __init__(self, line: str) -> None:
        super().__init__(printable(line))  # it may hold what the client sent


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next message, None at the end of the connection; MalformedError where the next cannot be found.

    The library's own reader takes any length that a client names, and ends quietly where a message is broken.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise MalformedError(f"a header of more than {HEADER_BYTES} bytes") from None
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    header = _object(line, "header")
    kind = header.get("type")
    if not isinstance(kind, str):
        raise MalformedError("a header without a type")
    data = header.get("data") or {}
    if not isinstance(data, dict):
        raise MalformedError(f"{kind[:40]!r}: its data is no JSON object")
    if length := _length(header, "data_length", DATA_BYTES):
        data = data | _object(await reader.readexactly(length), "data")
    length = _length(header, "payload_length", PAYLOAD_BYTES)
    return Event(kind, data, await reader.readexactly(length) if length else None)


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedError(f"its {what} is no JSON: {text[:40]!r}") from None
    if not isinstance(found, dict):
        raise MalformedError(f"its {what} is no JSON object: {text[:40]!r}")
    return found


def _length(header: dict[str, Any], name: str, most: int) -> int:
    length = header.get(name) or 0
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= most:
        raise MalformedError(f"{name} is {str(length)[:40]}; it must be 0 to {most}")
    return length


class Client:
    """The state of a client: the keywords it asked for, its sound's form, a spotter of its own.

    make: a new spotter; keywords: those that it reports; info: what `describe` is answered with.
    """

    def __init__(self, make: Callable[[], Spotter], keywords: Sequence[str], info: Event) -> None:
        self._make, self._keywords, self._info = make, keywords, info
        self._names: frozenset[str] | None = None
        self._spotter: Spotter | None = None
        self._converter: Converter | None = None
        self._form = dict[str, int]()
        self._clock_ms = 0  # of the client, at the spotter's sample 0
        self._detected = False

    def answers(self, event: Event) -> Iterator[list[Event]]:
        """What to tell it after an event, with a pause after each second of sound that it brought.

        Raises MalformedError for an event that makes no sense; the next one may.
        """
        kind = event.type
        if AudioChunk.is_type(kind):
            yield from self._audio_chunk(event)
        elif AudioStart.is_type(kind):
            self._audio_start(event)
        elif AudioStop.is_type(kind):
            yield self._audio_stop()
        elif Detect.is_type(kind):
            self._detect(event.data.get("names"))
        elif Describe.is_type(kind):
            yield [self._info]
        elif Ping.is_type(kind):
            yield [Pong(text=_text(event)).event()]
        else:
            raise MalformedError(f"an event {kind[:40]!r}, which a wake-word service does not know")

    def _detect(self, names: Any) -> None:
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise MalformedError("detect: names is no list of texts")
        self._names = frozenset(names) if names else None
        if unknown := sorted((self._names or frozenset()) - set(self._keywords)):
            known = ", ".join(self._keywords)
            raise MalformedError(f"detect: there is no {', '.join(unknown)[:80]}; there are: {known[:80]}")

    def _audio_start(self, event: Event) -> None:
        self._spotter = self._converter = None
        form = {name: _number(event, name) for name in _FORM}
        for name, (least, most) in _FORM.items():
            if not least <= form[name] <= most:
                raise MalformedError(f"audio-start: {name} is {form[name]}; it must be {least} to {most}")
        self._clock_ms = _number(event, "timestamp", 0)
        self._form, self._converter = form, Converter(form["rate"], form["channels"])
        self._spotter, self._detected = self._make(), False

    def _audio_chunk(self, event: Event) -> Iterator[list[Event]]:
        if self._spotter is None or self._converter is None:
            raise MalformedError("an audio-chunk before audio-start")
        form = {name: _number(event, name, self._form[name]) for name in _FORM}
        if form != self._form:
            raise MalformedError(
                f"an audio-chunk of {_told(form)} after an audio-start of {_told(self._form)}; left out"
            )
        data, width, channels = event.payload or b"", form["width"], form["channels"]
        if len(data) % (width * channels):
            raise MalformedError(f"an audio-chunk of {len(data)} bytes, no multiple of {width * channels}; left out")
        position_ms = _milliseconds(self._spotter.position_samples)
        self._clock_ms = _number(event, "timestamp", self._clock_ms + position_ms) - position_ms
        second = form["rate"] * width * channels
        for first in range(0, len(data), second):
            samples = _int16(data[first : first + second], width).reshape(-1, channels)
            yield self._tell(self._spotter.feed(self._converter.convert(samples)))

    def _audio_stop(self) -> list[Event]:
        if self._spotter is None or self._converter is None:
            raise MalformedError("an audio-stop before audio-start")
        answers = self._tell(self._spotter.feed(self._converter.end()) + self._spotter.finish())
        self._spotter = self._converter = None
        return answers if self._detected else [NotDetected().event()]

    def _tell(self, heard: Iterable[Heard]) -> list[Event]:
        """The detections that it asked for, at the times of its own clock."""
        wanted = [one for one in heard if self._names is None or one.keyword in self._names]
        self._detected |= bool(wanted)
        times_ms = [self._clock_ms + _milliseconds(one.end_sample) for one in wanted]
        return [Detection(one.keyword, time_ms).event() for one, time_ms in zip(wanted, times_ms, strict=True)]


def _told(form: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in form.items())


def _milliseconds(samples: int) -> int:
    return round(1000 * samples / SAMPLE_RATE_HZ)


def _text(event: Event) -> str | None:
    """The text of a ping, such that it can be sent back."""
    value = event.data.get("text")
    return encodable(value[:1000]) if isinstance(value, str) else None


def _number(event: Event, name: str, default: int | None = None) -> int:
    value = event.data.get(name)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 53:
        raise MalformedError(f"{event.type}: {name} is {str(value)[:40]}; it must be a whole number")
    return value


def _int16(data: bytes, width: int) -> Samples:
    """Little-endian PCM of 1 (unsigned) to 4 bytes -> [n] int16, its upper bits."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    if width == 3:
        return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(-1, 3)[:, 1:]).view("<i2").ravel()
    if width == 4:
        return (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
