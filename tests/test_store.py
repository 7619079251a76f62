"""Stores: what was written is read, a bad one is refused in one line, and half of one never replaces a good one."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyhark.app.errors import HarkError
from tinyhark.dsp.front_end import DIGEST, FrontEnd
from tinyhark.training.store import Clip, LogMelQ8, Store, to_q8, write_store

CLIP = Clip("yes", "anna", "set", "own", "train", "yes/1.wav", 0, 0)


def frames(count: int, seed: int = 0) -> LogMelQ8:
    return np.random.default_rng(seed).integers(0, 9000, (count, 40)).astype(np.int16)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", [(CLIP, frames(5)), (replace(CLIP, label="no"), frames(3, 1))], "hark features x")
    return tmp_path / "store"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(path: Path) -> str:
    with pytest.raises(HarkError) as caught:
        Store.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_what_was_written_is_read(tmp_path: Path) -> None:
    clips = [
        (replace(CLIP, recording='odd, "name"\u00e9.wav'), frames(5)),
        (replace(CLIP, label="no", speaker="", split="validation"), frames(1, 1)),
        (replace(CLIP, licence="CC-BY-4.0"), frames(97, 2)),
    ]
    assert write_store(tmp_path / "deep" / "store", clips, "hark features x --out y") == 3
    got = Store.load(tmp_path / "deep" / "store")
    first = 0
    for (clip, log_mel), read in zip(clips, got.clips, strict=True):
        assert read == replace(clip, first_frame=first, frames=len(log_mel))
        np.testing.assert_array_equal(got.log_mel[first : first + len(log_mel)], log_mel)
        first += len(log_mel)
    assert got.log_mel.dtype == np.int16
    assert got.log_mel.shape == (103, 40)
    head = json.loads((tmp_path / "deep" / "store" / "store.json").read_text())
    assert head == {
        "front_end": DIGEST,
        "hop_samples": 160,
        "bands": 40,
        "clips": 3,
        "command": "hark features x --out y",
    }


@given(arrays(np.int32, (2, 40), elements=st.integers(0, 43 << 16)))
def test_q8_is_the_nearest_half_up(log_mel: np.ndarray) -> None:
    got = to_q8(log_mel)
    assert got.dtype == np.int16
    error = (got.astype(np.int64) << 8) - log_mel
    assert (error > -128).all()
    assert (error <= 128).all()


def test_digital_silence_is_zero_in_a_store() -> None:
    assert not to_q8(FrontEnd().log_mel(np.zeros(16_000, np.int16))).any()


def test_another_front_end_is_refused(store: Path) -> None:
    head = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(head | {"front_end": "abc123"}))
    line = refusal(store)
    assert "abc123" in line
    assert "hark features" in line


def test_no_folder_and_no_store(tmp_path: Path) -> None:
    assert "hark features" in refusal(tmp_path / "none")
    assert "hark features" in refusal(tmp_path)
    (tmp_path / "file").write_text("x")
    refusal(tmp_path / "file")


@pytest.mark.parametrize("name", ["store.json", "clips.csv", "log_mel.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "garbage"])
def test_a_damaged_file_is_one_line(store: Path, name: str, damage: str) -> None:
    file = store / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "garbage": b"\xff\x00\xfe" * 40}[damage])
    refusal(store)


@pytest.mark.parametrize("head", ["[]", "3", '"text"', "{}"])
def test_a_head_of_something_else(store: Path, head: str) -> None:
    (store / "store.json").write_text(head)
    refusal(store)


@pytest.mark.parametrize(
    "features", [np.zeros((8, 40), np.float32), np.zeros((8, 20), np.int16), np.zeros(8, np.int16)]
)
def test_features_of_another_kind_are_refused(store: Path, features: np.ndarray) -> None:
    np.save(store / "log_mel.npy", features)
    refusal(store)


def test_a_table_that_lacks_a_column_names_it(store: Path) -> None:
    text = (store / "clips.csv").read_text()
    (store / "clips.csv").write_text(text.replace("licence", "license", 1))
    assert "licence" in refusal(store)


def test_a_table_with_a_short_line(store: Path) -> None:
    text = (store / "clips.csv").read_text()
    (store / "clips.csv").write_text(text + "yes,anna\n")
    refusal(store)


@pytest.fixture(params=["error", "interrupt"])
def breaks(request: pytest.FixtureRequest) -> Callable[[], Iterator[tuple[Clip, LogMelQ8]]]:
    """Clips that end in the middle."""

    def clips() -> Iterator[tuple[Clip, LogMelQ8]]:
        yield CLIP, frames(4, 7)
        raise {"error": HarkError("no more"), "interrupt": KeyboardInterrupt()}[request.param]

    return clips


def test_a_good_store_outlives_a_failed_one(store: Path, breaks: Callable[[], Iterator[tuple[Clip, LogMelQ8]]]) -> None:
    before = content(store)
    with pytest.raises((HarkError, KeyboardInterrupt)):
        write_store(store, breaks(), "again")
    assert content(store) == before
    assert [path.name for path in store.parent.iterdir()] == ["store"]
    assert Store.load(store).clips[0].frames == 5


def test_nothing_to_store_leaves_the_old_store(store: Path) -> None:
    before = content(store)
    with pytest.raises(HarkError, match="nothing to store"):
        write_store(store, [], "again")
    assert content(store) == before
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def test_what_a_kill_left_behind_does_no_harm(store: Path) -> None:
    left = store.with_name("store.part")
    shutil.copytree(store, left)
    (left / "log_mel.npy").write_bytes(b"half")
    write_store(store, [(CLIP, frames(9, 3))], "again")
    assert [clip.frames for clip in Store.load(store).clips] == [9]
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "recordings" / "yes" / "1.wav"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"sound")
    with pytest.raises(HarkError, match="no store"):
        write_store(tmp_path / "recordings", [(CLIP, frames(4))], "hark features")
    assert precious.read_bytes() == b"sound"


def test_a_file_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(HarkError, match="no store"):
        write_store(tmp_path / "out", [(CLIP, frames(4))], "hark features")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_empty_folder_may_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_store(tmp_path / "out", [(CLIP, frames(4))], "hark features")
    assert len(Store.load(tmp_path / "out").clips) == 1


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HarkError, match=str(tmp_path / "file" / "store")):
        write_store(tmp_path / "file" / "store", [(CLIP, frames(4))], "hark features")
