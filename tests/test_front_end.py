"""The front end: equal to the golden vectors bit for bit, whole or in chunks."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhark.dsp import front_end
from tinyhark.dsp.front_end import DIGEST, HOPS_SAMPLES, FrontEnd, frame_count
from tinyhark.dsp.tables import BANDS

VECTORS_FILE = Path(__file__).parent / "vectors/front-end-vectors.npz"
with np.load(VECTORS_FILE) as _file:
    VECTORS = {name: _file[name] for name in _file.files}
SIGNALS = sorted(name.removesuffix("/audio") for name in VECTORS if name.endswith("/audio"))


pytestmark = pytest.mark.usefixtures("implementation")  # all of this holds for both


repeatable = settings(derandomize=True, deadline=None, max_examples=60)


def sound(seed: int, samples: int) -> np.ndarray:
    """Noise whose level changes every 700 samples over the whole range of int16, digital silence included."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.choice([0, 1, 30, 1000, 32767], samples // 700 + 1), 700)[:samples]
    return np.round(rng.uniform(-1, 1, samples) * level).astype(np.int16)


def fed(front_end: FrontEnd, audio: np.ndarray, chunks: list[int]) -> np.ndarray:
    """The MFCC frames of a stream that arrives in chunks of these sizes, over and over."""
    frames, start, turn = [np.zeros((0, front_end.n_mfcc), np.int32)], 0, 0
    while start < len(audio):
        size = chunks[turn % len(chunks)]
        frames.append(front_end.feed(audio[start : start + size]))
        start, turn = start + size, turn + 1
    return np.concatenate(frames)


def test_there_are_26_signals():
    assert len(SIGNALS) == 26


def test_the_environment_chooses(implementation):
    assert front_end.implementation() == implementation


@pytest.mark.parametrize("signal", SIGNALS)
def test_batch_equals_the_golden_vectors(signal):
    audio, front_end = VECTORS[f"{signal}/audio"], FrontEnd()
    log_mel, mfcc = front_end.log_mel(audio), front_end.mfcc(audio)
    assert log_mel.dtype == mfcc.dtype == np.int32
    np.testing.assert_array_equal(log_mel, VECTORS[f"{signal}/log_mel"])
    np.testing.assert_array_equal(mfcc, VECTORS[f"{signal}/mfcc"])


@pytest.mark.parametrize("signal", SIGNALS)
def test_stream_equals_the_golden_vectors(signal):
    audio, front_end = VECTORS[f"{signal}/audio"], FrontEnd()
    np.testing.assert_array_equal(fed(front_end, audio, [160]), VECTORS[f"{signal}/mfcc"])
    front_end.reset()
    log_mel = [front_end.feed_log_mel(piece) for piece in np.array_split(audio, 7)]
    np.testing.assert_array_equal(np.concatenate(log_mel), VECTORS[f"{signal}/log_mel"])


def test_digest_is_that_of_the_golden_vectors():
    stored, computed = hashlib.sha256(), hashlib.sha256()
    for signal in SIGNALS:
        stored.update(VECTORS[f"{signal}/mfcc"].astype("<i4").tobytes())
        computed.update(FrontEnd().mfcc(VECTORS[f"{signal}/audio"]).astype("<i4").tobytes())
    assert stored.hexdigest() == computed.hexdigest() == DIGEST


@given(
    seed=st.integers(0, 3),
    samples=st.integers(0, 9000),
    chunks=st.lists(st.integers(1, 3000), min_size=1),
    hop=st.sampled_from(HOPS_SAMPLES),
)
@repeatable
def test_every_chunking_gives_the_same_frames(seed, samples, chunks, hop):
    audio, front_end = sound(seed, samples), FrontEnd(hop, n_mfcc=13)
    np.testing.assert_array_equal(fed(front_end, audio, chunks), front_end.mfcc(audio))


@pytest.mark.parametrize("size", [1, 7, 160, 511, 512, 513, 1000, 16000])
@pytest.mark.parametrize("hop", HOPS_SAMPLES)
def test_chunks_of_one_size_give_the_same_frames(size, hop):
    audio, front_end = sound(5, 6000), FrontEnd(hop)
    np.testing.assert_array_equal(fed(front_end, audio, [size]), front_end.mfcc(audio))


def test_empty_chunks_change_nothing():
    audio, front_end = sound(6, 2000), FrontEnd()
    empty = audio[:0]
    assert front_end.feed(empty).shape == (0, BANDS)
    np.testing.assert_array_equal(fed(front_end, audio, [300, 0]), front_end.mfcc(audio))


@given(before=st.integers(0, 3000), after=st.integers(0, 3000))
@repeatable
def test_reset_is_a_new_front_end(before, after):
    used, audio = FrontEnd(), sound(7, after)
    used.feed(sound(8, before))
    used.reset()
    np.testing.assert_array_equal(used.feed(audio), FrontEnd().feed(audio))


def test_whole_recordings_leave_the_stream_alone():
    audio, disturbed = sound(9, 3000), FrontEnd()
    first = disturbed.feed(audio[:1000])
    disturbed.mfcc(sound(10, 5000))
    second = disturbed.feed(audio[1000:])
    np.testing.assert_array_equal(np.concatenate([first, second]), FrontEnd().mfcc(audio))


def test_many_lengths_in_turn():
    front_end, audio = FrontEnd(), sound(16, 512 + 39 * 160)
    whole = front_end.mfcc(audio)
    for frames in (*range(1, 41), *range(40, 0, -1)):
        np.testing.assert_array_equal(front_end.mfcc(audio[: 512 + (frames - 1) * 160]), whole[:frames])


def test_results_do_not_share_memory():
    front_end, audio = FrontEnd(), sound(11, 2000)
    first = front_end.feed(audio)
    kept = first.copy()
    front_end.feed(sound(12, 2000))
    np.testing.assert_array_equal(first, kept)


def test_hop_320_is_every_second_frame_of_hop_160():
    audio = sound(13, 20_000)
    np.testing.assert_array_equal(FrontEnd(320).mfcc(audio), FrontEnd(160).mfcc(audio)[::2])


@pytest.mark.parametrize("n_mfcc", [1, 10, 13, 39])
def test_fewer_coefficients_are_the_first_of_all(n_mfcc):
    audio = sound(14, 5000)
    np.testing.assert_array_equal(FrontEnd(n_mfcc=n_mfcc).mfcc(audio), FrontEnd().mfcc(audio)[:, :n_mfcc])


@pytest.mark.parametrize(
    ("samples", "hop", "frames"),
    [
        (0, 160, 0),
        (511, 160, 0),
        (512, 160, 1),
        (671, 160, 1),
        (672, 160, 2),
        (831, 320, 1),
        (832, 320, 2),
        (16000, 160, 97),
    ],
)
def test_frame_count(samples, hop, frames):
    assert frame_count(samples, hop) == frames
    assert FrontEnd(hop).log_mel(np.ones(samples, np.int16)).shape == (frames, BANDS)
    assert FrontEnd(hop).feed(np.ones(samples, np.int16)).shape == (frames, BANDS)


def test_a_frame_depends_on_its_512_samples_alone():
    audio = sound(15, 16_000)
    frames = FrontEnd().mfcc(audio)
    for index in range(len(frames)):
        np.testing.assert_array_equal(FrontEnd().mfcc(audio[160 * index : 160 * index + 512])[0], frames[index])


def test_digital_silence_is_exactly_zero():
    assert not FrontEnd().log_mel(np.zeros(5000, np.int16)).any()
    assert not FrontEnd().mfcc(np.zeros(5000, np.int16)).any()


@pytest.mark.parametrize("value", [1, -1, 20, 1000, 32767, -32767, -32768])
def test_steady_offset_is_silence(value):
    assert not FrontEnd().log_mel(np.full(3000, value, np.int16)).any()


def test_full_scale_square_wave_is_loudest_in_the_band_of_its_pitch():
    square = np.where(np.arange(8000) // 8 % 2, 32767, -32768).astype(np.int16)  # 1 kHz
    log_mel = FrontEnd().log_mel(square) / 2**16
    edges = np.linspace(0, 1, BANDS + 2) * np.log(8300 / 760) + np.log(760)
    band = np.abs(edges[1:-1] - np.log(1700)).argmin()
    assert (log_mel.argmax(axis=1) == band).all()
    assert log_mel.max() < 42


def test_twice_as_loud_is_two_units_of_log2_more():
    quiet = np.random.default_rng(16).integers(-9000, 9001, 4000).astype(np.int16)
    difference = FrontEnd().log_mel(quiet * 2) - FrontEnd().log_mel(quiet)
    assert (difference == (2 << 16)).all()


@pytest.mark.parametrize("call", ["log_mel", "mfcc", "feed", "feed_log_mel"])
@pytest.mark.parametrize(
    "audio",
    [np.zeros(1000), np.zeros(1000, np.int32), np.zeros(1000, np.uint16), np.zeros((2, 1000), np.int16), np.int16(3)],
    ids=["float64", "int32", "uint16", "stereo", "scalar"],
)
def test_other_sound_is_refused(call, audio):
    with pytest.raises(ValueError, match="must be int16"):
        getattr(FrontEnd(), call)(audio)


@pytest.mark.parametrize(
    "log_mel",
    [
        np.zeros((2, 40), np.float32),
        np.zeros((2, 40), np.int64),
        np.zeros((2, 40), ">i4"),
        np.zeros((1, 79), np.int32),
        np.zeros(40, np.int32),
    ],
)
def test_other_log_mel_is_refused(log_mel):
    with pytest.raises(ValueError, match="must be int32 of shape"):
        FrontEnd().cepstrum(log_mel)


@pytest.mark.parametrize("arguments", [{"hop": 0}, {"hop": 100}, {"hop": 480}, {"n_mfcc": 0}, {"n_mfcc": 41}])
def test_other_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        FrontEnd(**arguments)


def test_sound_with_gaps_out_of_line_or_read_only():
    audio = sound(17, 4000)
    wanted = FrontEnd().mfcc(audio)
    wide = np.repeat(audio, 3)
    shifted = np.frombuffer(b"." + audio.tobytes(), np.int16, offset=1)
    fixed = audio.copy()
    fixed.flags.writeable = False
    for other in (wide[::3], shifted, fixed):
        np.testing.assert_array_equal(FrontEnd().mfcc(other), wanted)
        np.testing.assert_array_equal(FrontEnd().feed(other), wanted)


def test_threads_with_front_ends_of_their_own():
    sounds = [sound(seed, 60_000) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for audio, frames in zip(sounds, pool.map(lambda audio: FrontEnd().mfcc(audio), sounds), strict=True):
            np.testing.assert_array_equal(frames, FrontEnd().mfcc(audio))
