"""The exported C on 32-bit ARM under QEMU: a Linux program, and bare images of Cortex-M boards."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tinyhark.app.model import Model
from tinyhark.export.c_export import export_c
from tinyhark.export.c_host import compile_c


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("c") / "commands"
    export_c(Model.load("commands"), out)
    return out


def test_32_bit_linux(folder: Path, tmp_path: Path) -> None:
    needs("arm-linux-gnueabihf-gcc", "qemu-arm")
    program = compile_c(
        folder, tmp_path / "hark_test", "arm-linux-gnueabihf-gcc", ["-static"], [str(folder / "test" / "hark_test.c")]
    )
    run = subprocess.run(["qemu-arm", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("ok  ") == 4


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m7"])
def test_boards(folder: Path, tmp_path: Path, core: str) -> None:
    needs("arm-none-eabi-gcc", "qemu-system-arm")
    command = ["sh", folder / "arm" / "run", core]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "BUILD": str(tmp_path)}
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("ok  ") == 4
    front_end = float(re.search(r"front end +([\d.]+) million", run.stdout)[1])
    flash = int(re.search(r"(\d+)\s+\d+\s+\d+\s+\d+\s+\w+\s+\(TOTALS\)", run.stdout)[1])
    state = int(re.search(r"state +(\d+) bytes", run.stdout)[1])
    stack = max(int(size) for size in re.findall(r"stack (\d+)", run.stdout))
    assert front_end < (30 if core == "cortex-m0plus" else 5.5), "an M0+ has no long multiplication"
    assert flash < 160_000
    assert state + 4 * stack < 40_000
