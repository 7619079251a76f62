"""Synthetic speech: who says what, phonemes, the two engines, the sound around it, the files Kokoro needs."""

# ruff: noqa: RUF001, RUF003 - letters of the IPA look like others
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.errors import HarkError
from tinyhark.training.synthesis import HELD_OUT_VOICES
from tinyhark.training.synthesis.espeak import Espeak
from tinyhark.training.synthesis.kokoro import RATE_HZ, STYLE_SIZE, STYLES, Kokoro, default_folder
from tinyhark.training.synthesis.phonemes import kokoro_phonemes, kokoro_signs
from tinyhark.training.synthesis.sound import finish
from tinyhark.training.synthesis.takes import Take, file_name, plan, slug

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def kokoro() -> Kokoro:
    if not (default_folder() / "model.onnx").exists():
        pytest.skip(f"no Kokoro voices in {default_folder()}; set TINYHARK_KOKORO")
    return Kokoro.load()


class TestTakes:
    def test_held_out_voices_are_the_four_of_the_demo(self) -> None:
        assert HELD_OUT_VOICES == ("af_nova", "am_echo", "bf_lily", "bm_lewis")

    def test_a_seed_repeats_and_another_differs(self) -> None:
        engine = Espeak()
        first, again, other = (plan("off", engine, engine.voices, 20, (0.7, 1.3), (-2, 2), seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other

    @given(
        count=st.integers(1, 30),
        low=st.floats(0.5, 1.0),
        width=st.floats(0, 1.0),
        seed=st.integers(0, 2**31),
    )
    def test_takes_stay_inside_what_was_asked_for(self, count: int, low: float, width: float, seed: int) -> None:
        engine = Espeak()
        takes = plan("up|up!", engine, ["en-us_m1", "en-gb_f2"], count, (low, low + width), (-width, width), seed)
        assert [take.text for take in takes] == (["up", "up!"] * count)[:count]
        for take in takes:
            assert take.voice in ("en-us_m1", "en-gb_f2")
            assert low - 0.005 <= take.speed <= low + width + 0.005
            assert abs(take.pitch_semitones) <= width + 0.005

    def test_voices_are_mixed_with_another_where_the_engine_mixes(self) -> None:
        takes = plan("go", fake_kokoro(), ["af_a", "bm_b", "jf_c"], 200, (1, 1), (0, 0), 5)
        assert all(take.voice != take.second and 45 <= take.share_percent < 100 for take in takes)
        assert {take.voice for take in takes} == {"af_a", "bm_b", "jf_c"}

    def test_voices_of_other_languages_are_rarer(self) -> None:
        takes = plan("go", fake_kokoro(), ["af_a", "bm_b", "jf_c"], 900, (1, 1), (0, 0), 5)
        foreign = sum(take.voice == "jf_c" for take in takes)
        assert 60 < foreign < 140  # 100 expected: a quarter of an English voice

    def test_names_of_folders_and_files(self) -> None:
        assert slug("Don't STOP, please!") == "don-t-stop-please"
        assert slug("?!") == ""
        take = Take("off", "af_heart", "am_puck", 55, 97, 1.5)
        assert file_name(take, 12, "flac") == "af_heart_am_puck_55_97_12.flac"
        assert take.speed == 0.97
        assert take.pitch == pytest.approx(2 ** (1.5 / 12))


class TestPhonemes:
    @pytest.mark.parametrize(
        ("ipa", "british", "signs"),
        [
            ("t^ʃˈɜːt^ʃ", False, "ʧˈɜɹʧ"),
            ("t^ʃˈɜːt^ʃ", True, "ʧˈɜːʧ"),
            ("d^ʒˈʌd^ʒ", False, "ʤˈʌʤ"),
            ("nˈo^ʊ", False, "nˈO"),
            ("nˈə^ʊ", True, "nˈQ"),
            ("ɹˈa^ɪt", False, "ɹˈIt"),
            ("dˈa^ʊn", True, "dˈWn"),
            ("bˈɔ^ɪ", False, "bˈY"),
            ("dˈe^ɪ", False, "dˈA"),
            ("stˈɑːp", False, "stˈɑp"),
            ("bˈʌʔn̩", False, "bˈʌtᵊn"),
            ("wˈɔːɾɚ", False, "wˈɔTəɹ"),
            ("ðe^ə", True, "ðɛː"),
        ],
    )
    def test_diphthongs_and_affricates_become_one_sign(self, ipa: str, british: bool, signs: str) -> None:
        assert kokoro_signs(ipa, british) == signs

    @needs_espeak
    def test_text_keeps_its_punctuation(self) -> None:
        assert kokoro_phonemes("off!", british=False) == "ˈɔf!"
        assert kokoro_phonemes("off.", british=True) == "ˈɒf."
        assert kokoro_phonemes("no, go", british=True) == "nˈQ, ɡˈQ"

    @needs_espeak
    @pytest.mark.parametrize("text", ["", "  ", "?!"])
    def test_text_without_words_is_refused(self, text: str) -> None:
        with pytest.raises(HarkError, match="nothing that can be spoken"):
            kokoro_phonemes(text, british=False)

    def test_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(HarkError, match="espeak-ng: not found; install it"):
            kokoro_phonemes("off", british=False)


class TestSound:
    @pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 24_000 * 1.1])
    def test_comes_out_at_16_khz_with_a_tenth_of_a_second_around_it(self, rate_hz: float) -> None:
        t = np.arange(int(0.5 * rate_hz)) / rate_hz
        quiet = np.zeros(int(0.4 * rate_hz))
        sound = np.concatenate([quiet, 0.5 * np.sin(2 * np.pi * 1000 * t), quiet]).astype(np.float32)
        clip = finish(sound, rate_hz)
        assert clip.dtype == np.int16
        assert len(clip) == pytest.approx(0.7 * 16_000, abs=80)
        spectrum = np.abs(np.fft.rfft(clip[1600:-1600]))
        peak_hz = np.argmax(spectrum) * 16_000 / (len(clip) - 3200)
        assert peak_hz == pytest.approx(1000, abs=3)
        assert np.max(np.abs(clip)) == pytest.approx(0.5 * 32768, rel=0.02)

    def test_loud_sound_is_not_clipped(self) -> None:
        sound = (3 * np.sin(np.arange(16_000) / 10)).astype(np.float32)
        assert 0.93 * 32768 < np.max(np.abs(finish(sound, 16_000).astype(int))) < 0.97 * 32768

    def test_silence_gives_no_samples(self) -> None:
        assert len(finish(np.zeros(1000, np.float32), 24_000)) == 0


@needs_espeak
class TestEspeak:
    def test_same_take_same_samples(self) -> None:
        take = Take("seven", "en-us_f2", "en-us_f2", 100, 110, 1.0)
        first, again = Espeak().speak(take), Espeak().speak(take)
        assert np.array_equal(first, again)
        assert 0.3 < len(first) / 16_000 < 1.2

    def test_faster_is_shorter(self) -> None:
        slow, fast = (len(Espeak().speak(Take("seven", "en-us_m1", "en-us_m1", 100, s))) for s in (70, 140))
        assert fast < 0.75 * slow

    def test_higher_pitch_sounds_higher(self) -> None:
        low_hz, high_hz = (
            _pitch_hz(Espeak().speak(Take("aah", "en-us_m1", "en-us_m1", 100, 70, st))) for st in (-4.0, 4.0)
        )
        assert 1.3 < high_hz / low_hz < 1.9  # 8 semitones are 1.59

    def test_all_voices_speak_and_differ(self) -> None:
        voices = Espeak().voices
        accents = sorted({voice.split("_")[0] for voice in voices})
        chosen = [f"{accent}_m1" for accent in accents] + [v for v in voices if v.startswith("en-us_")]
        digests = {Espeak().speak(Take("alright", voice, voice)).tobytes() for voice in chosen}
        assert len(digests) >= len(set(chosen)) - 2  # two variants may be the voice's own

    def test_unknown_voice_and_mute_text_are_refused(self) -> None:
        with pytest.raises(HarkError, match="xx_y: no such voice"):
            Espeak().speak(Take("yes", "xx_y", "xx_y"))
        with pytest.raises(HarkError, match="espeak-ng says nothing"):
            Espeak().speak(Take("", "en-us_m1", "en-us_m1"))


def _pitch_hz(clip: NDArray[np.int16]) -> float:
    middle = clip[len(clip) // 2 - 800 : len(clip) // 2 + 800].astype(np.float64)
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = np.arange(40, 300)  # 53 to 400 Hz
    return 16_000 / float(lags[np.argmax(correlation[lags])])


class FakeSession:
    """Stands for onnxruntime: keeps what it was fed, answers with half a second of tone."""

    def __init__(self) -> None:
        self.feeds: dict[str, NDArray[Any]] = {}

    def run(self, _outputs: None, feeds: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        self.feeds = feeds
        return [np.sin(np.arange(RATE_HZ // 2) / 10).astype(np.float32)]


def fake_kokoro(session: FakeSession | None = None) -> Kokoro:
    rng = np.random.default_rng(0)
    styles = {name: rng.standard_normal((STYLES, STYLE_SIZE)).astype(np.float32) for name in ("af_a", "bm_b", "jf_c")}
    return Kokoro(session or FakeSession(), {sign: i + 1 for i, sign in enumerate("ˈɔfɒ!nOQ")}, styles)


@needs_espeak
class TestKokoroWithoutItsFiles:
    def test_tokens_style_and_speed_are_what_the_network_wants(self) -> None:
        session = FakeSession()
        engine = fake_kokoro(session)
        clip = engine.speak(Take("off!", "af_a", "bm_b", 75, 90, 12.0))
        tokens = session.feeds["tokens"]
        assert tokens.dtype == np.int64
        assert tokens.tolist() == [[0, 1, 2, 3, 5, 0]]  # ˈ ɔ f !, padded
        expected = 0.75 * engine._styles["af_a"][3] + 0.25 * engine._styles["bm_b"][3]
        np.testing.assert_allclose(session.feeds["style"], expected[None], rtol=1e-6)
        assert session.feeds["style"].dtype == session.feeds["speed"].dtype == np.float32
        # An octave up: the network speaks at half of the speed, the replay is twice as fast.
        assert session.feeds["speed"].tolist() == pytest.approx([0.45])
        assert len(clip) == pytest.approx(4000, abs=20)

    def test_voice_decides_between_british_and_american(self) -> None:
        session = FakeSession()
        fake_kokoro(session).speak(Take("no", "bm_b", "bm_b"))
        assert session.feeds["tokens"].tolist() == [[0, 6, 1, 8, 0]]
        fake_kokoro(session).speak(Take("no", "jf_c", "bm_b", 50))
        assert session.feeds["tokens"].tolist() == [[0, 6, 1, 7, 0]]

    def test_unknown_voice_and_text_too_long_are_refused(self) -> None:
        with pytest.raises(HarkError, match="af_zz: no such voice; there are af_a, bm_b, jf_c"):
            fake_kokoro().speak(Take("off", "af_zz", "af_a"))
        with pytest.raises(HarkError, match="phonemes; Kokoro takes 1 to 510"):
            fake_kokoro().speak(Take("off " * 300, "af_a", "af_a"))

    def test_missing_folder_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(HarkError, match="no Kokoro voices here; fetch them with: hark data kokoro"):
            Kokoro.load(tmp_path)

    def test_broken_model_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"no model")
        with pytest.raises(HarkError, match="Kokoro's files do not load"):
            Kokoro.load(tmp_path)

    def test_folder_from_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TINYHARK_KOKORO", str(tmp_path / "k"))
        assert default_folder() == tmp_path / "k"
        monkeypatch.delenv("TINYHARK_KOKORO")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_folder() == tmp_path / "tinyhark" / "kokoro"


@needs_espeak
@pytest.mark.slow
class TestKokoro:
    def test_has_its_voices_the_held_out_ones_among_them(self, kokoro: Kokoro) -> None:
        assert len(kokoro.voices) == 54
        assert set(HELD_OUT_VOICES) <= set(kokoro.voices)

    def test_same_take_same_samples_and_mixes_differ(self, kokoro: Kokoro) -> None:
        pure, again, mixed = (kokoro.speak(Take("stop", "af_heart", "am_adam", share)) for share in (100, 100, 50))
        assert np.array_equal(pure, again)
        assert 0.3 < len(pure) / 16_000 < 1.2
        assert not np.array_equal(pure[: len(mixed)], mixed[: len(pure)])

    def test_every_sign_of_english_is_in_the_vocabulary(self, kokoro: Kokoro) -> None:
        text = "The quick brown fox jumps over lazy dogs; church, judge, boy, how, vision, thing, yes, button, there!"
        for british in (False, True):
            signs = set(kokoro_phonemes(text, british)) - {"\u200d"}
            assert signs <= set(kokoro._vocabulary), signs - set(kokoro._vocabulary)
