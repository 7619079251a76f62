"""`hark eval confusables`: which phrases are tried, what fires at which, and that nothing is rendered twice."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinyhark.app.errors import HarkError
from tinyhark.app.evaluation.cache import Cache
from tinyhark.app.evaluation.farm import here
from tinyhark.app.spotter import Spotter
from tinyhark.training.commands.confusables import confusables
from tinyhark.training.confusables import KEYWORD, Phrase, Tried, listen, phrases_for, speak
from tinyhark.training.synthesis.takes import Samples, Take

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

PHRASES = [
    Phrase("low", "low", KEYWORD),
    Phrase("low", "lower", "sounds alike"),
    Phrase("low", "slow", "rhyme"),
    Phrase("high", "high", KEYWORD),
]
SAID_AS = {"low": ("low",), "high": ("high",), "slow": ("other",), "lower": ("low", 0.6, "high")}


class Tones:
    """An engine that speaks the tones which the small model takes for words; of every `lower` the second is mute."""

    name = "tones"
    licence = "CC0-1.0"
    mixes = False
    voices = ("one_f3", "one_m3", "two_f1")

    def __init__(self, say) -> None:
        self._say = say
        self.spoken: list[Take] = []

    def weight(self, voice: str) -> float:
        del voice
        return 1.0

    def speak(self, take: Take) -> Samples:
        self.spoken.append(take)
        if take.text == "lower" and sum(other.text == "lower" for other in self.spoken) % 2:
            return np.zeros(8000, np.int16)
        sound: Samples = self._say(0.1, *SAID_AS[take.text], 0.1)
        return sound


def heard(spotter: Spotter, engine: Tones, folder: Path) -> tuple[dict[str, Tried], list[str]]:
    clips = speak(PHRASES, [engine], 4, folder / "clips", lambda _: None)
    tried, problems = listen(spotter, clips, Cache(folder / "scores"), here, lambda _: None)
    return {one.phrase.text: one for one in tried}, problems


def test_each_firing_belongs_to_the_phrase_before_it(tiny_model, say, tmp_path):
    tried, problems = heard(Spotter(tiny_model), Tones(say), tmp_path)
    assert problems == []
    assert list(tried) == [phrase.text for phrase in PHRASES]
    assert {text: (one.fired.count, one.fired.of) for text, one in tried.items()} == {
        "low": (4, 4),
        "lower": (2, 4),
        "slow": (0, 4),
        "high": (4, 4),
    }
    assert tried["lower"].heard == {"low": 2, "high": 2}, "clips, not firings"
    assert tried["slow"].fired.interval[1] == pytest.approx(0.49, abs=0.01)


def test_a_threshold_changes_what_fires(tiny_model, say, tmp_path):
    engine = Tones(say)
    heard(Spotter(tiny_model), engine, tmp_path)
    tried, _ = heard(Spotter(tiny_model, threshold=1.0), engine, tmp_path)
    assert not any(one.fired.count for one in tried.values())
    assert len(engine.spoken) == 16, "rendered once"
    assert {take.voice for take in engine.spoken} == {"one_f3", "one_m3"}, "voices kept for judging"


def test_a_clip_that_cannot_be_read_is_not_counted(tiny_model, say, tmp_path):
    clips = speak(PHRASES, [Tones(say)], 2, tmp_path / "clips", lambda _: None)
    next(path for path, phrase in clips.items() if phrase.text == "high").write_bytes(b"no sound")
    rows, problems = listen(Spotter(tiny_model), clips, Cache(tmp_path / "scores"), here, lambda _: None)
    assert len(problems) == 1
    assert {row.phrase.text: row.fired.of for row in rows} == {"low": 2, "lower": 2, "slow": 2, "high": 1}


@needs_espeak
def test_no_phrase_is_another_keyword_or_comes_twice():
    phrases = phrases_for(["stop", "go", "no", "on_top"])
    texts = [phrase.text for phrase in phrases]
    assert len(texts) == len(set(texts))
    kinds = {phrase.text: (phrase.keyword, phrase.kind) for phrase in phrases}
    assert kinds["go"] == ("go", KEYWORD)
    assert kinds["on top"] == ("on_top", KEYWORD)
    assert kinds["stopped"] == ("stop", "sounds alike")
    assert kinds["go go"] == ("go", "said twice")
    assert kinds["know"] == ("no", "sounds the same")
    assert kinds["top on"] == ("on_top", "other order")


@pytest.fixture(scope="module")
def runs(tiny_model, tmp_path_factory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("confusables")
    return folder, run(tiny_model, folder)


def run(model, folder: Path, *arguments: str) -> Result:
    options = [str(model), "--count", "1", "--cache", str(folder), *arguments]
    return CliRunner().invoke(confusables, options, env={"TINYHARK_KOKORO": str(folder / "none")})


@needs_espeak
@pytest.mark.slow
def test_the_command_shows_keywords_totals_and_what_never_fired(runs):
    _, result = runs
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert ["low", "low", "the", "keyword"] in [line[:4] for line in lines]
    assert any(line[0] == "high" and line[1].isdigit() for line in lines), "a row of totals"
    assert "Never fired: " in result.stdout


@needs_espeak
@pytest.mark.slow
def test_a_second_run_renders_nothing_and_gives_json(runs, tiny_model):
    folder, _ = runs
    clips = {path: path.stat().st_mtime_ns for path in (folder / "confusables").rglob("*.flac")}
    found = json.loads(run(tiny_model, folder, "--json").stdout)
    assert {path: path.stat().st_mtime_ns for path in (folder / "confusables").rglob("*.flac")} == clips
    assert len(found["phrases"]) == len(clips) > 40
    assert found["engines"] == ["espeak"]
    assert set(found["phrases"][0]) == {"phrase", "fired", "heard"}


@needs_espeak
def test_what_is_wrong_is_one_line(tmp_path, tiny_model):
    result = CliRunner().invoke(confusables, ["no-such-model"])
    assert isinstance(result.exception, HarkError)
    result = run(tiny_model, tmp_path, "--kokoro", str(tmp_path / "empty"))
    assert "no Kokoro voices here" in str(result.exception)
