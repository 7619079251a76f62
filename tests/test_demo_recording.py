"""The demo recording: what ships, and the script that makes it."""

import csv
import importlib.util
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tinyhark.app.labels import read_labels
from tinyhark.training.synthesis import HELD_OUT_VOICES
from tinyhark.training.synthesis.takes import Take

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "app" / "demo"
RATE_HZ = 16_000
COMMANDS = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"}
SOUNDS_LIKE_A_COMMAND = COMMANDS | {"know", "write", "rite", "wright", "upon", "onto", "into", "goes", "knows", "ups"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_demo", ROOT / "scripts" / "make_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_demo"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class ToneEngine:
    """Speaks every text as a tone about as long as the words would last."""

    name, licence, mixes = "tone", "CC0-1.0", True
    voices = HELD_OUT_VOICES

    def weight(self, _voice: str) -> float:
        return 1.0

    def speak(self, take: Take) -> NDArray[np.int16]:
        samples = int((0.35 + 0.04 * len(take.text)) / take.speed * RATE_HZ)
        word = 9000 * np.sin(np.arange(samples) * 2 * np.pi * 300 / RATE_HZ)
        return np.pad(word.astype(np.int16), 1600)


@pytest.fixture(scope="module")
def shipped() -> tuple[NDArray[np.int16], list[dict[str, str]]]:
    sound, rate_hz = soundfile.read(DEMO / "demo.opus", dtype="int16")
    assert rate_hz == RATE_HZ
    with (DEMO / "demo.csv").open(newline="", encoding="utf-8") as file:
        return sound, list(csv.DictReader(file))


class TestShipped:
    def test_is_a_minute_or_so_of_mono_sound_in_a_small_file(
        self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]
    ) -> None:
        sound, _ = shipped
        assert sound.ndim == 1
        assert 60 <= len(sound) / RATE_HZ <= 80
        assert (DEMO / "demo.opus").stat().st_size < 500_000
        assert 3000 < np.max(np.abs(sound.astype(int))) < 32_767  # audible, not clipped

    def test_each_command_is_said_twice_or_more(self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]) -> None:
        said = [row["keyword"] for row in shipped[1] if row["keyword"]]
        assert set(said) == COMMANDS
        assert min(said.count(command) for command in COMMANDS) >= 2
        assert 24 <= len(said) <= 28

    def test_other_speech_holds_no_command(self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]) -> None:
        others = [row["text"] for row in shipped[1] if not row["keyword"]]
        assert len(others) >= 10
        assert any(len(text.split()) > 4 for text in others)
        for row in shipped[1]:
            words = re.findall(r"[a-z]+", row["text"].lower())
            assert words == [row["keyword"]] if row["keyword"] else not SOUNDS_LIKE_A_COMMAND & set(words)

    def test_words_are_apart_and_inside(self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]) -> None:
        bounds = [(int(row["start_sample"]), int(row["end_sample"])) for row in shipped[1]]
        assert bounds[0][0] > 0
        assert bounds[-1][1] < len(shipped[0])
        for (_, end), (start, _) in itertools.pairwise(bounds):
            assert 0.39 <= (start - end) / RATE_HZ <= 1.5

    def test_labels_are_where_the_sound_is(self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]) -> None:
        sound, rows = shipped
        rises_db = []
        for row in rows:
            start, end = int(row["start_sample"]), int(row["end_sample"])
            before, word = (
                np.mean(part.astype(float) ** 2) for part in (sound[start - 2400 : start], sound[start:end])
            )
            rises_db.append(10 * np.log10(word / before))
        assert min(rises_db) > 2  # the noisiest words are 5 dB above their noise
        assert np.mean(rises_db) > 8

    def test_the_command_line_reads_its_labels(self, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]) -> None:
        said = read_labels(DEMO / "demo.csv")
        assert len(said) == len(shipped[1])
        assert sum(item.is_command for item in said) == sum(bool(row["keyword"]) for row in shipped[1])

    def test_the_script_draws_the_same_words_from_its_seed(
        self, script: ModuleType, shipped: tuple[NDArray[np.int16], list[dict[str, str]]]
    ) -> None:
        assert script.draw_script(np.random.default_rng([4, 1])) == [
            (row["text"], row["keyword"]) for row in shipped[1]
        ]


class TestScript:
    @pytest.mark.parametrize("seed", range(8))
    def test_every_script_keeps_the_rules(self, script: ModuleType, seed: int) -> None:
        drawn = script.draw_script(np.random.default_rng([seed, 1]))
        commands = [keyword for _, keyword in drawn if keyword]
        assert set(commands) == COMMANDS
        assert min(commands.count(command) for command in COMMANDS) >= 2
        assert all(a != b for a, b in itertools.pairwise(commands))
        assert drawn[0][1]
        assert drawn[-1][1]

    def test_no_text_of_the_script_holds_a_command(self, script: ModuleType) -> None:
        assert not SOUNDS_LIKE_A_COMMAND & set(re.findall(r"[a-z]+", " ".join(script.SENTENCES + script.WORDS).lower()))

    def test_same_seed_same_recording(self, script: ModuleType, tmp_path: Path) -> None:
        sound, events, sections = script.make(3, ToneEngine())
        for cache in (tmp_path, tmp_path):  # spoken, then taken from the cache
            again, events_again, sections_again = script.make(3, ToneEngine(), cache)
            assert np.array_equal(sound, again)
            assert script.labels_csv(events) == script.labels_csv(events_again)
            assert script.scene_csv(events, sections) == script.scene_csv(events_again, sections_again)
        assert not np.array_equal(sound[:16_000], script.make(4, ToneEngine())[0][:16_000])

    def test_voices_noise_and_rooms(self, script: ModuleType) -> None:
        told: list[float] = []
        sound, events, sections = script.make(5, ToneEngine(), progress=told.append)
        assert 60 <= len(sound) / RATE_HZ <= 80
        assert told[-1] == 1.0
        for event in events:
            take, section = event.utterance.take, sections[event.section]
            assert {take.voice, take.second} <= set(HELD_OUT_VOICES)
            snr_db = section.snr_db + event.level_db - section.level_db
            assert 5 <= snr_db <= 20
        assert {section.room for section in sections} == set(script.ROOMS)
        assert {section.noise for section in sections} == set(script.NOISES)
        assert {event.section for event in events} == set(range(script.SECTIONS))

    def test_noise_is_as_loud_as_the_section_says(self, script: ModuleType) -> None:
        sections = [
            script.Section("pink", "dry", -27.0, 6.0),
            script.Section("hum", "dry", -25.0, 18.0),
        ]
        track = script.noise_track(np.random.default_rng(0), sections, [48_000, 96_000])
        for section, part in zip(sections, (track[:44_000], track[52_000:]), strict=True):
            level_db = 10 * np.log10(np.mean(part**2))
            assert level_db == pytest.approx(section.level_db - section.snr_db, abs=0.5)

    def test_words_that_never_fit_are_refused(self, script: ModuleType) -> None:
        class Endless(ToneEngine):
            def speak(self, take: Take) -> NDArray[np.int16]:
                return np.tile(super().speak(take), 4)

        with pytest.raises(ValueError, match="last too long or too short"):
            script.make(1, Endless())
