"""The HTTP output, asked by real requests: who may ask, what the answers say, what bad clients do to it."""

import http.client
import io
import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families
from waiting import until

from tinyhark.app.daemon.config import Config, Preroll
from tinyhark.app.daemon.control import Control
from tinyhark.app.daemon.event import Event, State
from tinyhark.app.daemon.http_output import HttpOutput
from tinyhark.app.detection import Detection
from tinyhark.app.spotter import Spotter

WAIT_S = 30
TOKEN = "0123456789abcdef" * 2
EVENT = Event(Detection("on", 0.75, 1600, 17_600, "tones"), datetime(2026, 3, 1, tzinfo=UTC))


class Served:
    """An HTTP output that runs, and how it is asked."""

    def __init__(self, token: str | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.control = Control()
        self.output = HttpOutput("127.0.0.1", self.port, ["hark.lan"], token, self.control)
        self.output.start()
        until(self._listens)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, dict(answer.getheaders())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S)

    def _listens(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.output.stop()


@pytest.fixture
def locked() -> Iterator[Served]:
    one = Served(TOKEN)
    yield one
    one.output.stop()


def test_health_says_why_nothing_is_heard(served: Served) -> None:
    status, text, _ = served.ask("GET", "/health")
    assert (status, json.loads(text)["state"]) == (503, "starting")
    served.output.state(State("listening"))
    served.output.heard(np.zeros(0, np.int16), None, Spotter())
    assert served.ask("GET", "/health")[0] == 200
    served.output.state(State("degraded", "digital silence"))
    status, text, _ = served.ask("GET", "/health")
    assert (status, json.loads(text)["reason"]) == (503, "digital silence")


def test_mute_and_feedback(served: Served) -> None:
    assert served.ask("POST", "/mute")[0] == 200
    assert served.control.is_muted
    assert served.ask("GET", "/unmute")[0] == 405, "a link cannot do it"
    assert json.loads(served.ask("POST", "/unmute")[1]) == {"muted": False}
    assert not served.control.is_muted
    assert served.ask("POST", "/false-wake")[0] == 409, "nobody keeps it"
    told: list[str] = []
    served.control.on_false_wake = lambda: told.append("false")
    assert served.ask("POST", "/false-wake")[0] == 202
    assert told == ["false"]


def test_the_metrics_can_be_parsed(served: Served) -> None:
    counters = served.control.counters
    counters.heard_samples, counters.events["on"] = 32_000, 3
    counters.inference_s.add(0.003)
    served.control.mute()
    families = text_string_to_metric_families(served.ask("GET", "/metrics")[1])
    values = {(sample.name, *sample.labels.values()): sample.value for one in families for sample in one.samples}
    assert values["hark_audio_seconds_total",] == 2
    assert values["hark_events_total", "on"] == 3
    assert values["hark_muted",] == 1
    assert values["hark_inference_seconds_bucket", "0.0025"] == 0
    assert values["hark_inference_seconds_bucket", "0.005"] == values["hark_inference_seconds_count",] == 1
    assert values["hark_state", "starting"] == 1


REFUSED = {
    "another host": {"Host": "evil.example"},
    "no address": {"Host": "127.0.0.1.evil.example"},
    "another origin": {"Origin": "http://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "no origin": {"Origin": "null"},
    "another site": {"Sec_Fetch_Site": "cross-site"},
    "the same site": {"Sec_Fetch_Site": "same-site"},
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_requests_from_elsewhere_are_refused(headers: dict[str, str], served: Served) -> None:
    for method, path in (("POST", "/mute"), ("GET", "/metrics"), ("GET", "/")):
        assert served.ask(method, path, **headers)[0] == 403
    assert not served.control.is_muted


@pytest.mark.parametrize("host", ["localhost", "hark.lan:80", "[::1]:8760", "192.168.1.2"])
def test_its_own_names_are_known(host: str, served: Served) -> None:
    assert served.ask("GET", "/metrics", Host=host, Origin=f"http://{host}")[0] == 200


def test_a_token_is_asked_for(locked: Served) -> None:
    for path in ("/metrics", "/health", "/events", "/page.js", "/nothing"):
        assert locked.ask("GET", path)[0] == 401
    assert locked.ask("POST", "/mute", Authorization=f"Bearer {TOKEN}x")[0] == 401
    assert locked.ask("POST", "/mute", Cookie="tinyhark=")[0] == 401
    assert not locked.control.is_muted
    assert locked.ask("POST", "/mute", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert locked.control.is_muted


def test_the_form_gives_a_cookie(locked: Served) -> None:
    status, text, _ = locked.ask("GET", "/")
    assert (status, "<form" in text) == (401, True)
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert locked.ask("POST", "/login", b"token=wrong", **form)[0] == 401
    status, _, headers = locked.ask("POST", "/login", f"token={TOKEN}".encode(), **form)
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert locked.ask("GET", "/", Cookie=cookie.partition(";")[0])[0] == 200


def test_the_page_loads_nothing_from_elsewhere(served: Served) -> None:
    for path in ("/", "/page.js", "/page.css", "/icon.svg"):
        status, text, headers = served.ask("GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "https://" not in text
    assert served.ask("GET", "/../setup.py")[0] == 404


@contextmanager
def watch(served: Served, path: str = "/events") -> Iterator[Iterator[tuple[str, str]]]:
    """An open stream of events: its kinds and data."""
    with served.connect() as peer, peer.makefile("r", newline="\n") as lines:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield read(lines)


def read(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    kind = ""
    for line in lines:
        name, _, value = line.strip().partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, value


def test_events_state_and_levels_are_streamed(served: Served) -> None:
    with watch(served, "/events?levels") as messages:
        assert json.loads(next(messages)[1]) == {"state": "starting", "reason": "", "muted": False}
        served.output.muted(True)
        assert json.loads(next(messages)[1])["muted"] is True
        served.output.event(EVENT)
        assert next(messages) == ("detection", EVENT.to_json())
        spotter = Spotter()
        for _ in range(3):
            served.output.heard(np.full(1600, 32_767, np.int16), None, spotter)
        assert next(messages)[0] == "words"
        kind, text = next(messages)
        assert (kind, json.loads(text)["clipped"]) == ("level", True)
    until(lambda: not served.output._feed.watchers)


def test_the_sound_of_an_event_can_be_had(served: Served) -> None:
    with watch(served) as messages:
        next(messages)
        served.output.event(EVENT)
        next(messages)
    assert served.ask("GET", "/events/1.wav")[0] == 409, "no [preroll]"
    served.control.settle(Config(preroll=Preroll(before_s=0.5, after_s=0.25)))
    sound = np.arange(32_000, dtype=np.int16)
    for first in range(0, 32_000, 1280):
        served.control.recent.feed(sound[first : first + 1280], first + 1280)
    with served.connect() as peer, peer.makefile("rb") as answer:
        peer.sendall(b"GET /events/1.wav HTTP/1.0\r\nHost: localhost\r\n\r\n")
        _, _, body = answer.read().partition(b"\r\n\r\n")
    heard, _ = soundfile.read(io.BytesIO(body), dtype="int16")
    assert np.array_equal(heard, sound[17_600 - 8_000 : 17_600 + 4_000])
    assert served.ask("GET", "/events/2.wav")[0] == 404
    assert served.ask("GET", "/events/x.wav")[0] == 404


def test_levels_are_not_computed_where_nobody_looks(served: Served) -> None:
    with watch(served) as messages:
        next(messages)
        served.output.heard(np.full(16_000, 32_767, np.int16), None, Spotter())
        assert served.output._samples == 0


def test_a_reader_that_does_not_read_is_dropped(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with watch(served) as messages:
        next(messages)
        big = Event(Detection("on", 0.75, 0, 1, "x" * 50_000), EVENT.wall_time)

        def dropped() -> bool:
            served.output.event(big)
            return not served.output._feed.watchers

        until(dropped)
    assert caplog.messages.count("http: a reader of /events was dropped: it does not read") == 1
    assert served.ask("GET", "/metrics")[0] == 200


def test_so_many_readers_and_no_more(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(16):
            next(stack.enter_context(watch(served)))
        assert served.ask("GET", "/events")[0] == 503
    until(lambda: not served.output._feed.watchers)


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    "no length": b"POST /mute HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "smuggled": b"POST /mute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    "bad chunk": b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_harms_nothing(sent: bytes, served: Served) -> None:
    with served.connect() as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            answer = peer.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 2"), answer
    assert served.ask("GET", "/metrics")[0] == 200
    assert not served.control.is_muted


def test_a_form_that_is_too_large_is_refused(locked: Served) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert locked.ask("POST", "/login", b"token=" + b"a" * 100_000, **form)[0] == 413
