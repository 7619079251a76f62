"""Scores: those of the spotter, heard once, kept on disk, and the same on one core, on many and on a cluster."""

import io
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import Farm, here, on_cores
from tinyhark.app.evaluation.measurement import Measurement
from tinyhark.app.evaluation.scenario import Scenario
from tinyhark.app.evaluation.scores import Heard, codes_of, hear, score, timing_of
from tinyhark.app.evaluation.streams import Clip, Stream
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter

Sound = NDArray[np.int16]
RATE_HZ = 16_000


@pytest.fixture
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture
def streams(tmp_path: Path, say: Callable[..., Sound]) -> list[Stream]:
    """Twelve clips in noise and clean, and some other sound."""
    for index in range(6):
        for word in ("low", "high"):
            path = tmp_path / f"in/{word}/{index}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, say(0.1 + 0.05 * index, word, 0.3), RATE_HZ)
    (tmp_path / "noise").mkdir()
    rng = np.random.default_rng(1)
    soundfile.write(tmp_path / "noise/hiss.wav", rng.integers(-900, 900, 40_000).astype(np.int16), RATE_HZ)
    soundfile.write(tmp_path / "other.wav", say(1.0, "other", 3.0, "low", 2.0), RATE_HZ)
    positives, negatives = (tmp_path / "in",), (tmp_path / "other.wav",)
    return Scenario(positives, negatives, tmp_path / "noise", (None, 10.0)).streams(["low", "high"])


def nothing(_: float) -> None:
    pass


def same(first: Sequence[Heard], second: Sequence[Heard]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a.scores.posteriors, b.scores.posteriors)
        and (a.stream, a.words, a.scores.samples) == (b.stream, b.words, b.scores.samples)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("samples", [0, 100, 16_000, 50_321])
def test_posteriors_and_times_are_those_of_the_spotter(
    model: Model, say: Callable[..., Sound], tmp_path: Path, samples: int
) -> None:
    sound = say(0.5, "low", 0.4, "high", 2.0)[:samples]
    spotter = Spotter(model, smoothing_ms=0)
    steps = [step for step, _ in spotter.trace(sound)] + [step for step, _ in spotter.trace_end()]
    timing = timing_of(model)
    assert [step.end_sample for step in steps] == [timing.end_sample(j) for j in range(len(steps))]
    for blocks in ([sound], np.array_split(sound, 7)):
        codes, count = codes_of(model, blocks)
        assert (len(codes), count) == (len(steps), samples)
    if samples:
        soundfile.write(tmp_path / "s.wav", sound, RATE_HZ)
        scores = score(model, Stream.recording(Clip(tmp_path / "s.wav"), "", ""))
        np.testing.assert_array_equal(scores.posteriors, [np.round(step.scores * 2**15) for step in steps])


def test_detections_are_those_of_the_spotter(model: Model, say: Callable[..., Sound], tmp_path: Path) -> None:
    sound = say(0.7, "low", 0.4, "low", 1.0, "high", 0.2, "other", 0.3, "high", 1.0)
    soundfile.write(tmp_path / "s.wav", sound, RATE_HZ)
    spotter = Spotter(model)
    expected = [(d.keyword, d.end_sample) for d in [*spotter.feed(sound), *spotter.finish()]]
    (heard,), _ = hear(model, [Stream.recording(Clip(tmp_path / "s.wav"), "", "")], Cache(tmp_path), here, nothing)
    replay = heard.replay(spotter.parameters, model.metadata.exclusion_ms)
    firings = replay.firings([p.threshold for p in spotter.parameters])
    assert [(spotter.keywords[k], heard.timing.end_sample(step)) for k, step in firings] == expected
    assert len(expected) >= 3


def test_what_was_heard_is_not_heard_again(model: Model, streams: list[Stream], tmp_path: Path) -> None:
    asked: list[int] = []

    def counting(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        asked.append(len(items))
        return here(work, items)

    steps: list[float] = []
    first, problems = hear(model, streams, Cache(tmp_path / "kept"), counting, steps.append)
    again, _ = hear(model, streams, Cache(tmp_path / "kept"), counting, steps.append)
    assert problems == []
    assert asked == [len(streams), 0]
    assert sum(steps) == 2 * len(streams)
    assert same(first, again)
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == len(streams)
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # damaged: heard again
    kept[1].unlink()
    third, _ = hear(model, streams, Cache(tmp_path / "kept"), counting, steps.append)
    assert asked[-1] == 2
    assert same(first, third)


def test_another_model_or_sound_is_another_entry(
    model: Model, streams: list[Stream], tmp_path: Path, model_with: Callable[..., Path]
) -> None:
    cache = Cache(tmp_path / "kept")
    hear(model, streams[:1], cache, here, nothing)
    hear(Model.load(model_with(exclusion_ms=100.0)), streams[:1], cache, here, nothing)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_problems_are_said_and_not_kept(model: Model, tmp_path: Path, say: Callable[..., Sound]) -> None:
    soundfile.write(tmp_path / "good.wav", say(1.0), RATE_HZ)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    both = [Stream.recording(Clip(tmp_path / name), "", "") for name in ("bad.wav", "good.wav")]
    heard, problems = hear(model, both, Cache(tmp_path / "kept"), here, nothing)
    assert [one.stream for one in heard] == both[1:]
    assert len(problems) == 1
    assert str(tmp_path / "bad.wav") in problems[0]
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_damaged_cache_is_made_anew(model: Model, streams: list[Stream], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "kept")
    good, _ = hear(model, streams[:1], cache, here, nothing)
    (kept,) = (tmp_path / "kept").iterdir()
    whole, array = kept.read_bytes(), io.BytesIO()
    np.save(array, np.zeros(3))
    strange = whole[:8] + b"\x63" + whole[9:]  # of zip: a compression that nobody has
    central = strange.rindex(b"PK\x01\x02")
    strange = strange[: central + 10] + b"\x63" + strange[central + 11 :]
    for damaged in (b"", b"garbage", whole[: len(whole) // 2], array.getvalue(), strange):
        kept.write_bytes(damaged)
        again, problems = hear(model, streams[:1], cache, here, nothing)
        assert problems == []
        assert same(good, again)
        assert kept.read_bytes() == whole


def test_on_two_cores_the_same(model: Model, streams: list[Stream], tmp_path: Path) -> None:
    alone, _ = hear(model, streams, Cache(tmp_path / "a"), here, nothing)
    together, problems = hear(model, streams, Cache(tmp_path / "b"), on_cores(2), nothing)
    assert problems == []
    assert same(alone, together)


def test_measurement_of_tones(model: Model, streams: list[Stream], tmp_path: Path) -> None:
    heard, _ = hear(model, streams, Cache(tmp_path), here, nothing)
    parameters = [model.metadata.keywords[k].parameters() for k in model.keywords]
    m = Measurement.of(heard, model.keywords, parameters, model.metadata.exclusion_ms)
    assert m.conditions == ["clean", "10 dB"]
    clean = m.counts(None, "clean").point(m.in_use)
    assert (clean.misses.count, clean.misses.of) == (0, 12)
    assert m.counts("low", "clean").words == 6
    other = m.counts(None, "negative").point(m.in_use)
    assert (other.misses.of, other.false_accepts.count) == (0, 1)  # the "low" in it, which nobody labelled
    assert other.false_accepts.of == pytest.approx(
        len(heard[-1].scores.posteriors) and heard[-1].scores.samples / 57.6e6
    )
    late_ms = m.latencies_ms(None, "clean", m.in_use)
    assert len(late_ms) == 12
    assert np.abs(late_ms).max() < 500
    never = m.counts(None, "clean").point(m.in_use - 1)  # the highest threshold of all
    assert never.misses.count >= clean.misses.count


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_on_a_cluster_the_same_though_a_worker_is_killed(model: Model, streams: list[Stream], tmp_path: Path) -> None:
    distributed = pytest.importorskip("dask.distributed", reason="needs the extra 'cluster'")
    from tinyhark.app.evaluation.farm import on_dask

    alone, _ = hear(model, streams, Cache(tmp_path / "a"), here, nothing)
    many = streams * 8
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = sorted(client.run(os.getpid).values())[0]
        done: list[float] = []

        def kill_one(step: float) -> None:
            done.append(step)
            if len(done) == 2:
                os.kill(victim, signal.SIGKILL)

        clustered, problems = hear(model, many, Cache(tmp_path / "b"), on_dask(cluster.scheduler_address), kill_one)
        assert victim not in client.run(os.getpid).values()
    assert problems == []
    assert same(alone * 8, clustered)


@pytest.mark.slow
def test_a_scheduler_that_is_not_there() -> None:
    pytest.importorskip("dask.distributed", reason="needs the extra 'cluster'")
    from tinyhark.app.evaluation.farm import on_dask

    farm: Farm = on_dask("tcp://127.0.0.1:9")
    with pytest.raises(HarkError, match="no scheduler answers there"):
        list(farm(abs, [1]))
    with pytest.raises(HarkError, match="no scheduler answers there"):
        list(on_dask("nonsense://x")(abs, [1]))
