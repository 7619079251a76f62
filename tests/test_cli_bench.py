"""`hark bench`: the parts add up to about the whole, and memory stays small."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, say: Callable[..., NDArray[np.int16]]) -> Path:
    path = tmp_path_factory.mktemp("bench") / "said.wav"
    soundfile.write(path, say(1.0, "low", 1.0, "high", 1.0), 16_000)
    return path


def bench(*arguments: object) -> str:
    command = [sys.executable, "-m", "tinyhark.app", "bench", "--repeats", "1", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_json(file: Path, tiny_model: Path) -> None:
    got: dict[str, Any] = json.loads(bench(file, "--model", tiny_model, "--json"))
    total, parts = got["total_cpu_ms_per_s"], [got[f"{p}_cpu_ms_per_s"] for p in ("front_end", "network", "decision")]
    assert min(parts) > 0
    assert 0.2 * total < sum(parts) < 3 * total  # far apart, as the machine may be busy
    assert got["keywords"] == 2
    assert 18 < got["sound_s"] < 23  # repeated from 3.8 s
    if "peak_resident_mb" in got:
        assert 20 < got["resident_mb"] <= got["peak_resident_mb"] < 80


def test_text(file: Path, tiny_model: Path) -> None:
    lines = bench(file, "--model", tiny_model, "--chunk-ms", 40).splitlines()
    assert lines[0].split() == ["model", "tones,", "2", "keywords"]
    assert lines[1].startswith("CPU ")
    assert lines[1].endswith(" ms per second of sound")
    assert "chunks of 40 ms, median of 1" in lines[-1]
