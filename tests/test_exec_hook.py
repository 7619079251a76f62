"""The outputs of the daemon that need no library: programs for keywords, JSON lines."""

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from waiting import until

from tinyhark.app.daemon.event import Event
from tinyhark.app.daemon.exec_hook import ExecHook
from tinyhark.app.daemon.output import JsonLines
from tinyhark.app.detection import Detection

WAIT_S = 60
WHEN = datetime(2026, 3, 1, 12, 30, 1, 250_000, UTC)


def event(keyword: str = "on") -> Event:
    return Event(Detection(keyword, 0.75, 1600, 17_600, "tones"), WHEN)


def idle(hook: ExecHook) -> Callable[[], bool]:
    return lambda: hook._slots._value == hook._at_most


def test_a_program_gets_the_event_in_its_environment_and_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/mine")
    out = tmp_path / "out"
    script = 'echo "$1 $HARK_KEYWORD $HARK_SCORE $HARK_MODEL $HARK_WALL_TIME $NOTIFY_SOCKET"; cat'
    hook = ExecHook({"on": ["sh", "-c", f"({script}) > {out}.part; mv {out}.part {out}", "sh", "$(reboot) a"]}, 30, 1)
    hook.event(event())
    until(out.exists)
    facts, line = out.read_text().splitlines()
    assert facts == "$(reboot) a on 0.7500 tones 2026-03-01T12:30:01.250+00:00 "
    assert json.loads(line) == {
        "wall_time": "2026-03-01T12:30:01.250+00:00",
        "keyword": "on",
        "score": 0.75,
        "start_sample": 1600,
        "end_sample": 17_600,
        "model": "tones",
        "time_s": 1.1,
    }


def test_each_keyword_has_its_own_program(tmp_path: Path) -> None:
    hook = ExecHook({"on": ["touch", str(tmp_path / "a")], "*": ["touch", str(tmp_path / "b")]}, 30, 3)
    hook.event(event("off"))
    until((tmp_path / "b").exists)
    assert not (tmp_path / "a").exists()
    hook.event(event("on"))
    until((tmp_path / "a").exists)
    quiet = ExecHook({"on": ["touch", str(tmp_path / "c")]}, 30, 3)
    quiet.event(event("off"))
    assert idle(quiet)()


def test_what_takes_too_long_is_killed_with_all_it_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pid = tmp_path / "pid"
    hook = ExecHook({"on": ["sh", "-c", f"sleep 600 & echo $! > {pid}.part; mv {pid}.part {pid}; wait"]}, 3, 1)
    hook.event(event())
    until(pid.exists)
    until(idle(hook))
    assert [record.getMessage() for record in caplog.records] == ["exec: on: sh was killed after 3 s"]
    child = int(pid.read_text())
    until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_so_many_run_at_once_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    hook = ExecHook({"*": ["cat", str(go)]}, 60, 2)
    for _ in range(5):
        hook.event(event())
    assert hook.left_out == 3
    assert caplog.messages == ["exec: on: left out, 2 programs are still running"] * 3
    until(lambda: len(hook._running) == 2)
    hook.stop()
    until(idle(hook))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["false"], "exec: on: false ended with status 1"),
        (["/no/such/program"], "exec: on: /no/such/program cannot be run: No such file or directory"),
        (["/etc/passwd"], "exec: on: /etc/passwd cannot be run: Permission denied"),
    ],
)
def test_what_goes_wrong_is_one_line_and_no_more(
    command: list[str], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook = ExecHook({"on": command}, 30, 1)
    hook.event(event())
    until(lambda: caplog.messages)
    until(idle(hook))
    assert caplog.messages == [line]


def test_a_program_that_closes_its_input_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    hook = ExecHook({"on": ["true"]}, 30, 1)
    for _ in range(3):
        hook.event(event())
        until(idle(hook))
    assert caplog.messages == []


def test_json_lines_reach_their_reader_and_never_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reading, writing = os.pipe()
    lines = JsonLines(writing)
    for _ in range(2000):  # more than the pipe holds
        lines.event(event())
    assert 0 < lines.dropped < 2000
    assert caplog.messages == ["stdout: events are lost: its reader does not read"]
    held = os.read(reading, 1 << 20).decode()
    assert held.count("\n") == 2000 - lines.dropped
    assert all(json.loads(line)["keyword"] == "on" for line in held.splitlines())
    lines.event(event("off"))
    assert json.loads(os.read(reading, 4096))["keyword"] == "off"
    os.close(reading)
    for _ in range(3):
        lines.event(event())
    assert caplog.messages[1:] == ["stdout: events are lost: Broken pipe"]
    os.close(writing)


def test_hooks_do_not_inherit_what_is_open(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"):
        hook = ExecHook({"on": ["sh", "-c", f"ls -l /proc/self/fd > {tmp_path}/fds"]}, 30, 1)
        hook.event(event())
        until(idle(hook))
    assert "secret" not in (tmp_path / "fds").read_text()
