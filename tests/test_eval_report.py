"""The report: one page that asks no one for anything, with plots, examples that play, and right figures."""

import base64
import http.server
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray

from tinyhark.app.cli import hark

Sound = NDArray[np.int16]
RATE_HZ = 16_000
LOADED = ("src", "href", "srcset", "data", "poster", "action")


class Page(HTMLParser):
    """Elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str, css: str = "") -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and css in f" {a.get('class', '')} "]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, say: Callable[..., Sound]) -> Path:
    """Made of 4 words of each keyword, one of them a miss, in two conditions, and of sound with a false accept."""
    folder = tmp_path_factory.mktemp("report")
    for label in ("low", "high"):
        (folder / "words" / label).mkdir(parents=True)
        for index in range(4):
            word = "other" if (label, index) == ("high", 0) else label
            path = folder / "words" / label / f"<{index}> & co.wav"
            soundfile.write(path, say(0.2, word, 0.3 + index / 20), RATE_HZ)
    for name, sound in (("room", say(1.0, "other", 3.0, "low", 2.0)), ("noise", say(2.0) * 20)):
        (folder / name).mkdir()
        soundfile.write(folder / name / f"{name}.wav", sound, RATE_HZ)
    command = ["eval", "stream", "--model", tiny_model, "--jobs", 1, "--cache", folder / "cache", "--counting", "all"]
    command += ["--positives", folder / "words", "--negatives", folder / "room", "--report", folder / "out"]
    command += ["--noise", folder / "noise", "--snr", "clean,50"]
    result = CliRunner().invoke(hark, [str(part) for part in command], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in (folder / "out").iterdir()] == ["index.html"]
    return folder / "out" / "index.html"


def test_nothing_is_loaded_from_elsewhere(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    loaded = [a[name] for _, a in page.elements for name in LOADED if name in a]
    assert loaded
    assert all(value.startswith("data:") for value in loaded)
    assert not re.search(r"url\(|@import|https?://|//[a-z]+\.", re.sub(r'src="data:[^"]*"', "", text))
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_plots_and_examples(report: Path) -> None:
    page = Page(report.read_text(encoding="utf-8"))
    assert len(page.all("svg", "det")) == 1 + 2
    assert len(page.all("svg", "histogram")) == 2
    assert len(page.all("polyline", "c1")) == 1  # the second condition
    assert len(page.all("audio")) == len(page.all("svg", "trace")) == 1 + 1  # the missed clip once, the false accept
    for element in page.all("audio"):
        kind, _, data = element["src"].partition(",")
        assert kind == "data:audio/ogg;base64"
        sound, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert rate_hz == RATE_HZ
        assert 1.0 < len(sound) / rate_hz <= 5.0
        assert np.abs(sound).max() > 0.05


def test_the_example_is_the_event(report: Path) -> None:
    """The false accept's sound holds the tone of "low"."""
    last = Page(report.read_text(encoding="utf-8")).all("audio")[-1]
    sound, _ = soundfile.read(io.BytesIO(base64.b64decode(last["src"].partition(",")[2])))
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) * RATE_HZ / len(sound) == pytest.approx(440, abs=5)


def test_every_line_has_a_colour(tmp_path: Path, tiny_model: Path, say: Callable[..., Sound]) -> None:
    (tmp_path / "words/low").mkdir(parents=True)
    soundfile.write(tmp_path / "words/low/a.wav", say(0.1, "low", 0.1), RATE_HZ)
    soundfile.write(tmp_path / "hiss.wav", say(0.5) + 9, RATE_HZ)
    (tmp_path / "noise").mkdir()
    (tmp_path / "hiss.wav").rename(tmp_path / "noise/hiss.wav")
    command = ["eval", "stream", "--model", tiny_model, "--jobs", 1, "--cache", tmp_path / "cache"]
    command += ["--positives", tmp_path / "words", "--negatives", tmp_path / "noise", "--report", tmp_path]
    command += ["--noise", tmp_path / "noise", "--snr", "60,55,50,45,40,35,30"]
    result = CliRunner().invoke(hark, [str(part) for part in command], catch_exceptions=False)
    assert result.exit_code == 0
    lines = re.findall(r'<polyline class="line (c\d)"', (tmp_path / "index.html").read_text())
    assert lines[:7] == ["c0", "c1", "c2", "c3", "c4", "c5", "c0"]


def test_names_of_files_are_text(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert "&lt;0&gt; &amp; co.wav" in text
    assert "<0>" not in text


# Looks at the page and tells the server what it saw by going there: its policy forbids any other way out.
PROBE = """
<script>
addEventListener("load", async () => {
  const sounds = [...document.querySelectorAll("audio")];
  const playable = await Promise.all(sounds.map(one => new Promise(resolve => {
    if (one.readyState >= 1) resolve(one.duration);
    one.addEventListener("loadedmetadata", () => resolve(one.duration));
    one.addEventListener("error", () => resolve(-1));
  })));
  const drawn = [...document.querySelectorAll("svg")].every(one => {
    const box = one.getBoundingClientRect();
    return box.width > 100 && box.height > 80;
  });
  const line = document.querySelector("svg.det .line").getBoundingClientRect();
  const seeked = new Promise(resolve => sounds[0].addEventListener("seeked", resolve));
  sounds[0].currentTime = 0.5;
  await seeked;
  const moved = sounds[0].parentElement.querySelector(".now").style.visibility;
  location.href = "/seen?" + encodeURIComponent(JSON.stringify({playable, drawn, line: line.width > 50, moved}));
});
</script></body>"""


@pytest.fixture
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no chromium on this machine (apt install chromium)")
    return found


@pytest.mark.slow
def test_in_a_browser(report: Path, browser: str, tmp_path: Path) -> None:
    """Served by a server that notes what is asked of it: the page alone. Plots have a size, each sound plays."""
    page = report.read_text(encoding="utf-8").replace("</body>", PROBE).encode()
    asked: list[str] = []
    seen = threading.Event()

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"" if self.path.startswith("/seen") else page)
            if self.path.startswith("/seen"):
                seen.set()

        def log_message(self, *_: object) -> None:
            pass

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [browser, *options, f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{server.server_port}/"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                assert seen.wait(120), asked
            finally:
                process.terminate()
        server.shutdown()
    assert asked[0] == "/"
    found = json.loads(unquote(asked[1].partition("?")[2]))
    assert found == {"playable": found["playable"], "drawn": True, "line": True, "moved": "visible"}
    assert len(found["playable"]) == 2
    assert all(1.0 < seconds <= 5.1 for seconds in found["playable"])
    assert [path for path in asked[2:] if path != "/favicon.ico"] == []  # of the empty page that it ends on
