"""Streams: clips with gaps at the ratio that was asked for, files as they are, the same at every call."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.errors import AudioError, HarkError
from tinyhark.app.evaluation.cache import digest_of
from tinyhark.app.evaluation.scenario import CLEAN, NEGATIVE, RECORDED, Scenario
from tinyhark.app.evaluation.streams import NOWHERE, Clip, Noise, Stream, bounds_of_word, render, words_of

Sound = NDArray[np.int16]
RATE_HZ = 16_000


def write(path: Path, sound: Sound) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, RATE_HZ)
    return path


def noise_of(seconds: float, level: int = 800, seed: int = 5) -> Sound:
    rng = np.random.default_rng(seed)
    return np.clip(rng.standard_normal(round(seconds * RATE_HZ)) * level, -32768, 32767).astype(np.int16)


def sound_of(stream: Stream) -> tuple[Sound, list[tuple[int, int]], list[tuple[int, int]], list[str]]:
    out = render(stream)
    return np.concatenate([np.zeros(0, np.int16), *out.blocks]), out.spans, out.words, out.problems


def stream_of(clips: list[Clip], noise: Noise | None = None) -> Stream:
    return Stream(tuple(clips), (8_000,) * (len(clips) + 1), noise, CLEAN, "", is_life=False)


@pytest.fixture
def words(tmp_path: Path, say: Callable[..., Sound]) -> list[Clip]:
    """Two clips of very different level."""
    loud = write(tmp_path / "words/low/a_1.wav", say(0.3, "low", 0.3))
    quiet = write(tmp_path / "words/high/b_1.wav", (say(0.2, "high", 0.4) * 0.1).astype(np.int16))
    return [Clip(loud, "low", "a"), Clip(quiet, "high", "b")]


def test_clips_lie_where_the_spans_say_with_silence_between(words: list[Clip]) -> None:
    sound, spans, bounds, problems = sound_of(stream_of(words))
    assert problems == []
    assert spans == [(8_000, 24_000), (32_000, 48_000)]
    assert len(sound) == 56_000
    assert not sound[:8_000].any()
    assert not sound[24_000:32_000].any()
    original, _ = soundfile.read(words[0].path, dtype="int16")
    np.testing.assert_array_equal(sound[8_000 + 160 : 24_000 - 160], original[160:-160])  # but for the fades
    for (start, end), (first, last), (said_from, said_to) in zip(
        spans, bounds, ((4_800, 11_200), (3_200, 9_600)), strict=True
    ):
        assert start <= first < last <= end
        assert first - start == pytest.approx(said_from, abs=512)
        assert last - start == pytest.approx(said_to, abs=512)


@pytest.mark.parametrize("snr_db", [10.0, -3.0])
def test_each_word_is_heard_at_the_ratio_whatever_its_level(words: list[Clip], tmp_path: Path, snr_db: float) -> None:
    noise = Noise((write(tmp_path / "n.wav", noise_of(2.0)),), 0.3, snr_db)
    mixed, spans, bounds, _ = sound_of(stream_of(words, noise))
    clean, *_ = sound_of(stream_of(words))
    bed = mixed.astype(float) - clean
    for (start, end), (first, last) in zip(spans, bounds, strict=True):
        ratio = np.mean(clean[first:last].astype(float) ** 2) / np.mean(bed[start:end] ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.5)
    assert np.abs(bed[:8_000]).max() > 10  # it is there in the gaps, too


def test_rendering_is_repeatable_and_the_digest_knows_what_matters(words: list[Clip], tmp_path: Path) -> None:
    path = write(tmp_path / "n.wav", noise_of(1.0))
    streams = [stream_of(words), stream_of(words[::-1]), stream_of(words[:1])]
    streams += [stream_of(words, Noise((path,), start, snr)) for start, snr in ((0.0, 10.0), (0.5, 10.0), (0.0, 5.0))]
    digests = [stream.digest(digest_of) for stream in streams]
    assert len(set(digests)) == len(streams)
    assert digests == [stream.digest(digest_of) for stream in streams]
    for stream in streams:
        np.testing.assert_array_equal(sound_of(stream)[0], sound_of(stream)[0])
    write(path, noise_of(1.0, seed=6))
    assert streams[3].digest(digest_of) != digests[3]


def test_a_file_by_itself_is_as_it_is(tmp_path: Path) -> None:
    sound = noise_of(70.0, 3_000)
    stream = Stream.recording(Clip(write(tmp_path / "long.wav", sound)), NEGATIVE, "long")
    got, spans, bounds, _ = sound_of(stream)
    np.testing.assert_array_equal(got, sound)
    assert (spans, bounds) == ([(0, len(sound))], [NOWHERE])


def test_a_clip_that_cannot_be_read_is_left_out_and_said(words: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    stream = stream_of([words[0], Clip(tmp_path / "empty.wav", "low"), words[1]])
    _, spans, bounds, problems = sound_of(stream)
    assert problems == [f"{tmp_path / 'empty.wav'}: is empty"]
    assert bounds[1] == NOWHERE
    assert [word.clip for word in words_of(stream, spans, bounds)] == words


def test_noise_that_cannot_be_read_is_an_error_not_silence(words: list[Clip], tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be read"):
        sound_of(stream_of(words, Noise((tmp_path / "none.wav",), 0.0, 5.0)))


@pytest.mark.parametrize("start", [0.0, 0.1, 0.45, 0.999])
def test_noise_goes_round_from_its_start(words: list[Clip], tmp_path: Path, start: float) -> None:
    sounds = [noise_of(seconds, seed=index) for index, seconds in enumerate((1.0, 0.5, 0.7))]
    paths = tuple(write(tmp_path / f"{index}.wav", sound) for index, sound in enumerate(sounds))
    stream = Stream(tuple(words[:1]), (8_000, 56_000), Noise(paths, start, 0.0), "", "", is_life=False)
    bed = sound_of(stream)[0].astype(float) - sound_of(replace(stream, noise=None))[0]
    once = np.concatenate(sounds)
    wanted = np.resize(np.roll(once, -int(start * len(once))), len(bed)).astype(float)
    assert np.corrcoef(bed, wanted)[0, 1] > 0.98  # but for the fades


def test_of_long_noise_no_more_is_read_than_is_heard(words: list[Clip], tmp_path: Path) -> None:
    path = write(tmp_path / "long.flac", noise_of(20.0))
    stream = stream_of(words, Noise((path,), 0.3, 10.0))
    whole = sound_of(stream)[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4] + bytes(len(data) // 4))  # who reads that is told
    np.testing.assert_array_equal(sound_of(stream)[0], whole)
    with pytest.raises(AudioError, match=r"long\.flac"):
        sound_of(stream_of(words, Noise((path,), 0.9, 10.0)))


@pytest.mark.parametrize("others", [0, 2])
def test_noise_of_digital_silence_is_refused(words: list[Clip], tmp_path: Path, others: int) -> None:
    path = write(tmp_path / "mute.wav", np.zeros(40_000, np.int16))
    more = f" and {others} more" if others else ""
    with pytest.raises(AudioError, match=f"mute.wav{more}: is digital silence under a word"):
        sound_of(stream_of(words, Noise((path,) * (1 + others), 0.3, 10.0)))


def test_short_and_silent_clips_have_bounds() -> None:
    assert bounds_of_word(np.ones(100, np.int16)) == (0, 100)
    assert bounds_of_word(np.zeros(16_000, np.int16)) == (0, 15_872)


@pytest.fixture
def folder(tmp_path: Path, say: Callable[..., Sound]) -> Path:
    """Five clips of low by two speakers, three of another word, and a recording with labels."""
    for index in range(5):
        write(tmp_path / f"in/low/s{index % 2}_{index}.wav", say(0.2, "low", 0.4))
    for index in range(3):
        write(tmp_path / f"in/other/s9_{index}.wav", say(0.2, "other", 0.4))
    write(tmp_path / "in/talk.wav", say(1.0, "high", 1.0))
    (tmp_path / "in/talk.csv").write_text("start_sample,end_sample,keyword,text,speaker\n16000,22400,high,,anna\n")
    for kind, level in (("fan", 300), ("street", 900)):
        write(tmp_path / f"noise/{kind}.wav", noise_of(3.0, level))
    return tmp_path


def test_a_scenario_hears_every_clip_under_every_condition(folder: Path) -> None:
    scenario = Scenario((folder / "in",), noise=folder / "noise", snrs_db=(None, 10.0, 5.0), speaker=r"^(s\d)_")
    streams = scenario.streams(["low", "high"])
    by_condition: dict[str, list[Stream]] = {}
    for stream in streams:
        by_condition.setdefault(stream.condition, []).append(stream)
    assert list(by_condition) == [CLEAN, "10 dB", "5 dB", RECORDED]
    for condition in (CLEAN, "10 dB", "5 dB"):
        clips = [clip for stream in by_condition[condition] for clip in stream.clips]
        assert sorted(clip.keyword for clip in clips) == ["", "", "", *["low"] * 5]
        assert {clip.speaker for clip in clips} == {"s0", "s1", "s9"}
    assert {stream.kind for stream in by_condition["10 dB"]} == {"fan", "street"}
    (recording,) = by_condition[RECORDED]
    rendered = render(recording)
    list(rendered.blocks)
    (word,) = words_of(recording, rendered.spans, rendered.words)
    assert (word.label.start_sample, word.label.keyword, word.speaker) == (16_000, "high", "anna")


def test_the_seed_decides(folder: Path) -> None:
    def layout(seed: int) -> list[Stream]:
        return Scenario((folder / "in",), noise=folder / "noise", snrs_db=(10.0,), seed=seed).streams(["low"])

    assert layout(1) == layout(1)
    assert layout(1) != layout(2)


def test_negatives_long_alone_short_joined(tmp_path: Path) -> None:
    write(tmp_path / "neg/long.wav", noise_of(61.0))
    for index in range(3):
        write(tmp_path / f"neg/{index}.wav", noise_of(2.0))
        write(tmp_path / f"neg/dogs/{index}.wav", noise_of(2.0))
    streams = Scenario(negatives=(tmp_path / "neg",)).streams(["low"])
    assert [(stream.kind, len(stream.clips)) for stream in streams] == [("long", 1), ("neg", 3), ("dogs", 3)]
    assert all(stream.is_life and not any(stream.gaps_samples) for stream in streams)
    assert len(sound_of(streams[1])[0]) == 6 * RATE_HZ


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"snrs_db": (5.0,)}, "needs noise"),
        ({"speaker": "("}, "is no regular expression"),
        ({"speaker": "a"}, "has no group"),
        ({"negatives": (Path("none.wav"),)}, None),
    ],
)
def test_what_cannot_be_gathered(folder: Path, change: dict[str, object], says: str | None) -> None:
    scenario = Scenario(positives=(folder / "in",), **change)  # type: ignore[arg-type]
    if says is None:
        assert scenario.streams(["low"])  # said when it is heard
    else:
        with pytest.raises(HarkError, match=says):
            scenario.streams(["low"])


def test_no_keyword_in_the_positives(folder: Path) -> None:
    with pytest.raises(HarkError, match=r"is named after a keyword of the model .alexa"):
        Scenario((folder / "in",)).streams(["alexa"])
    with pytest.raises(HarkError, match="has no labels beside it"):
        Scenario((folder / "in/low/s0_0.wav",)).streams(["low"])


def test_places_are_named_and_heard_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "noise")
    (folder / "noise" / "deep").mkdir()
    streams = Scenario(negatives=(Path(), folder / "noise", Path())).streams(["low"])
    assert [(stream.kind, len(stream.clips)) for stream in streams] == [("noise", 2)]
    monkeypatch.chdir(folder / "in/low")
    (stream,) = Scenario((Path(),)).streams(["low"])
    assert {clip.keyword for clip in stream.clips} == {"low"}
    assert all(clip.path.is_absolute() for clip in stream.clips), "a worker elsewhere finds them"
