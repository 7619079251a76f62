"""The same sound gives the same detections live (`hark demo`, `hark listen`), from a file, and where it is measured."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.audio.files import read_sound
from tinyhark.app.cli import hark
from tinyhark.app.detection import Detection
from tinyhark.app.evaluation import farm
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.scores import hear
from tinyhark.app.evaluation.streams import Clip, Stream
from tinyhark.app.live import Block, Playback, Watcher, run
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]

FIELDS = ("keyword", "score", "start_sample", "end_sample", "time_s", "model")
SHIPPED = Path(__file__).parents[1] / "app/demo/demo.opus"


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.3, "low", 0.5, "high", 0.2)


def hark_json(*arguments: object) -> str:
    return CliRunner().invoke(hark, [*map(str, arguments)], catch_exceptions=False).stdout


def offline(*arguments: object) -> list[list[Any]]:
    events = map(json.loads, hark_json("detect", "--json", *arguments).splitlines())
    return [[event[field] for field in FIELDS] for event in events]


def live(*arguments: object) -> list[list[Any]]:
    result = json.loads(hark_json("demo", "--json", *arguments))
    return [[event[field] for field in FIELDS] for event in result["detections"]]


def evaluated(file: Path, model: Model, cache: Path) -> list[list[Any]]:
    """What `hark eval stream` counts of a recording at the model's own parameters."""
    [heard], problems = hear(model, [Stream.recording(Clip(file), "", "")], Cache(cache), farm.here, lambda _: None)
    assert not problems
    parameters = [model.metadata.keywords[keyword].parameters() for keyword in model.keywords]
    replay = heard.replay(parameters, model.metadata.exclusion_ms)
    firings = replay.firings([one.threshold for one in parameters])
    return [[model.keywords[firing.keyword], heard.timing.end_sample(firing.step)] for firing in firings]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_in_real_time(tiny_model: Path, tmp_path: Path, sound: Sound, rate_hz: int) -> None:
    file = tmp_path / "said.wav"
    soundfile.write(file, soxr.resample(sound, 16_000, rate_hz), rate_hz)
    expected = offline(file, "--model", tiny_model)
    assert [event[0] for event in expected] == ["low", "high"]
    heard = live(file, "--model", tiny_model)
    assert heard == expected
    assert evaluated(file, Model.load(tiny_model), tmp_path) == [[event[0], event[3]] for event in heard]


def test_the_shipped_model_on_the_recording_that_comes_along(tmp_path: Path) -> None:
    expected = offline(SHIPPED)
    assert len(expected) > 20
    assert live(SHIPPED, "--fast") == expected
    assert evaluated(SHIPPED, Model.load("commands"), tmp_path) == [[event[0], event[3]] for event in expected]


class Stalling:
    """A clock of a machine that is held up now and then, by the given seconds."""

    def __init__(self, stalls_s: list[float]) -> None:
        self._stalls_s, self._calls, self.now = stalls_s, 0, 0.0

    def __call__(self) -> float:
        self._calls += 1
        self.now += self._stalls_s[self._calls % len(self._stalls_s)]
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    stalls_s=st.lists(st.sampled_from([0.0, 0.001, 0.03, 0.5]), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 40_000), max_size=20),
)
def test_a_slow_machine_changes_nothing(model: Model, sound: Sound, stalls_s: list[float], cuts: list[int]) -> None:
    clock = Stalling(stalls_s)
    playback = Playback(np.split(sound, sorted(cuts)), paced=True, clock=clock, sleep=clock.sleep)
    heard = list(run(Spotter(model), playback, Watcher()))
    assert heard == from_file(model, sound)
    assert [detection.keyword for detection in heard] == ["low", "high"]


def from_file(model: Model, sound: Sound) -> list[Detection]:
    spotter = Spotter(model)
    return spotter.feed(sound) + spotter.finish()


def test_lost_sound_is_as_if_the_rest_had_come_alone(model: Model, sound: Sound) -> None:
    class Gap:
        def blocks(self) -> Iterator[Block]:
            yield Block(sound[:7_000])
            yield Block(sound, lost_samples=5_000)

        def lag_s(self) -> float:
            return 0.0

    heard = list(run(Spotter(model), Gap(), Watcher()))
    expected = from_file(model, sound)
    assert [(d.keyword, d.score, d.end_sample - 12_000) for d in heard] == [
        (d.keyword, d.score, d.end_sample) for d in expected
    ]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_real_recordings_live_and_from_the_file(data_dir: Path, tmp_path: Path, seed: int) -> None:
    """Words of other people in a row, with the shipped model, in real time."""
    rng = np.random.default_rng(seed)
    files = sorted((data_dir / "speech-commands/validation").glob("*/*.flac"))
    said = np.concatenate([read_sound(files[i]) for i in rng.choice(len(files), 12, replace=False)])
    soundfile.write(tmp_path / "said.flac", said, 16_000)
    expected = offline(tmp_path / "said.flac")
    assert expected
    assert live(tmp_path / "said.flac") == expected
    shipped = evaluated(tmp_path / "said.flac", Model.load("commands"), tmp_path)
    assert shipped == [[event[0], event[3]] for event in expected]
