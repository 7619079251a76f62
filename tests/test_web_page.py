"""The page of the daemon in a real browser: what it shows is what is heard, and its buttons do what they say."""

import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.app.daemon.daemon import Daemon
from tinyhark.app.daemon.notify import Notifier
from tinyhark.app.daemon.setup import set_up

Sound = NDArray[np.int16]
TOKEN = "0123456789abcdef" * 2

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.Browser.program():
        pytest.skip("no chromium on this machine (apt install chromium)")
    with module.Browser(tmp_path / "browser") as one:
        yield one


class Peer:
    """Sends sound over and over, in real time, to whoever connects."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)
        self._server.close()

    def _send(self) -> None:
        connection, _ = self._server.accept()
        with connection, suppress(ConnectionError):  # the daemon ends first
            start_s, at = time.monotonic(), 0
            while not self._ended.is_set():
                block = self._sound[at % len(self._sound) :][:640]
                connection.sendall(block.tobytes())
                at += len(block)
                time.sleep(max(0.0, start_s + at / 16_000 - time.monotonic()))


@pytest.fixture
def served(tmp_path: Path, tiny_model: Path, say: Callable[..., Sound]) -> Iterator[tuple[Daemon, str]]:
    """A daemon that hears two words all the time, and the address of its page."""
    peer = Peer(say(1.0, "low", 1.2, "high", 0.8))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "token").write_text(TOKEN)
    path = tmp_path / "hark.toml"
    path.write_text(
        f'[audio]\nsource = "tcp"\naddress = "127.0.0.1:{peer.port}"\n[model]\nname = "{tiny_model}"\n'
        f'[http]\nport = {port}\ntoken_file = "token"\n'
    )
    daemon = Daemon(set_up(path), lambda: set_up(path), Notifier({}))
    thread = threading.Thread(target=daemon.run)
    thread.start()
    yield daemon, f"http://127.0.0.1:{port}/"
    daemon.stop()
    thread.join(30)
    peer.close()


def test_the_page(browser: Any, served: tuple[Daemon, str]) -> None:
    daemon, url = served
    due_s = time.monotonic() + 60
    while daemon.state.name != "listening":
        assert time.monotonic() < due_s
        time.sleep(0.1)
    browser.open(url)
    browser.evaluate(f"document.getElementById('token').value = '{TOKEN}', document.querySelector('button').click()")
    browser.wait_for("document.getElementById('mute') !== null")
    assert browser.evaluate("document.cookie") == "", "no script can read it"

    browser.wait_for("document.getElementById('state-text').textContent === 'listening'")
    browser.wait_for("document.querySelectorAll('#events td:nth-child(2)').length >= 2")
    words = browser.evaluate("[...document.querySelectorAll('#events td:nth-child(2)')].map(one => one.textContent)")
    assert set(words) == {"low", "high"}
    traces = browser.wait_for(
        "(() => { const all = [...document.querySelectorAll('.trace')];"
        " return all.length >= 2 && all.map(one => one.querySelector('svg').getBoundingClientRect().width) })()"
    )
    assert all(width > 200 for width in traces)
    assert browser.wait_for("parseFloat(document.getElementById('level').textContent)") < 0

    browser.evaluate("document.getElementById('mute').click()")
    browser.wait_for("document.getElementById('state-text').textContent.startsWith('muted')")
    assert daemon._control.is_muted
    browser.evaluate("document.getElementById('mute').click()")
    browser.wait_for("document.getElementById('state-text').textContent === 'listening'")
    assert not daemon._control.is_muted

    browser.evaluate("document.getElementById('false-wake').click()")
    told = browser.wait_for("document.getElementById('told').textContent")
    assert "[feedback]" in told
