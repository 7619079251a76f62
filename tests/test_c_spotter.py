"""The shipped model in C beside Python: the same features, decisions and events, and no sanitizer report."""

import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.app.audio.files import read_sound
from tinyhark.app.model import Model
from tinyhark.dsp.decision import Decision
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.posterior import posteriors
from tinyhark.dsp.quantize import quantize
from tinyhark.export.c_export import TEMPLATES, export_c
from tinyhark.export.c_host import CProject, compile_c, heard_by_python

Sound = NDArray[np.int16]
VECTORS = Path(__file__).with_name("vectors") / "front-end-vectors.npz"
DEMO = Path(__file__).parents[1] / "app" / "demo" / "demo.opus"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load("commands")


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("c") / "commands"
    export_c(model, out)
    return out


@pytest.fixture(scope="module", params=["gcc", "clang"])
def project(request: pytest.FixtureRequest, folder: Path, model: Model) -> CProject:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} here")
    return CProject(folder, model.metadata, request.param)


@pytest.fixture(scope="module")
def demo() -> Sound:
    return read_sound(DEMO)


def test_golden_vectors(project: CProject) -> None:
    vectors = np.load(VECTORS)
    names = [name.removesuffix("/audio") for name in vectors.files if name.endswith("/audio")]
    assert len(names) == 26
    for name in names:
        log_mel, mfcc = project.features(vectors[f"{name}/audio"])
        np.testing.assert_array_equal(log_mel, vectors[f"{name}/log_mel"], name)
        np.testing.assert_array_equal(mfcc, vectors[f"{name}/mfcc"][:, : mfcc.shape[1]], name)


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_golden_vectors_in_any_number_of_lanes(
    folder: Path, model: Model, tmp_path: Path, compiler: str, lanes: int
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    copy = shutil.copytree(folder, tmp_path / "c")
    test_golden_vectors(CProject(copy, model.metadata, compiler, [f"-DHARK_LANES={lanes}"]))


def test_made_sound_of_all_levels(project: CProject, model: Model) -> None:
    rng = np.random.default_rng(2)
    front_end = FrontEnd(model.metadata.front_end.hop, model.metadata.front_end.n_mfcc)
    level = 2.0 ** rng.uniform(-1, 15, 100).repeat(1600)
    sound = np.clip(np.rint(rng.standard_normal(len(level)) * level), -32768, 32767).astype(np.int16)
    log_mel, mfcc = project.features(sound)
    np.testing.assert_array_equal(log_mel, front_end.log_mel(sound))
    np.testing.assert_array_equal(mfcc, front_end.mfcc(sound))


def test_logits_of_the_demo(project: CProject, model: Model, demo: Sound) -> None:
    meta = model.metadata
    mfcc = FrontEnd(meta.front_end.hop, meta.front_end.n_mfcc).mfcc(demo)
    features = quantize(mfcc, np.array(meta.offset), np.array(meta.multiplier))
    starts = np.linspace(0, len(features) - meta.window_frames, 300).astype(int)
    windows = np.stack([np.ascontiguousarray(features[s : s + meta.window_frames].T) for s in starts])
    difference = np.abs(project.logits(windows) - np.stack([model.infer(w) for w in windows]).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


def test_decisions_of_given_logits(project: CProject, model: Model) -> None:
    meta, rng = model.metadata, np.random.default_rng(6)
    steps, labels = 3000, len(meta.labels)
    logits = rng.integers(-100, 60, (steps, labels))
    for first in range(0, steps, 25):
        logits[first : first + int(rng.integers(3, 25)), rng.integers(labels)] = rng.integers(80, 128)
    codes = logits.astype(np.int8)
    shares = posteriors(codes, np.array(meta.posterior_table))
    columns = [meta.labels.index(word) for word in model.keywords]
    hop, stride = meta.front_end.hop, meta.stride_frames
    parameters = [meta.keywords[word].parameters() for word in model.keywords]
    decision = Decision(parameters, stride * hop, meta.exclusion_ms)
    made = [decision.step(row[columns], ((i + 1) * stride - 1) * hop + 512) for i, row in enumerate(shares)]
    wanted = [(s.fired, int(s.scores[s.fired] * 32768), s.end_sample) for s in made if s.fired is not None]
    assert len(wanted) > 50
    assert [(h.keyword, h.score, h.end_sample) for h in project.decide(codes)] == wanted


def test_events_of_the_demo_in_odd_chunks_with_a_gap(project: CProject, model: Model, demo: Sound) -> None:
    sound = demo[: 24 * RATE_HZ]
    rng = np.random.default_rng(3)
    ends = np.sort(rng.integers(0, len(sound), 200))
    parts: list[Sound | int] = [*np.split(sound, ends)]
    parts.insert(120, 12_345)
    wanted = heard_by_python(model, parts)
    assert len(wanted) >= 3
    assert project.spot(parts) == wanted
    assert project.spot(parts) == wanted, "as new after the end of a stream"


@pytest.mark.slow
def test_events_of_the_whole_demo(project: CProject, model: Model, demo: Sound) -> None:
    assert project.spot([demo]) == heard_by_python(model, [demo])


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["negatives/*.opus", "wake-phrases/*/*"])
def test_events_and_features_of_recordings(project: CProject, model: Model, data_dir: Path, pattern: str) -> None:
    front_end = FrontEnd(model.metadata.front_end.hop, model.metadata.front_end.n_mfcc)
    paths = sorted(data_dir.glob(pattern))
    assert paths
    for path in paths[:: max(1, len(paths) // 20)]:
        sound = read_sound(path, 60 * RATE_HZ)
        np.testing.assert_array_equal(project.features(sound)[1], front_end.mfcc(sound), path.name)
        assert project.spot([sound]) == heard_by_python(model, [sound]), path.name


@pytest.mark.parametrize(("compiler", "lanes"), [("gcc", 1), ("clang", 1), ("gcc", 8)])
def test_no_sanitizer_has_anything_to_say(
    folder: Path, model: Model, demo: Sound, tmp_path: Path, compiler: str, lanes: int, say: Callable[..., Sound]
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    flags = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-DHARK_LANES={lanes}")
    sources = {"hark_test": "test/hark_test.c", "hark_wav": "examples/hark_wav.c"}
    for program, source in sources.items():
        compile_c(folder, tmp_path / program, compiler, flags, [str(TEMPLATES / source)])
    assert subprocess.run([tmp_path / "hark_test"], capture_output=True, check=False).returncode == 0
    sound = np.concatenate([np.full(3000, -32768, np.int16), say(0.5, "low"), demo[: 6 * RATE_HZ]])
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    run = subprocess.run([tmp_path / "hark_wav", tmp_path / "sound.wav"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    words = [line.split()[-1] for line in run.stdout.splitlines()]
    assert words == [model.keywords[heard.keyword] for heard in heard_by_python(model, [sound])]
