"""Noises and rooms made from random numbers, and Opus files that repeat byte for byte."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.training.synthesis import ogg, scenery


class TestScenery:
    @pytest.mark.parametrize("name", list(scenery.NOISES))
    def test_noise_has_an_rms_of_1_and_repeats(self, name: str) -> None:
        first, again = (scenery.NOISES[name](np.random.default_rng(4), 32_000) for _ in range(2))
        assert np.sqrt(np.mean(first**2)) == pytest.approx(1.0)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, scenery.NOISES[name](np.random.default_rng(5), 32_000))

    def test_pink_noise_falls_by_3_db_an_octave(self) -> None:
        power = np.abs(np.fft.rfft(scenery.pink(np.random.default_rng(1), 160_000))) ** 2  # bins of 0.1 Hz
        octaves_db = [10 * np.log10(power[hz * 10 : hz * 20].mean()) for hz in (100, 200, 400, 800, 1600, 3200)]
        np.testing.assert_allclose(np.diff(octaves_db), -3.0, atol=0.6)

    def test_hum_is_tones_of_the_mains(self) -> None:
        power = np.abs(np.fft.rfft(scenery.hum(np.random.default_rng(1), 160_000))) ** 2
        strongest_hz = np.argmax(power[100:]) / 10 + 10
        assert min(abs(strongest_hz - mains * k) / k for mains in (50, 60) for k in (1, 2, 3)) < 0.3

    def test_babble_rises_and_falls_like_speech(self) -> None:
        def swing(noise: NDArray[np.float64]) -> float:
            levels = np.sqrt((noise.reshape(-1, 800) ** 2).mean(1))  # 50 ms
            return float(levels.std() / levels.mean())

        babble, fan = (make(np.random.default_rng(2), 160_000) for make in (scenery.babble, scenery.fan))
        assert swing(babble) > 1.5 * swing(fan)

    def test_convolution_equals_the_sum_of_echoes(self) -> None:
        rng = np.random.default_rng(6)
        sound, response = rng.standard_normal(500), rng.standard_normal(37)
        np.testing.assert_allclose(scenery.convolve(sound, response), np.convolve(sound, response), atol=1e-12)

    @pytest.mark.parametrize("rt60_s", [0.25, 0.5])
    def test_room_decays_by_60_db_in_its_time(self, rt60_s: float) -> None:
        response = scenery.room_response(np.random.default_rng(3), rt60_s, 5.0)
        assert response[0] == 1.0
        assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(5.0)
        left_db = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1])  # Schroeder's integral
        at = [int(np.argmax(left_db < left_db[0] - fall)) for fall in (5, 25)]
        assert 3 * (at[1] - at[0]) / 16_000 == pytest.approx(rt60_s, rel=0.1)


class TestOgg:
    def test_equal_sound_gives_equal_bytes(self, tmp_path: Path) -> None:
        import soundfile

        sound = (8000 * np.sin(np.arange(40_000) / 20)).astype(np.int16)
        for name in ("a.opus", "b.opus"):
            ogg.write_opus(tmp_path / name, sound, serial=7)
        assert (tmp_path / "a.opus").read_bytes() == (tmp_path / "b.opus").read_bytes()
        decoded, rate_hz = soundfile.read(tmp_path / "a.opus", dtype="int16")
        assert (len(decoded), rate_hz) == (40_000, 16_000)
        assert np.corrcoef(decoded[2000:-2000], sound[2000:-2000])[0, 1] > 0.99

    def test_checksum_equals_the_encoders(self) -> None:
        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, np.zeros(20_000, np.int16), 16_000, format="OGG", subtype="OPUS")
        written = buffer.getvalue()
        own = int.from_bytes(written[14:18], "little")
        assert ogg.renumber(written, own) == written
        assert ogg.renumber(ogg.renumber(written, 5), own) == written

    def test_other_bytes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no Ogg page at byte 0"):
            ogg.renumber(b"RIFF" + bytes(40), 1)
