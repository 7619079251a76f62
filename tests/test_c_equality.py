"""The comparison of C with Python finds what differs, to the last frame, and says where."""

import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.dsp.front_end import Frames, FrontEnd
from tinyhark.export.c_equality import agreement, differing_features, score_of_one_code
from tinyhark.export.c_host import Heard

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_c_events.py"
DEMO = Path(__file__).parents[1] / "app" / "demo" / "demo.opus"
RATE_HZ = 16_000


@pytest.fixture
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


def heard(keyword: int, end_sample: int, score: int = 30_000) -> Heard:
    return Heard(keyword, score, 0, end_sample)


def test_the_same_events_agree(model: Model) -> None:
    events = [heard(0, 5000), heard(1, 9000)]
    made = agreement(events, list(events), model)
    assert (made.events, made.agree, made.same, made.differences) == (2, 2, 2, [])
    assert made.holds


def test_a_score_may_differ_by_what_one_code_makes(model: Model) -> None:
    one = score_of_one_code(model.metadata)
    near = agreement([heard(0, 5000)], [heard(0, 5000, 30_000 + one)], model)
    assert (near.agree, near.same) == (1, 0)
    far = agreement([heard(0, 5000)], [heard(0, 5000, 30_000 + one + 1)], model)
    assert (far.agree, len(far.differences)) == (0, 1)


def test_one_code_is_the_steepest_step_of_a_softmax_of_two(model: Model) -> None:
    table = np.array(model.metadata.posterior_table, float)
    steps = np.diff(1 / (1 + table / table[0])) * 2**15  # posteriors of logits that differ by 0, 1, 2, ... codes
    assert score_of_one_code(model.metadata) >= steps.max()
    assert score_of_one_code(model.metadata) < 1.02 * steps.max() + 2


def test_what_one_side_did_not_hear_or_heard_later_is_listed(model: Model) -> None:
    made = agreement([heard(0, 5000), heard(1, 9000)], [heard(0, 5640), heard(1, 9000)], model)
    assert (made.events, made.agree) == (3, 1)
    assert made.differences == [
        "0.312 s (sample 5000), low: 0.9155 in Python, nothing in C",
        "0.352 s (sample 5640), low: nothing in Python, 0.9155 in C",
    ]
    assert not made.holds


def test_counts_of_streams_add_up(model: Model) -> None:
    one = agreement([heard(0, 5000)], [], model)
    sum_of = one + agreement([heard(1, 9000)], [heard(1, 9000)], model)
    assert (sum_of.events, sum_of.agree, sum_of.same, len(sum_of.differences)) == (2, 1, 1, 1)


class Deaf(FrontEnd):
    """Hears silence."""

    def log_mel(self, audio: NDArray[np.int16]) -> Frames:
        return np.zeros_like(super().log_mel(audio))


@pytest.mark.parametrize("seconds", [0.5, 60, 61.3])
def test_features_are_compared_to_the_last_frame(seconds: float) -> None:
    sound = np.zeros(round(seconds * RATE_HZ) // 160 * 160 + 512, np.int16)  # ends with a frame
    assert differing_features(FrontEnd(), Deaf(), sound) == 0
    sound[-160:] = 1000  # in the last frame alone
    assert 0 < differing_features(FrontEnd(), Deaf(), sound) <= 80


@pytest.mark.slow
def test_the_script_over_made_sound(tmp_path: Path, say: Callable[..., NDArray[np.int16]]) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no cc here")
    noise = np.random.default_rng(1).normal(0, 1, 20 * RATE_HZ) * np.geomspace(10, 8000, 20 * RATE_HZ)
    sound = np.concatenate([say(0.5, "low", 1.0), noise.clip(-32768, 32767).astype(np.int16), say(0.5, "high")])
    with wave.open(str(tmp_path / "made.wav"), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    command = [sys.executable, SCRIPT, "--model", "commands-streaming", "--threshold", "0.3", DEMO, tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in run.stdout.splitlines() if "|" in line}
    assert set(rows) >= {"demo", tmp_path.stem, "all"}
    assert rows["all"][3] == "0"
    agree, events = rows["all"][-1].rstrip(" |").split(" of ")
    assert int(events) > 25
    assert int(agree) >= 0.999 * int(events)


def test_the_script_refuses_what_is_no_sound(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no cc here")
    command = [sys.executable, SCRIPT, "--model", "commands-streaming", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith(f"compare_c_events: {tmp_path}: no sound files in this folder")
    assert run.stderr.count("\n") == 1
