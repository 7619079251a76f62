"""Sound files of every kind become the same 16 kHz stream; bad ones one line, after the sound that could be read."""

import io
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.audio.files import duration_s, read_blocks, read_sound, sound_files
from tinyhark.app.audio.raw import read_raw
from tinyhark.app.errors import AudioError

Sound = NDArray[np.int16]
SECONDS = 5


@pytest.fixture(scope="module")
def sound() -> Sound:
    return np.random.default_rng(3).normal(0, 3000, SECONDS * 16_000).astype(np.int16)


def sines(rate_hz: int) -> NDArray[np.float64]:
    t = np.arange(2 * rate_hz) / rate_hz
    return 0.3 * np.sin(2 * np.pi * 700 * t) + 0.2 * np.sin(2 * np.pi * 2300 * t)


def drain(blocks: Iterator[Sound]) -> tuple[Sound, str | None]:
    """The sound that came, and the error at its end."""
    got, message = [np.zeros(0, np.int16)], None
    try:
        got.extend(blocks)
    except AudioError as error:
        message = str(error)
    assert message is None or "\n" not in message
    return np.concatenate(got), message


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "w64", "caf"])
@pytest.mark.parametrize("block", [1, 1000, 16_000])
def test_16_bit_mono_at_16_khz_is_untouched(tmp_path: Path, sound: Sound, suffix: str, block: int) -> None:
    if block == 1:
        sound = sound[:2000]
    soundfile.write(tmp_path / f"a.{suffix}", sound, 16_000)
    got, error = drain(read_blocks(tmp_path / f"a.{suffix}", block))
    assert error is None
    np.testing.assert_array_equal(got, sound)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wider_samples_round_half_up(tmp_path: Path, subtype: str) -> None:
    wanted = np.array([0.5, 1.4, 1.5, -0.5, -1.5, -1.6, 40_000, -40_000, 32_767.5]) / 32768
    soundfile.write(
        tmp_path / "a.wav", np.clip(wanted, -1, 1 - 2**-23) if "PCM" in subtype else wanted, 16_000, subtype
    )
    expected = [1, 1, 2, 0, -1, -2, 32767, -32768, 32767]
    np.testing.assert_array_equal(read_sound(tmp_path / "a.wav"), expected)


def test_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.array([[100, 200, 330], [-5, 5, 3], [32767, 32767, 32767]], np.int16)
    soundfile.write(tmp_path / "a.wav", channels, 16_000)
    np.testing.assert_array_equal(read_sound(tmp_path / "a.wav"), [210, 1, 32767])


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_become_16_khz(tmp_path: Path, rate_hz: int, channels: int) -> None:
    original = np.repeat(sines(rate_hz)[:, None], channels, 1)
    soundfile.write(tmp_path / "a.wav", original, rate_hz, "PCM_24")
    got = read_sound(tmp_path / "a.wav")
    assert abs(len(got) - 32_000) <= 2
    middle = slice(2000, 30_000)
    error = got[middle] - 32768 * sines(16_000)[middle]
    assert np.sqrt(np.mean(error**2)) < 3


def test_chunking_of_a_resampled_file_is_nothing_but_chunking(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sines(44_100), 44_100)
    whole = np.concatenate(list(read_blocks(tmp_path / "a.wav", 10**6)))
    for block in (100, 4097):
        np.testing.assert_allclose(np.concatenate(list(read_blocks(tmp_path / "a.wav", block))), whole, atol=1)


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III")])
def test_lossy_formats(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sines(16_000), 16_000, subtype, format="MP3" if suffix == "mp3" else "OGG")
    got, error = drain(read_blocks(path))
    assert error is None
    assert 31_000 < len(got) < 36_000
    assert 0.8 < got.std() / (32768 * sines(16_000).std()) < 1.2


def test_limit(tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    np.testing.assert_array_equal(read_sound(tmp_path / "a.wav", 20_001), sound[:20_001])


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "w64", "flac", "opus", "ogg", "mp3"])
def test_a_truncated_file_gives_what_is_there_and_then_says_so(
    tmp_path: Path, sound: Sound, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    container = {"opus": "OGG", "ogg": "OGG", "mp3": "MP3"}.get(suffix)
    subtype = {"opus": "OPUS", "ogg": "VORBIS"}.get(suffix)
    soundfile.write(path, sound, 16_000, subtype, format=container)
    whole = drain(read_blocks(path))
    assert whole[1] is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    got, error = drain(read_blocks(path))
    assert error is not None
    assert "truncated" in error
    assert len(got) > len(sound) * 0.3
    start = slice(0, len(sound) // 4)
    np.testing.assert_array_equal(got[start], whole[0][start])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["flac", "opus", "ogg", "mp3"])
def test_the_sound_does_not_depend_on_the_blocks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    kind = {"opus": ("OPUS", "OGG"), "ogg": ("VORBIS", "OGG"), "mp3": (None, "MP3")}.get(suffix, (None, None))
    soundfile.write(path, np.tile(sines(16_000), 3), 16_000, subtype=kind[0], format=kind[1])
    for block_samples in (7_000, 16_000, 10**6):
        got, error = drain(read_blocks(path, block_samples))
        assert error is None
        np.testing.assert_array_equal(got, read_sound(path))


def test_a_header_without_a_length_is_no_truncation(tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    assert data[36:40] == b"data"
    for size in (0xFFFFFFFF, 0x7FFFFFFF):  # as programs write it that cannot go back
        data[4:8] = data[40:44] = size.to_bytes(4, "little")
        (tmp_path / "pipe.wav").write_bytes(data)
        got, error = drain(read_blocks(tmp_path / "pipe.wav"))
        assert error is None
        np.testing.assert_array_equal(got, sound)


def test_damage_inside_a_file_is_said(tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "a.flac", sound, 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "a.flac").write_bytes(data)
    got, error = drain(read_blocks(tmp_path / "a.flac"))
    assert error is not None
    assert "damaged" in error
    np.testing.assert_array_equal(got[:16_000], sound[:16_000])


def test_sound_that_overflows_is_refused_without_a_warning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((100, 8), 3e38, np.float32), 16_000, "FLOAT")
    assert "NaN or infinity), first at 0.00 s" in str(drain(read_blocks(tmp_path / "a.wav"))[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_sound_that_is_no_number_is_refused_where_it_is(tmp_path: Path, bad: float) -> None:
    sound = np.zeros(40_000, np.float32)
    sound[24_000] = bad
    soundfile.write(tmp_path / "a.wav", sound, 16_000, "FLOAT")
    got, error = drain(read_blocks(tmp_path / "a.wav"))
    assert len(got) == 16_000
    assert error is not None
    assert "NaN or infinity), first at 1.50 s" in error


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"no sound at all", "is no sound file"), (os.urandom(5000), "is no sound file")],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    _, error = drain(read_blocks(tmp_path / "a.wav"))
    assert error is not None
    assert message in error
    assert str(tmp_path / "a.wav") in error


@pytest.mark.parametrize("rate_hz", [1, 999, 1_000_001, 2_000_000_000])
def test_rates_of_no_sound_are_refused(tmp_path: Path, sound: Sound, rate_hz: int) -> None:
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[24:28] = rate_hz.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    _, error = drain(read_blocks(tmp_path / "a.wav"))
    assert error is not None
    assert f"sample rate of {rate_hz} Hz; it must be 1000 to 1000000 Hz" in error


def test_raw_sound_and_pipes_are_sent_to_standard_input(tmp_path: Path, sound: Sound) -> None:
    (tmp_path / "a.raw").write_bytes(sound.tobytes())
    os.mkfifo(tmp_path / "pipe.wav")  # nobody writes: opening it would wait
    for name, what in (("a.raw", "raw sound has no header"), ("pipe.wav", "is no file but a pipe")):
        _, error = drain(read_blocks(tmp_path / name))
        assert error is not None
        assert what in error
        assert "hark detect -" in error


def test_remarks_of_the_decoder_stay_out_of_sight(
    tmp_path: Path, sound: Sound, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.mp3", sound, 16_000)
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 400)
    data[middle] = bytes(value ^ 0x55 for value in data[middle])
    (tmp_path / "no-mp3-by-its-name.wav").write_bytes(data)
    drain(read_blocks(tmp_path / "no-mp3-by-its-name.wav"))
    assert capfd.readouterr().err == ""


def test_zero_length_missing_and_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "zero.wav", np.zeros(0, np.int16), 16_000)
    assert "holds no sound" in str(drain(read_blocks(tmp_path / "zero.wav"))[1])
    assert "No such file" in str(drain(read_blocks(tmp_path / "none.wav"))[1])
    assert "Is a directory" in str(drain(read_blocks(tmp_path))[1])


def test_duration(tmp_path: Path, sound: Sound) -> None:
    soundfile.write(tmp_path / "a.wav", sound, 44_100)
    assert duration_s(tmp_path / "a.wav") == pytest.approx(len(sound) / 44_100)
    assert duration_s(tmp_path / "none.wav") == 0


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak_bytes(seconds: int) -> int:
        soundfile.write(tmp_path / "long.wav", np.zeros((seconds * 48_000, 2), np.int16), 48_000)
        tracemalloc.start()
        for _ in read_blocks(tmp_path / "long.wav"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2)
    assert peak_bytes(40) < 1.2 * peak_bytes(10)


class Pipe(io.RawIOBase):
    """Hands over bytes in the portions that a pipe had them."""

    def __init__(self, portions: list[bytes]) -> None:
        self.portions = portions

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.portions:
            return 0
        data = self.portions.pop(0)
        buffer[: len(data)] = data
        return len(data)


def test_raw_sound_comes_as_it_arrives(sound: Sound) -> None:
    data = sound[:1000].astype("<i2").tobytes()
    pipe = Pipe([data[:3], data[3:4], data[4:1001], data[1001:]])
    blocks = list(read_raw(io.BufferedReader(pipe)))
    assert len(blocks) == 4
    np.testing.assert_array_equal(np.concatenate(blocks), sound[:1000])


def test_raw_sound_that_ends_inside_a_sample_or_is_none(sound: Sound) -> None:
    got, error = drain(read_raw(io.BytesIO(sound[:10].tobytes() + b"x")))
    assert len(got) == 10
    assert "ends inside a sample" in str(error)
    assert "no sound came" in str(drain(read_raw(io.BytesIO(b"")))[1])


def test_recordings_of_other_people_are_whole(data_dir: Path) -> None:
    files = sound_files(data_dir / "speech-commands" / "validation" / "yes")[:5]
    files += sound_files(data_dir / "wake-phrases")[:5] + sound_files(data_dir / "rooms")[:3]
    for file in files:
        got, error = drain(read_blocks(file))
        assert error is None
        assert len(got) == pytest.approx(16_000 * duration_s(file), abs=1)
