"""The example in docs/ runs, and the page names what there is."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tinyhark.app import Detection, FrontEnd, Model, Spotter

DOCS = Path(__file__).parents[1] / "docs"


def test_the_example_hears(tmp_path: Path, tiny_model: Path, say: Callable[..., NDArray[np.int16]]) -> None:
    soundfile.write(tmp_path / "said.wav", say(0.7, "low", 1.0, "high", 0.2), 16_000)
    command = [sys.executable, str(DOCS / "examples" / "spot.py"), str(tmp_path / "said.wav"), str(tiny_model)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["low", "high"]


def test_the_page_names_what_there_is() -> None:
    page = (DOCS / "api.md").read_text()
    homes = {"## Spotter": Spotter, "## Detection": Detection, "## Model": Model, "## FrontEnd": FrontEnd}
    for title, home in homes.items():
        section = page.split(title)[1].split("\n## ")[0]
        public = {name for name in vars(home) if not name.startswith("_")}
        missing = {name for name in public if not re.search(rf"\b{name}\b", section)}
        assert missing <= {"bind", "cepstrum", "hop"}, title
