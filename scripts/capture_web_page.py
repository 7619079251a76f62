"""Take the picture of the daemon's page: `hark daemon` hears the demo recording, a headless Chromium looks at it.

Needs chromium and `pip install 'tinyhark[daemon]'`. Nothing in the picture is made up: the events are those of the run.
"""

import argparse
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tinyhark.app.audio.files import read_sound

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import Browser  # noqa: E402
from waiting import free_port  # noqa: E402


def send(server: socket.socket, begin: threading.Event) -> None:
    """The demo recording in real time to whoever connects: its first second, the rest after `begin`."""
    sound = read_sound(ROOT / "app" / "demo" / "demo.opus")
    connection, _ = server.accept()
    with connection, suppress(ConnectionError):
        connection.sendall(sound[:32_000].tobytes())
        while not begin.wait(0.1):
            connection.sendall(sound[:1600].tobytes())
        start_s = time.monotonic()
        for first in range(0, len(sound), 640):
            connection.sendall(sound[first : first + 640].tobytes())
            time.sleep(max(0.0, start_s + first / 16_000 - time.monotonic()))


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", type=float, default=21.0, metavar="SECONDS", help="of the demo recording")
    parser.add_argument("--scheme", choices=("dark", "light"), default="dark")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures" / "web-page.png")
    options = parser.parse_args()
    begin = threading.Event()
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        port = free_port()
        config = Path(folder) / "hark.toml"
        address = f"127.0.0.1:{server.getsockname()[1]}"
        config.write_text(f'[audio]\nsource = "tcp"\naddress = "{address}"\n[http]\nport = {port}\n')
        threading.Thread(target=send, args=(server, begin), daemon=True).start()
        daemon = subprocess.Popen([sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(config)])
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.2)
            with Browser(Path(folder) / "browser") as browser:
                browser.open(f"http://127.0.0.1:{port}/")
                browser.picture(920, 720, options.scheme)
                begin.set()
                time.sleep(options.at)
                options.out.write_bytes(browser.picture(920, 720, options.scheme))
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main()
