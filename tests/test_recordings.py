"""Finding recordings, their labels and speakers, and reading any format, rate and channel count as 16 kHz int16."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyhark.app.errors import AudioError, HarkError
from tinyhark.training.recordings import Recording, find_recordings, read_labels, read_sound, segments


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def whole(file: Path, first_sample: int = 0, samples: int | None = None) -> Recording:
    return Recording(file, file.name, "x", "", "train", first_sample, samples)


def ramp(samples: int) -> np.ndarray:
    return (np.arange(samples) % 20_000 - 10_000).astype(np.int16)


def test_labels_are_folders_and_speakers_are_found(tmp_path: Path) -> None:
    touch(
        tmp_path, "yes/ann_1.wav", "yes/bob_1.FLAC", "no/ann_2.opus", "no/deep/cat_1.mp3", "no/notes.txt", "README.md"
    )
    found = find_recordings(tmp_path, None, r"^([a-z]+)_", "train", {"no/ann_2.opus": "test"})
    assert [(r.name, r.label, r.speaker, r.split) for r in found] == [
        ("no/ann_2.opus", "no", "ann", "test"),
        ("no/deep/cat_1.mp3", "deep", "cat", "train"),
        ("yes/ann_1.wav", "yes", "ann", "train"),
        ("yes/bob_1.FLAC", "yes", "bob", "train"),
    ]


def test_one_label_for_all_and_no_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.wav", "2.wav")
    assert {(r.label, r.speaker) for r in find_recordings(tmp_path, "noise", None, "train", {})} == {("noise", "")}


def test_a_name_that_the_pattern_misses_has_no_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "yes/1.wav", "yes/ann_1.wav")
    assert [r.speaker for r in find_recordings(tmp_path, None, r"([a-z]+)_", "train", {})] == ["", "ann"]


@pytest.mark.parametrize("pattern", ["(ann", "ann"])
def test_a_pattern_that_is_none_or_has_no_group(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "yes/ann_1.wav")
    with pytest.raises(HarkError, match="pattern"):
        find_recordings(tmp_path, None, pattern, "train", {})


def test_no_folder_and_no_sound(tmp_path: Path) -> None:
    with pytest.raises(HarkError, match="no such folder"):
        find_recordings(tmp_path / "none", None, None, "train", {})
    touch(tmp_path, "notes.txt")
    with pytest.raises(HarkError, match="no sound files"):
        find_recordings(tmp_path, None, None, "train", {})


def test_a_table_of_whole_recordings(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("recording,label,speaker,split\nyes/1.wav,ja,ann,test\nno/2.wav,,,\n")
    got = read_labels(table, tmp_path, None, "train")
    assert got == [
        Recording(tmp_path / "yes/1.wav", "yes/1.wav", "ja", "ann", "test"),
        Recording(tmp_path / "no/2.wav", "no/2.wav", "no", "", "train"),
    ]


def test_a_table_of_pieces_of_the_file_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "orders.opus")
    table = tmp_path / "orders.csv"
    table.write_text("recording,first_sample,samples\none,0,16000\ntwo,16000,\n")
    got = read_labels(table, tmp_path, "talk", "train")
    assert got == [
        Recording(tmp_path / "orders.opus", "one", "talk", "", "train", 0, 16_000),
        Recording(tmp_path / "orders.opus", "two", "talk", "", "train", 16_000, None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\n1.wav,yes\n", "recording"),
        ("recording,first_sample,samples\none,0,16000\n", "file"),
        ("recording,file,first_sample\none,a.wav,soon\n", "soon"),
        ("label,recording\nyes\n", "recording"),
        ("recording,file,first_sample\none,a.wav,-5\n", "-5"),
        ("recording,file,first_sample\none,a.wav," + "9" * 5000, "999"),
    ],
)
def test_a_bad_table_names_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "list.csv"
    table.write_text(text)
    with pytest.raises(HarkError) as caught:
        read_labels(table, tmp_path, None, "train")
    assert str(caught.value).startswith(f"{table}:2: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00\x81" * 50, b"recording\n"])
def test_a_table_that_is_none(tmp_path: Path, data: bytes) -> None:
    table = tmp_path / "list.csv"
    table.write_bytes(data)
    with pytest.raises(HarkError, match=str(table)) as caught:
        read_labels(table, tmp_path, None, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "PCM_32"])
def test_every_depth_reads_the_same(tmp_path: Path, subtype: str) -> None:
    sound = ramp(3000)
    wide = sound if subtype == "PCM_16" else sound.astype(np.float64) / 32768
    soundfile.write(tmp_path / "x.wav", wide, 16_000, subtype=subtype)
    np.testing.assert_array_equal(read_sound(whole(tmp_path / "x.wav")), sound)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = ramp(1000), ramp(1000)[::-1]
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], 1), 16_000)
    got = read_sound(whole(tmp_path / "x.wav"))
    np.testing.assert_array_equal(got, np.floor((left.astype(float) + right) / 2 + 0.5))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_other_rates_are_converted(tmp_path: Path, rate: int) -> None:
    t = np.arange(rate) / rate
    soundfile.write(tmp_path / "x.flac", 0.5 * np.sin(2 * np.pi * 1000 * t), rate)
    got = read_sound(whole(tmp_path / "x.flac")) / 32768
    wanted = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    assert len(got) == 16_000
    assert np.abs(got - wanted)[800:-800].max() < 0.01


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_piece_is_that_piece(tmp_path: Path, rate: int) -> None:
    sound = np.sin(np.arange(2 * rate) ** 1.5 / rate / 50).astype(np.float32) / 2
    soundfile.write(tmp_path / "x.wav", sound, rate, subtype="FLOAT")
    everything = read_sound(whole(tmp_path / "x.wav"))
    piece = read_sound(whole(tmp_path / "x.wav", 8000, 4000))
    assert len(piece) == 4000
    inner = slice(0, 4000) if rate == 16_000 else slice(200, 3800)  # the resampler sees no sound beyond the piece
    assert np.abs(piece[inner].astype(int) - everything[8000:12_000][inner]).max() <= 1


def test_bad_recordings_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.int16), 16_000)
    nan = np.zeros(100, np.float32)
    nan[50] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "good.wav", ramp(100), 16_000)
    (tmp_path / "folder.wav").mkdir()
    bad = [whole(tmp_path / f"{name}.wav") for name in ("empty", "text", "none", "nan", "folder", "missing")]
    bad.append(whole(tmp_path / "good.wav", first_sample=500))
    for recording in bad:
        with pytest.raises(AudioError) as caught:
            read_sound(recording)
        assert str(caught.value).startswith(f"{recording.file}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "flac", "opus"])
def test_a_truncated_recording_is_no_recording(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    kind = ("OPUS", "OGG") if suffix == "opus" else (None, None)
    noise = np.random.default_rng(1).integers(-9000, 9000, 80_000).astype(np.int16)
    soundfile.write(path, noise, 16_000, subtype=kind[0], format=kind[1])
    assert len(read_sound(whole(path))) == 80_000
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(AudioError, match=f"{path}: ") as caught:
        read_sound(whole(path))
    assert "\n" not in str(caught.value)


def test_a_piece_beyond_the_end_is_no_piece(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", ramp(16_000), 16_000)
    assert len(read_sound(whole(tmp_path / "x.wav", 8_000, 8_100))) == 8_000  # as other rates may round
    with pytest.raises(AudioError, match=r"x.wav: is truncated: 0.50 s of 1.00 s from sample 8000 on are there"):
        read_sound(whole(tmp_path / "x.wav", 8_000, 16_000))


def test_segments_cover_the_sound_and_drop_short_ends() -> None:
    sound = ramp(1000)
    assert [len(piece) for piece in segments(sound, None)] == [1000]
    assert [len(piece) for piece in segments(sound, 400)] == [400, 400, 200]
    assert [len(piece) for piece in segments(sound, 300)] == [300, 300, 300]
    assert [len(piece) for piece in segments(sound, 5000)] == [1000]
    np.testing.assert_array_equal(np.concatenate(list(segments(sound, 400))), sound)


def test_real_recordings_read(data_dir: Path) -> None:
    found = find_recordings(data_dir / "speech-commands/validation/yes", None, r"^([0-9a-f]+)_nohash", "validation", {})
    assert len(found) > 50
    assert all(recording.speaker for recording in found)
    for recording in found[:5]:
        assert recording.label == "yes"
        assert 4000 <= len(read_sound(recording)) <= 16_000
    pieces = read_labels(data_dir / "negatives/arabic-words.csv", data_dir / "negatives", None, "train")
    assert len(read_sound(pieces[100])) == pieces[100].samples


def test_a_name_that_is_no_utf_8_can_be_stored_and_read(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xe9")
    folder.mkdir()
    soundfile.write(tmp_path / "a.wav", ramp(1000), 16_000)
    (tmp_path / "a.wav").rename(folder / os.fsdecode(b"\xe8_1.wav"))
    (found,) = find_recordings(tmp_path, None, "^(.*)_", "train", {})
    assert (found.name, found.label, found.speaker) == (r"\udce9/\udce8_1.wav", r"\udce9", r"\udce8")
    np.testing.assert_array_equal(read_sound(found), ramp(1000))


@pytest.mark.parametrize("name", ["zero\0byte.wav", "raw.raw"])
def test_a_name_in_a_table_that_names_no_sound(tmp_path: Path, name: str) -> None:
    (tmp_path / "raw.raw").write_bytes(b"\1\2")
    with pytest.raises(AudioError):
        read_sound(whole(tmp_path / name))


def test_a_header_that_promises_more_than_fits_in_memory(tmp_path: Path) -> None:
    stream_info = bytes.fromhex("1000 1000 000000 000000 03e8 00ff ffffffff") + bytes(16)  # 2**36 - 1 samples
    (tmp_path / "huge.flac").write_bytes(b"fLaC\x80\0\0\x22" + stream_info)
    with pytest.raises(AudioError, match=r"huge\.flac: not readable as sound"):
        read_sound(whole(tmp_path / "huge.flac"))
