"""What the shipped wake words promise: size, origin, figures in the file, silence; on recordings where they are."""

from pathlib import Path

import numpy as np
import pytest

from tinyhark.app.audio.files import read_sound
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.quantize import to_int16

SECOND = 16_000


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load("wake")


def test_it_is_small_and_says_where_it_comes_from(model: Model) -> None:
    assert model.size_bytes <= 120_000
    assert model.keywords == ["computer", "jarvis", "alexa", "snowboy"]
    assert model.metadata.licence == "Apache-2.0"
    licences = {source.licence for source in model.metadata.provenance.data}
    assert licences <= {"Apache-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "own"}
    model.verify()


def test_its_thresholds_have_figures(model: Model) -> None:
    for keyword, spec in model.metadata.keywords.items():
        assert len(spec.operating_points) == 3, keyword
        for point in spec.operating_points:
            assert point.threshold == spec.threshold
            assert point.hours > 4
            assert point.count > 200
            assert point.miss_interval[0] <= point.miss_rate <= point.miss_interval[1]


@pytest.mark.parametrize("level_db", [None, -60.0, -20.0, 0.0])
def test_silence_and_noise_wake_nobody(model: Model, level_db: float | None) -> None:
    sound = np.zeros(20 * SECOND)
    if level_db is not None:
        sound = np.random.default_rng(3).standard_normal(len(sound)) * 10 ** (level_db / 20) / 3
    spotter = Spotter(model)
    assert spotter.feed(to_int16(np.clip(sound, -1, 0.9999))) + spotter.finish() == []


def test_beside_the_commands_it_hears_what_it_hears_alone(model: Model, data_dir: Path) -> None:
    files = sorted((data_dir / "wake-phrases" / "jarvis").iterdir())[:5]
    sound = np.concatenate([np.concatenate([np.zeros(SECOND, np.int16), read_sound(file)]) for file in files])
    alone, both = Spotter(model), Spotter([model, "commands"])
    expected = [d.end_sample for d in alone.feed(sound) + alone.finish()]
    found = [d.end_sample for d in both.feed(sound) + both.finish() if d.keyword == "jarvis"]
    assert found == expected
    assert len(found) >= 4


@pytest.mark.slow
def test_most_recordings_wake_it_and_hardly_any_twice(model: Model, data_dir: Path) -> None:
    """A guard against a broken file, not a figure: it was trained on these; docs/models.md has those out of fold."""
    for keyword in model.keywords:
        files = sorted((data_dir / "wake-phrases" / keyword).iterdir())[::6]
        heard = 0
        for file in files:
            spotter = Spotter(model)
            sound = np.concatenate([np.zeros(SECOND, np.int16), read_sound(file), np.zeros(SECOND, np.int16)])
            found = [d.keyword for d in spotter.feed(sound) + spotter.finish()]
            assert len(found) <= 1, (file.name, found)
            heard += found == [keyword]
        assert heard / len(files) > 0.9, keyword
