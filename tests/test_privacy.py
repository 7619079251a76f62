"""What the daemon opens and writes, as the kernel sees it: its system calls, and a sandbox where there is nothing."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Sound = NDArray[np.int16]

DEMO = Path(__file__).parents[1] / "app" / "demo" / "demo.opus"
WAIT_S = 120
CALLS = "%network,%file,?io_uring_setup"
# Debian's PortAudio asks for a JACK server whenever it lists devices; its library keeps an empty database there.
JACK_DATABASE = f"/dev/shm/jack_db-{os.getuid()}"
JACK_SERVER = "/dev/shm/jack_default"

# Nothing can be written but to what is open already; then the program.
READ_ONLY = 'while read -r _ place _; do mount -o remount,bind,ro "$place" 2>/dev/null; done </proc/mounts; exec "$@"'

_CALL = re.compile(r"(\w+)\((.*?)\)? += (-?\w+|\?)")
_SOCKETS = {"socket", "socketpair"}
_OPENS = {"open", "openat", "openat2"}
_HARMLESS = {"access", "faccessat", "faccessat2", "stat", "lstat", "newfstatat", "statx", "statfs", "readlink"}
_HARMLESS |= {"readlinkat", "execve", "getcwd", "chdir", "inotify_add_watch"}
_HARMLESS |= {"connect", "bind", "accept4", "getsockname", "getpeername", "sendto", "sendmsg", "recvfrom", "recvmsg"}
_HARMLESS |= {"getsockopt", "setsockopt", "shutdown", "listen", *_SOCKETS}


@dataclass
class Seen:
    """What processes did: families of their sockets, whom they reached by AF_UNIX, what they changed on disk."""

    families: set[str] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        """One line of strace."""
        call = _CALL.match(line)
        if call is None:
            return
        name, arguments, result = call.groups()
        self.peers.update(re.findall(r'sun_path=(@?"[^"]*")', arguments))
        if name in _SOCKETS:
            self.families.add(arguments.split(",")[0])
        elif "io_uring" in name:
            self.families.add(name)  # what it opens, strace does not see
        changes = re.search("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", arguments) if name in _OPENS else name not in _HARMLESS
        if changes and not result.startswith("-"):
            self.written.update(re.findall(r'"([^"]*)"', arguments)[:1])


def seen_in(folder: Path) -> Seen:
    """What strace wrote into a folder, a file for each process and thread; waits for the end of all."""
    due_s = time.monotonic() + WAIT_S
    while not all(re.search(r"^\+\+\+ ", text, re.MULTILINE) for text in texts(folder)):
        assert time.monotonic() < due_s
        time.sleep(0.1)
    seen = Seen()
    for line in "\n".join(texts(folder)).splitlines():
        seen.add(line)
    return seen


def texts(folder: Path) -> list[str]:
    return [file.read_text(errors="replace") for file in folder.iterdir()]


class Daemon:
    """`hark daemon`, started by another program or none, with a folder of its own."""

    def __init__(self, folder: Path, before: list[str], configuration: str, environment: dict[str, str]) -> None:
        (folder / "hark.toml").write_text(configuration)
        self.out = folder / "out.jsonl"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "tinyhark.app", "daemon", "--config", str(folder / "hark.toml")],
                # What pip installs is compiled already; a checkout would be now.
                env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stderr
        self._log = self.process.stderr

    def wait_for(self, message: str) -> None:
        """Read the log up to this message."""
        for line in self._log:
            if json.loads(line)["message"] == message:
                return
        pytest.fail(f"it ended without a word of {message!r}")

    def keywords(self, at_least: int) -> list[str]:
        """What was heard, as soon as that is so many."""
        due_s = time.monotonic() + WAIT_S
        while len(lines := self.out.read_text().split("\n")[:-1]) < at_least:
            assert time.monotonic() < due_s
            time.sleep(0.1)
        return [json.loads(line)["keyword"] for line in lines]

    def stop(self) -> None:
        """By SIGTERM, as systemd does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT_S) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """`start(before, configuration, environment)`: a Daemon that ends with the test."""
    running: list[Daemon] = []

    def make(*arguments: Any) -> Daemon:
        running.append(Daemon(tmp_path, *arguments))
        return running[-1]

    yield make
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait(WAIT_S)
        daemon._log.close()


@pytest.fixture
def strace(tmp_path: Path) -> list[str]:
    """The command before a command that writes what its processes do into `tmp_path / "calls"`."""
    if shutil.which("strace") is None:
        pytest.skip("not installed: strace (Debian: strace)")
    (tmp_path / "calls").mkdir()
    # -D: the program, not strace, is our child, and gets our signals.
    command = ["strace", "-D", "-ff", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(tmp_path / "calls" / "of")]
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not be used here: {tried.stderr.strip()}")
    return command


@pytest.mark.slow
def test_a_minute_of_speech_opens_no_network_socket_and_writes_no_file(
    tmp_path: Path, sound_server: Callable[[int], Any], strace: list[str], start: Callable[..., Daemon]
) -> None:
    server = sound_server(44_100)
    notify = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(notify)
        reader = threading.Thread(target=lambda: all(iter(lambda: manager.recv(4096), b"STOPPING=1")))
        reader.start()
        daemon = start(strace, "[stdout]\n", server.environment | {"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": "1000000"})
        daemon.wait_for("opened")
        server.play(DEMO)  # 71 s
        assert len(daemon.keywords(20)) >= 20
        daemon.stop()
        reader.join(WAIT_S)
    seen = seen_in(tmp_path / "calls")
    assert seen.families == {"AF_UNIX"}
    pulse = f"{server.environment['XDG_RUNTIME_DIR']}/pulse/native"
    peers = {peer for peer in seen.peers if not peer.startswith(f'"{JACK_SERVER}')}
    assert peers == {f'"{pulse}"', f'"{notify}"'}
    written = {path for path in seen.written if path != JACK_DATABASE and not path.startswith(f"{JACK_DATABASE}/")}
    assert written <= {"/dev/null"}


@pytest.mark.slow
def test_what_is_configured_is_seen(
    tmp_path: Path, strace: list[str], start: Callable[..., Daemon], tiny_model: Path, say: Callable[..., Sound]
) -> None:
    """The same eyes see a network socket and a written file where the configuration asks for them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT_S)
        hook = f'[exec]\nrun = {{ "*" = ["sh", "-c", "cat > {tmp_path}/heard"] }}'
        audio = f'[audio]\nsource = "tcp"\naddress = "127.0.0.1:{server.getsockname()[1]}"'
        daemon = start(strace, f'{audio}\n[model]\nname = "{tiny_model}"\n[stdout]\n{hook}\n', dict(os.environ))
        peer, _ = server.accept()
        with closing(peer):
            for block in np.array_split(say(1.5, "low", 1.0), 36):  # 80 ms each; what comes faster is dropped
                peer.sendall(block.tobytes())
                time.sleep(0.08)
            assert daemon.keywords(1) == ["low"]
            daemon.stop()
    seen = seen_in(tmp_path / "calls")
    assert "AF_INET" in seen.families
    assert f"{tmp_path}/heard" in seen.written


@pytest.mark.slow
def test_without_a_network_and_where_nothing_can_be_written_it_hears(
    tmp_path: Path,
    sound_server: Callable[[int], Any],
    start: Callable[..., Daemon],
    tiny_model: Path,
    say: Callable[..., Sound],
) -> None:
    sandbox = [
        "unshare",
        "--net",
        "--mount",
        *([] if os.getuid() == 0 else ["--map-root-user"]),
        "sh",
        "-c",
        READ_ONLY,
        "sh",
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*sandbox, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no namespaces can be made here")
    for attempt in (f"echo > {tmp_path}/x", "echo > /dev/shm/x"):
        done = subprocess.run([*sandbox, "sh", "-c", attempt], capture_output=True, text=True, check=False)
        assert "Read-only file system" in done.stderr, attempt
    server = sound_server(48_000)
    soundfile.write(tmp_path / "words.wav", say(3.0, "low", 1.0, "high", 1.0), 16_000)
    daemon = start(sandbox, f'[model]\nname = "{tiny_model}"\n[stdout]\n', server.environment)
    daemon.wait_for("opened")
    time.sleep(1)  # a sound server gives its first sound late
    server.play(tmp_path / "words.wav")
    assert daemon.keywords(2) == ["low", "high"]
    daemon.stop()


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ('openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 3', Seen()),
        ('openat(AT_FDCWD, "/a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3', Seen(written={"/a"})),
        ('openat(AT_FDCWD, "/a", O_RDWR) = -1 ENOENT (No such file or directory)', Seen()),
        ('mkdir("/a", 0770)                      = 0', Seen(written={"/a"})),
        ('rename("/a", "/b") = 0', Seen(written={"/a"})),
        ('newfstatat(AT_FDCWD, "/a", {st_mode=S_IFDIR|0755, st_size=4096, ...}, 0) = 0', Seen()),
        ("socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = -1 EAFNOSUPPORT", Seen(families={"AF_INET6"})),
        ("io_uring_setup(8, {flags=0, sq_thread_cpu=0}) = 3", Seen(families={"io_uring_setup"})),
        ('connect(3, {sa_family=AF_UNIX, sun_path=@"/x"}, 20) = 0', Seen(peers={'@"/x"'})),
        ('sendto(3, "a \\"b", 4, 0, {sa_family=AF_UNIX, sun_path="/n"}, 11) = 4', Seen(peers={'"/n"'})),
        ('sendto(3, "/a", 2, MSG_NOSIGNAL, NULL, 0) = 2', Seen()),
        ("+++ exited with 0 +++", Seen()),
    ],
)
def test_a_line_of_strace_is_read(line: str, seen: Seen) -> None:
    read = Seen()
    read.add(line)
    assert read == seen
