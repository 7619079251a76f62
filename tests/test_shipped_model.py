"""What the shipped model promises: size, cost, hearing; on recordings where they are, on made sound everywhere."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from tinyhark.app.audio.files import read_blocks, read_sound
from tinyhark.app.detection import Detection
from tinyhark.app.evaluation.clips import Balance, evaluate_clips
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.front_end import Samples
from tinyhark.dsp.quantize import to_int16

SECOND = 16_000
STRIDES = 1  # by how much the times of other forms of the same sound may differ


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load("commands")


@pytest.fixture(scope="module")
def demo() -> Path:
    import tinyhark.app.commands.demo as command

    return next((Path(command.__file__).parent.parent / "demo").glob("demo.opus"))


def detections(model: Model, sound: Samples, chunk: int = SECOND) -> list[Detection]:
    spotter = Spotter(model)
    found = [d for first in range(0, len(sound), chunk) for d in spotter.feed(sound[first : first + chunk])]
    return found + spotter.finish()


def noise(kind: str, level_db: float, seconds: int = 20) -> Samples:
    rng = np.random.default_rng(5)
    spectrum = rng.standard_normal(seconds * SECOND // 2 + 1) + 1j * rng.standard_normal(seconds * SECOND // 2 + 1)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    sound = np.fft.irfft(spectrum)
    return to_int16(np.clip(sound / sound.std() * 10 ** (level_db / 20), -1, 0.99997))


def test_it_is_small_and_says_where_it_comes_from(model: Model) -> None:
    assert model.size_bytes <= 100_000
    assert model.keywords == ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
    assert model.metadata.licence == "Apache-2.0"
    assert int(model.metadata.provenance.metrics["multiply_accumulates_window"]) <= 10_000_000
    assert float(model.metadata.provenance.metrics["float_same_winner"]) >= 0.995
    assert {source.licence for source in model.metadata.provenance.data} <= {
        "Apache-2.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "CC0-1.0",
        "own",
    }
    model.verify()


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("level_db", [-60.0, -40.0, -20.0, -6.0, 6.0])
def test_noise_is_no_keyword(model: Model, kind: str, level_db: float) -> None:
    assert detections(model, noise(kind, level_db)) == []


def test_digital_silence_is_no_keyword(model: Model) -> None:
    assert detections(model, np.zeros(20 * SECOND, np.int16)) == []


@pytest.mark.parametrize("number", range(6))
def test_the_kept_part_of_each_noise_recording_is_no_keyword(model: Model, data_dir: Path, number: int) -> None:
    files = sorted((data_dir / "speech-commands" / "noise").glob("*.flac"))
    sound = read_sound(files[number]).astype(np.float64) / 32768
    loud = to_int16(np.clip(sound[int(0.7 * len(sound)) :] * 10 ** (12 / 20), -1, 0.99997))
    assert detections(model, loud) == []


@pytest.mark.parametrize("chunk", [1, 7, 160, 1000, 16000])
def test_every_chunking_gives_the_same_events(model: Model, demo: Path, chunk: int) -> None:
    sound = read_sound(demo)[: 12 * SECOND]
    whole = detections(model, sound, len(sound))
    assert len(whole) >= 3
    assert detections(model, sound, chunk) == whole


def forms(sound: Samples) -> Iterator[tuple[str, int, str, NDArray[np.float64]]]:
    """(name, rate, soundfile subtype, [n, channels] float) of the same sound."""
    real = sound.astype(np.float64) / 32768
    for rate in (16_000, 44_100, 48_000):
        for channels in (1, 2):
            for subtype in ("PCM_16", "PCM_24", "FLOAT"):
                other = real if rate == SECOND else soxr.resample(real, SECOND, rate)
                yield f"{rate}-{channels}-{subtype}", rate, subtype, np.tile(other[:, None], (1, channels))


def test_rates_channels_and_widths_give_the_same_events(model: Model, demo: Path, tmp_path: Path) -> None:
    sound = read_sound(demo)[: 20 * SECOND]
    expected = detections(model, sound)
    stride_samples = model.metadata.stride_frames * model.metadata.front_end.hop
    for name, rate, subtype, other in forms(sound):
        file = tmp_path / f"{name}.wav"
        soundfile.write(file, other, rate, subtype=subtype)
        found = detections(model, np.concatenate(list(read_blocks(file))))
        assert [d.keyword for d in found] == [d.keyword for d in expected], name
        for one, two in zip(found, expected, strict=True):
            assert abs(one.end_sample - two.end_sample) <= STRIDES * stride_samples, name


def test_telephone_sound_still_works(model: Model, demo: Path, tmp_path: Path) -> None:
    sound = read_sound(demo)
    file = tmp_path / "8khz.wav"
    soundfile.write(file, soxr.resample(sound.astype(np.float64) / 32768, SECOND, 8_000), 8_000)
    wide, narrow = detections(model, sound), detections(model, np.concatenate(list(read_blocks(file))))
    assert len(narrow) >= len(wide) / 2


@pytest.mark.slow
def test_accuracy_on_validation_recordings(model: Model, data_dir: Path) -> None:
    folder = data_dir / "speech-commands"
    confusion, problems, _ = evaluate_clips(
        model, folder / "validation", Balance(folder / "noise", seed=0), lambda _done: None
    )
    assert not problems
    assert confusion.right / confusion.total >= 0.96
