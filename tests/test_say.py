"""`hark say`: clips, their names and their list, from a seed; what it refuses."""

# ruff: noqa: RUF001 - letters of the IPA look like others
import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from tinyhark.app.errors import HarkError
from tinyhark.training.commands.say import say
from tinyhark.training.synthesis import HELD_OUT_VOICES

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(say, [str(argument) for argument in arguments], catch_exceptions=False)


def refusal(*arguments: str | Path) -> str:
    result = CliRunner().invoke(say, [str(argument) for argument in arguments])
    assert isinstance(result.exception, HarkError), result.exception
    return str(result.exception)


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def small_kokoro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like Kokoro's, whose network only repeats the style that it is given."""
    folder = tmp_path_factory.mktemp("kokoro")
    nodes = [
        helper.make_node("Tile", ["style", "repeats"], ["long"]),
        helper.make_node("Reshape", ["long", "flat"], ["audio"]),
    ]
    graph = helper.make_graph(
        nodes,
        "style",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
            helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])],
        [
            numpy_helper.from_array(np.array([1, 40]), "repeats"),
            numpy_helper.from_array(np.array([-1]), "flat"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )
    (folder / "vocabulary.json").write_text(json.dumps({sign: i for i, sign in enumerate("ˈɔfɒ", start=1)}))
    (folder / "voices").mkdir()
    rng = np.random.default_rng(0)
    for voice in ("af_heart", "am_adam", *HELD_OUT_VOICES):
        (0.1 * rng.standard_normal((510, 256))).astype("<f4").tofile(folder / "voices" / f"{voice}.bin")
    return folder


def test_each_phrase_has_its_folder_and_its_lines(tmp_path: Path) -> None:
    result = run("off|off!", "good morning", "--out", tmp_path, "--count", "3", "--seed", "4", "--speed", "0.8:1.2")
    assert result.exit_code == 0
    assert "6 clips of 2 phrases, 6 of them new" in result.output
    rows = manifest(tmp_path)
    assert {row["file"] for row in rows} == set(content(tmp_path)) - {"manifest.csv"}
    assert sorted(row["text"] for row in rows) == ["good morning"] * 3 + ["off", "off", "off!"]
    for row in rows:
        folder, name = row["file"].split("/")
        parts = name.removesuffix(".flac").split("_")
        assert folder == ("off" if row["text"].startswith("off") else "good-morning")
        assert "_".join(parts[:2]) == row["voice"]
        assert "_".join(parts[2:4]) == row["second_voice"]
        assert parts[4:6] == [row["share_percent"], row["speed_percent"]]
        assert 80 <= int(row["speed_percent"]) <= 120
        assert -2 <= float(row["pitch_semitones"]) <= 2
        assert (row["engine"], row["licence"]) == ("espeak", "CC0-1.0")
        info = soundfile.info(tmp_path / row["file"])
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "FLAC")
        assert 0.25 < info.duration < 2.5


def test_same_seed_same_clips_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run("stop", "--out", tmp_path / folder, "--count", "3", "--seed", seed, "--format", "wav")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert set(content(tmp_path / "a")) & set(content(tmp_path / "c")) == {"manifest.csv"}


def test_a_second_run_renders_only_what_is_missing(tmp_path: Path) -> None:
    run("go", "--out", tmp_path, "--count", "4")
    before = content(tmp_path)
    lost = tmp_path / manifest(tmp_path)[0]["file"]
    lost.unlink()
    assert "4 clips of 1 phrases, 1 of them new" in run("go", "--out", tmp_path, "--count", "4").output
    assert content(tmp_path) == before
    assert "2 of them new" in run("go", "--out", tmp_path, "--count", "6").output
    run("no", "--out", tmp_path, "--count", "1")
    assert len(manifest(tmp_path)) == 7


def test_another_pitch_is_rendered_anew(tmp_path: Path) -> None:
    run("go", "--out", tmp_path, "--count", "2", "--pitch", "0:0")
    flat = content(tmp_path)
    assert "2 of them new" in run("go", "--out", tmp_path, "--count", "2", "--pitch", "3:4").output
    raised = content(tmp_path)
    assert flat.keys() == raised.keys()
    assert all(flat[name] != raised[name] for name in flat)


def test_held_out_voices_speak_only_when_named(tmp_path: Path, small_kokoro: Path) -> None:
    kokoro = ("--engine", "kokoro", "--kokoro", small_kokoro)
    run("off", "--out", tmp_path / "all", "--count", "20", *kokoro)
    heard = {row[key] for row in manifest(tmp_path / "all") for key in ("voice", "second_voice")}
    assert heard == {"af_heart", "am_adam"}
    run("off", "--out", tmp_path / "named", "--count", "3", "--voices", "af_nova", *kokoro)
    assert {(row["voice"], row["second_voice"]) for row in manifest(tmp_path / "named")} == {("af_nova", "af_nova")}
    assert {row["licence"] for row in manifest(tmp_path / "named")} == {"Apache-2.0"}


def test_kokoro_is_found_by_the_environment(
    tmp_path: Path, small_kokoro: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYHARK_KOKORO", str(small_kokoro))
    assert "1 of them new" in run("off", "--out", tmp_path, "--count", "1", "--engine", "kokoro").output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--speed", "fast"], "--speed: 'fast' is not LOW:HIGH"),
        (["--speed", "1.2:0.8"], "--speed: '1.2:0.8' must be LOW:HIGH with 0.3 <= LOW <= HIGH <= 3"),
        (["--speed", "nan:1"], "--speed: 'nan:1' must be LOW:HIGH"),
        (["--pitch", "-13:0"], "--pitch: '-13:0' must be LOW:HIGH with -12 <= LOW"),
        (["--voices", "en-us_m1,xx"], "xx: espeak has no such voice; it has en-029_f1"),
        (["--voices", ","], "--voices: is empty"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    complaint = refusal("off", "--out", tmp_path / "x", *arguments)
    assert line in complaint
    assert "\n" not in complaint
    assert not (tmp_path / "x").exists()


def test_phrases_that_cannot_be_folders_are_refused(tmp_path: Path) -> None:
    assert "nothing that can be spoken" in refusal("?!", "--out", tmp_path)
    assert "nothing that can be spoken" in refusal(os.fsdecode(b"off \xe9"), "--out", tmp_path)
    assert "both would go into the folder off" in refusal("off", "Off!", "--out", tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written: Not a directory" in refusal("off", "--out", tmp_path / "file" / "clips", "--count", "1")
    result = CliRunner().invoke(say, ["off", "--out", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "is a file" in result.output


def test_kokoro_without_files_says_how_to_get_them(tmp_path: Path) -> None:
    complaint = refusal("off", "--out", tmp_path, "--engine", "kokoro", "--kokoro", tmp_path / "none")
    assert complaint.endswith(f"fetch them with: hark data kokoro {tmp_path / 'none'}")


def test_a_list_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe")
    assert "manifest.csv: is no CSV in UTF-8" in refusal("off", "--out", tmp_path, "--count", "1")


def test_a_clip_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    run("off", "--out", tmp_path, "--count", "1")
    (clip,) = (tmp_path / "off").iterdir()
    clip.unlink()
    clip.mkdir()  # in the way
    (tmp_path / "manifest.csv").unlink()
    assert "cannot be written" in refusal("off", "--out", tmp_path, "--count", "1")
    assert list((tmp_path / "off").iterdir()) == [clip]


def test_no_terminal_sees_no_progress(tmp_path: Path) -> None:
    assert run("off", "--out", tmp_path, "--count", "1").stderr == ""
