"""Parts of the way in: conversion, the judgement of sound, the backlog, the choice of a device, the clock of losses."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyhark.app.audio import health
from tinyhark.app.audio.backlog import LIMIT_SAMPLES, NO_SOUND, Backlog
from tinyhark.app.audio.converter import Converter
from tinyhark.app.audio.devices import InputDevice, choose, input_devices
from tinyhark.app.audio.health import Health
from tinyhark.app.audio.loss_clock import LossClock
from tinyhark.app.errors import AudioError
from tinyhark.app.live import Block

Sound = NDArray[np.int16]

NOISE = np.random.default_rng(3).integers(-3000, 3000, 48_000).astype(np.int16)


def test_mono_at_16_khz_is_untouched() -> None:
    np.testing.assert_array_equal(Converter(16_000, 1).convert(NOISE[:, None]), NOISE)


def test_one_channel_is_chosen_or_all_are_averaged() -> None:
    data = np.stack([NOISE[:100], NOISE[100:200], NOISE[200:300]], 1)
    np.testing.assert_array_equal(Converter(16_000, 3, 2).convert(data), data[:, 1])
    mean = np.floor(data.mean(axis=1) + 0.5)
    np.testing.assert_allclose(Converter(16_000, 3).convert(data), mean, atol=1)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
def test_a_rate_is_converted_as_a_stream(rate_hz: int) -> None:
    converter = Converter(rate_hz, 1)
    parts = [converter.convert(part[:, None]) for part in np.array_split(NOISE, 37)]
    got = np.concatenate([*parts, converter.end()])
    whole = soxr.resample(NOISE.astype(np.float32), rate_hz, 16_000)
    assert abs(len(got) - len(whole)) <= 1
    assert np.abs(got[: len(whole)] - whole[: len(got)]).max() < 2


@pytest.mark.parametrize("channel", [0, 3])
def test_a_channel_that_is_not_there_is_refused(channel: int) -> None:
    with pytest.raises(AudioError, match=rf"^channel {channel}: the sound has 2 channels$"):
        Converter(48_000, 2, channel)


def judged(sound: Sound, seconds: int = 12) -> Health:
    judge = Health()
    for _ in range(seconds):
        for block in np.array_split(sound[:16_000], 12):
            judge.feed(block)
    return judge


def wave(level: float) -> NDArray[np.float64]:
    return np.asarray(level * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000))


@pytest.mark.parametrize(
    ("sound", "complaint"),
    [
        (NOISE, None),
        (np.rint(wave(20)), None),
        (np.rint(wave(32_000)), None),
        (np.zeros(16_000), health.SILENCE),
        (np.full(16_000, -7), health.STUCK),
        (np.rint(wave(2)), health.FAINT),
        (np.clip(wave(60_000), -32_768, 32_767), health.CLIPPING),
        (np.rint(wave(3000)) + 4000, health.DC),
    ],
)
def test_sound_is_judged(sound: NDArray[Any], complaint: str | None) -> None:
    judge = judged(sound.astype(np.int16))
    assert judge.complaint == complaint
    assert (judge.good_seconds == 0) == (complaint is not None)
    assert judged(sound.astype(np.int16), 9).complaint is None, "ten seconds are judged, not fewer"


def test_a_complaint_ends_with_its_cause() -> None:
    judge = judged(np.zeros(16_000, np.int16))
    assert judge.complaint == health.SILENCE
    judge.feed(NOISE[:16_000])
    assert judge.complaint is None
    assert judge.good_seconds == 1
    assert judge.level_dbfs == pytest.approx(20 * np.log10(3000 / 3**0.5 / 32_768), abs=0.2)
    judge.gap()
    assert judge.good_seconds == 0


@given(st.lists(st.tuples(st.integers(1, 9000), st.integers(0, 2000), st.integers(0, 2)), max_size=60))
def test_a_backlog_is_bounded_and_loses_no_time(steps: list[tuple[int, int, int]]) -> None:
    backlog = Backlog(drops=True)
    put = got = 0
    for samples, lost, takes in steps:
        backlog.put(Block(np.zeros(samples, np.int16), lost))
        put += samples + lost
        assert backlog.waiting_samples <= max(LIMIT_SAMPLES, samples)
        for _ in range(takes):
            block = backlog.get(0)
            assert block is not None
            got += len(block.samples) + block.lost_samples
    while (block := backlog.get(0)) is not NO_SOUND:
        assert block is not None
        got += len(block.samples) + block.lost_samples
    assert got == put
    assert backlog.waiting_samples == 0


def test_what_remains_after_a_drop_hangs_together() -> None:
    backlog = Backlog(drops=True)
    for index in range(26):
        backlog.put(Block(np.full(640, index, np.int16)))
    first = backlog.get(0)
    assert first is not None
    assert first.lost_samples == backlog.dropped_samples > 0
    later = [backlog.get(0) for _ in range(5)]
    assert all(block is not None and block.lost_samples == 0 for block in later)


def test_a_backlog_that_may_not_drop_waits() -> None:
    backlog = Backlog(drops=False)
    done = threading.Event()

    def fill() -> None:
        for _ in range(40):
            backlog.put(Block(np.zeros(1280, np.int16)))
        done.set()

    threading.Thread(target=fill, daemon=True).start()
    assert not done.wait(0.2)
    taken = 0
    while taken < 40 * 1280:
        block = backlog.get(5)
        assert block is not None
        taken += len(block.samples)
        assert block.lost_samples == 0
    assert done.wait(5)


def test_the_end_comes_after_the_last_block_and_says_why() -> None:
    backlog = Backlog(drops=True)
    backlog.put(Block(NOISE[:10]))
    backlog.close()
    assert backlog.get(0) is not None
    assert backlog.get(0) is None
    backlog.close(AudioError("it broke"))
    with pytest.raises(AudioError, match="it broke"):
        backlog.get(0)


def named(*names: str) -> list[InputDevice]:
    return [InputDevice(index, name, 1, 48_000, "ALSA", index == 0) for index, name in enumerate(names)]


DEVICES = named("Built-in Microphone", "USB Headset: Mono", "USB Webcam", "usb webcam (2)")


@pytest.mark.parametrize(
    ("name", "index"), [(None, 0), ("built", 0), ("HEADSET", 1), ("usb webcam", 2), ("webcam (", 3)]
)
def test_a_device_is_chosen_by_its_name(name: str | None, index: int) -> None:
    assert choose(DEVICES, name).index == index


@pytest.mark.parametrize(
    ("devices", "name", "words"),
    [
        ([], None, "microphone: there is no input device; "),
        (DEVICES, "usb", "device 'usb': 3 input devices have it in their name; give more of it: USB Headset"),
        (DEVICES, "1", "device '1': no input device has it in its name; there are: Built-in"),
        (DEVICES, "line", "device 'line': no input device has it in its name; there are: Built-in"),
    ],
)
def test_a_device_is_refused_in_one_line(devices: list[InputDevice], name: str | None, words: str) -> None:
    with pytest.raises(AudioError) as error:
        choose(devices, name)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_the_same_device_of_two_systems_is_one() -> None:
    assert choose(named("Line", "Mic", "Mic"), "mic").index == 1


class Lists:
    """Stands for the module sounddevice where only devices are listed."""

    class PortAudioError(Exception):
        pass

    class default:  # noqa: N801
        device = (1, -1)

    def __init__(self, devices: Sequence[tuple[str, int]] | None) -> None:
        self._devices = devices

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        if self._devices is None:
            raise self.PortAudioError("no\nsystem")
        return [
            {"name": name, "max_input_channels": channels, "default_samplerate": 44_100.0, "hostapi": 0}
            for name, channels in self._devices
        ]


def test_devices_are_listed_with_the_default_first() -> None:
    found = input_devices(Lists([("Webcam", 1), ("Mic\x07", 2), ("Speakers", 0)]))
    assert [(device.name, device.channels, device.is_default) for device in found] == [
        ("Mic\\x07", 2, True),
        ("Webcam", 1, False),
    ]
    with pytest.raises(AudioError, match=r"^microphone: the sound devices cannot be listed: no system$"):
        input_devices(Lists(None))


def told(reads: Sequence[tuple[float, bool]], waiting: int = 0) -> list[int]:
    clock = LossClock(16_000)
    return [clock.lost_frames(now_s, 1280, waiting, overflowed) for now_s, overflowed in reads]


def reads(count: int, start_s: float = 0.0, overflow: int | None = None) -> list[tuple[float, bool]]:
    """Reads on time, the one at `overflow` with an overflow."""
    return [(start_s + 0.08 * n, n == overflow) for n in range(count)]


def test_an_overflow_costs_the_time_that_went_on_without_frames() -> None:
    at_once = reads(20) + reads(20, 1.6 + 0.25, overflow=0)
    assert told(at_once) == [0] * 20 + [4000] + [0] * 19
    one_read_late = reads(20) + reads(20, 1.6 + 0.1, overflow=1)
    assert told(one_read_late) == [0] * 21 + [1600] + [0] * 18
    assert sum(told(reads(20) + reads(20, 1.6, overflow=3))) == 0, "an overflow that cost nothing"


def test_a_device_that_slept_without_a_word_lost_what_it_slept() -> None:
    lost = told(reads(20) + reads(20, 1.6 + 3.0))
    assert sum(lost) == pytest.approx(48_000, abs=200)
    assert [n for n, samples in enumerate(lost) if samples] == [24]


def test_a_read_that_is_late_by_itself_loses_nothing() -> None:
    late = [(now_s + (0.7 if n % 7 in (3, 4) else 0.0), False) for n, (now_s, _) in enumerate(reads(100))]
    assert not any(told(late))


@pytest.mark.parametrize("rate", [0.999, 1.0, 1.0015])
def test_a_clock_that_runs_fast_or_slow_loses_nothing(rate: float) -> None:
    assert not any(told([(rate * now_s, n % 500 == 499) for n, (now_s, _) in enumerate(reads(20_000))]))


def test_many_small_losses_add_up_to_what_is_missing() -> None:
    holes = [read for n in range(30) for read in reads(10, n * (0.8 + 0.1))]  # 0.1 s each, never told by the device
    assert sum(told(holes)) == pytest.approx(29 * 1600, abs=8000)
