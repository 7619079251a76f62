"""The daemon over a longer time, as `scripts/soak.py` runs it for a day: the same, for a minute each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOAK = Path(__file__).parents[1] / "scripts" / "soak.py"
WAIT_S = 600

pytestmark = pytest.mark.slow


def soaked(run: str, minutes: float, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(SOAK), run, "--minutes", str(minutes), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_sound_at_full_speed_makes_no_memory_grow_and_every_event_comes_at_its_sample() -> None:
    facts = soaked("speed", 20)
    assert facts["events"] == 10 * facts["events_a_loop"] > 100
    assert facts["last_kb"]["anonymous"] > 5000


@pytest.mark.parametrize("options", [(), ("--microphone",)], ids=["tcp", "microphone"])
def test_sound_in_real_time_is_heard_in_time(options: tuple[str, ...]) -> None:
    facts = soaked("paced", 0.5, *options)
    assert facts["events"] >= 5
    assert 0 < facts["delay_s"]["most"] < 1


@pytest.mark.parametrize("options", [(), ("--microphone",)], ids=["tcp", "microphone"])
def test_too_little_time_loses_sound_and_is_never_a_second_behind(options: tuple[str, ...]) -> None:
    facts = soaked("overload", 0.8, *options)
    assert facts["lost_s"] > 0
    assert 0 < facts["delay_s"]["most"] < 1
