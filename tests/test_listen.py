"""`hark listen` with a fake sound device: rates, channels, lost sound, the choice of the device, what comes out."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from click.testing import CliRunner
from numpy.typing import NDArray

from tinyhark.app.audio.microphone import Microphone
from tinyhark.app.audio.portaudio import find_input, load_portaudio
from tinyhark.app.cli import hark
from tinyhark.app.commands.listen import listen_to, listen_with
from tinyhark.app.detection import Detection
from tinyhark.app.errors import AudioError
from tinyhark.app.live import Watcher
from tinyhark.app.model import Model
from tinyhark.app.spotter import Spotter
from tinyhark.dsp.quantize import to_int16

Sound = NDArray[np.int16]


class FakePortaudio:
    """Stands for the module sounddevice: gives `sound` [n, channels] and then fails, or is interrupted by Ctrl-C.

    lost: frame -> frames that are lost before it; the overflow is told at the read of that frame, or one read later.
    """

    class PortAudioError(Exception):
        pass

    class default:  # noqa: N801
        device = (1, 0)

    def __init__(
        self,
        sound: NDArray[np.float32] | None = None,
        rate_hz: float = 16_000.0,
        lost: dict[int, int] | None = None,
        *,
        late: bool = False,
        unplugged: bool = False,
        drift: float = 0.0,
    ) -> None:
        self.sound = np.zeros((0, 1), np.float32) if sound is None else sound
        self.rate_hz, self.lost, self.late, self.unplugged, self.drift = rate_hz, lost or {}, late, unplugged, drift
        self.at = self.gone = 0
        self.owed = False
        self.closed = False
        self.devices = [
            {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
            {"name": "Built-in Microphone", "max_input_channels": self.sound.shape[1], "default_samplerate": rate_hz},
            {"name": "USB Headset: Mono", "max_input_channels": 1, "default_samplerate": 44_100.0},
            {"name": "USB Webcam", "max_input_channels": 32, "default_samplerate": 48_000.0},
        ]

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def InputStream(self, **settings: Any) -> "FakePortaudio":  # noqa: N802
        if self.unplugged:
            raise self.PortAudioError("Error opening InputStream: Device unavailable [PaErrorCode -9985]")
        assert settings["samplerate"] == self.rate_hz
        assert settings["channels"] == min(2, self.sound.shape[1])
        assert settings["dtype"] == "float32"
        return self

    def start(self) -> None:
        pass

    @property
    def time(self) -> float:
        return 50.0 + (self.at + self.gone + self.read_available) / self.rate_hz * (1 + self.drift)

    @property
    def read_available(self) -> int:
        return 7

    def read(self, frames: int) -> tuple[NDArray[np.float32], bool]:
        if self.at + frames > len(self.sound):
            if self.unplugged is None:
                raise self.PortAudioError("Unanticipated host error")
            raise KeyboardInterrupt
        overflowed, self.owed = self.owed, False
        for at in [at for at in self.lost if self.at <= at < self.at + frames]:
            self.gone += self.lost.pop(at)
            overflowed, self.owed = (overflowed, True) if self.late else (True, False)
        data = self.sound[self.at : self.at + frames]
        self.at += frames
        return data, overflowed

    def close(self, ignore_errors: bool) -> None:
        self.closed = ignore_errors


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.load(tiny_model)


@pytest.fixture(scope="module")
def sound(say: Callable[..., Sound]) -> Sound:
    return say(0.7, "low", 1.0, "high", 0.6, "other", 1.0, "low", 0.66)


def as_float(sound: Sound, channels: int = 1) -> NDArray[np.float32]:
    return np.repeat((sound / np.float32(32768)).astype(np.float32)[:, None], channels, axis=1)


def collect(device: FakePortaudio) -> tuple[list[Sound], list[int], Microphone]:
    blocks, lost = [], []
    with Microphone(device) as microphone:
        try:
            for block in microphone.blocks():
                blocks.append(block.samples)
                lost.append(block.lost_samples)
        except KeyboardInterrupt:
            pass
    return blocks, lost, microphone


def hear(device: FakePortaudio, spotter: Spotter) -> list[Detection]:
    class Collects(Watcher):
        def event(self, detection: Detection) -> None:
            heard.append(detection)

    heard: list[Detection] = []
    with Microphone(device) as microphone:
        listen_to(spotter, microphone, Collects())
    return heard


def test_mono_at_16_khz_comes_through_bit_for_bit(sound: Sound) -> None:
    device = FakePortaudio(as_float(sound))
    blocks, lost, microphone = collect(device)
    got = np.concatenate(blocks)
    np.testing.assert_array_equal(got, sound[: len(got)])
    assert len(sound) - len(got) < 640
    assert not any(lost)
    assert microphone.heard_s == pytest.approx(len(got) / 16_000)
    assert device.closed


def test_channels_are_averaged() -> None:
    stereo = np.stack([np.full(640, 0.5), np.full(640, -0.25)], 1).astype(np.float32)
    blocks, _, _ = collect(FakePortaudio(stereo))
    assert set(np.concatenate(blocks)) == {4096}


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
def test_other_rates_become_16_khz_as_a_stream(rate_hz: int, sound: Sound) -> None:
    there = soxr.resample(as_float(sound)[:, 0], 16_000, rate_hz)
    blocks, _, microphone = collect(FakePortaudio(there[:, None], rate_hz))
    assert microphone.rate_hz == rate_hz
    got = np.concatenate(blocks)
    whole = to_int16(soxr.resample(there, rate_hz, 16_000))[: len(got)]
    assert len(sound) - len(got) < 2000
    assert np.abs(got.astype(int) - whole).max() <= 1


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2), (48_000, 1)])
def test_a_microphone_hears_what_a_file_says(rate_hz: int, channels: int, model: Model, sound: Sound) -> None:
    plain = Spotter(model).feed(sound)
    there = soxr.resample(as_float(sound, channels), 16_000, rate_hz)
    device = FakePortaudio(there, rate_hz)
    heard = hear(device, Spotter(model))
    assert [d.keyword for d in heard] == [d.keyword for d in plain] == ["low", "high", "low"]
    assert max(abs(a.end_sample - b.end_sample) for a, b in zip(heard, plain, strict=True)) <= 640


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_lost_sound_is_measured_by_the_clock_of_the_device(rate_hz: int, late: bool) -> None:
    second = np.zeros((3 * rate_hz, 1), np.float32)
    device = FakePortaudio(second, rate_hz, {rate_hz: rate_hz // 2, 2 * rate_hz: rate_hz // 4}, late=late)
    blocks, lost, microphone = collect(device)
    assert [samples for samples in lost if samples] == [8000, 4000]
    assert microphone.overflows == 2
    assert microphone.lost_s == pytest.approx(0.75)
    assert abs(sum(map(len, blocks)) - 48_000) < 1000


def test_sound_lost_again_at_once_is_counted_once() -> None:
    _, lost, _ = collect(FakePortaudio(np.zeros((16_000, 1), np.float32), lost={6400: 4000, 7040: 2000}))
    assert [samples for samples in lost if samples] == [4000, 2000]


def test_an_overflow_of_unknown_length_is_only_counted() -> None:
    _, lost, microphone = collect(FakePortaudio(np.zeros((16_000, 1), np.float32), lost={5000: 100}))
    assert not any(lost)
    assert microphone.overflows == 1


def test_a_clock_that_runs_fast_loses_nothing() -> None:
    sound = np.zeros((16_000 * 60, 1), np.float32)
    _, lost, _ = collect(FakePortaudio(sound, lost={900_000: 1}, drift=1e-3))
    assert not any(lost)


def test_detections_after_a_gap_are_where_they_were_said(model: Model, sound: Sound) -> None:
    plain = Spotter(model).feed(sound)
    heard = hear(FakePortaudio(as_float(sound), lost={27_000: 16_000}), Spotter(model))
    assert [d.keyword for d in heard] == ["low", "high", "low"]
    assert heard[0] == plain[0]
    assert [abs(a.end_sample - b.end_sample - 16_000) <= 640 for a, b in zip(heard, plain, strict=True)][1:] == [
        True
    ] * 2


def test_the_default_device_is_taken() -> None:
    assert find_input(FakePortaudio(), None)[0] == 1


@pytest.mark.parametrize(("name", "index"), [("built", 1), ("HEADSET", 2), ("3", 3), ("usb webcam", 3)])
def test_a_device_is_found_by_part_of_its_name(name: str, index: int) -> None:
    assert find_input(FakePortaudio(), name)[0] == index


def test_a_device_is_refused_in_one_line() -> None:
    with pytest.raises(AudioError, match=r"^device 'usb': 2 input devices .*2 USB Headset: Mono; 3 USB Webcam$"):
        find_input(FakePortaudio(), "usb")
    with pytest.raises(AudioError, match=r"^device 'Speakers': no input device .*1 Built-in Microphone"):
        find_input(FakePortaudio(), "Speakers")
    deaf = FakePortaudio()
    deaf.devices = deaf.devices[:1]
    with pytest.raises(AudioError, match=r"^microphone: there is no input device; [^\n]*$"):
        find_input(deaf, None)


def test_a_device_that_cannot_be_opened_is_one_line() -> None:
    with pytest.raises(
        AudioError, match=r"^microphone Built-in Microphone: cannot be opened: [^\n]*unavailable[^\n]*$"
    ):
        Microphone(FakePortaudio(unplugged=True)).__enter__()


def test_a_device_that_goes_away_is_one_line(model: Model) -> None:
    device = FakePortaudio(np.zeros((1600, 1), np.float32))
    device.unplugged = None  # type: ignore[assignment]
    with pytest.raises(AudioError, match="gives no more sound: Unanticipated host error"):
        listen_with(device, None, Spotter(model), as_json=True)
    assert device.closed


def test_ctrl_c_ends_with_a_count(model: Model, sound: Sound) -> None:
    device = FakePortaudio(as_float(sound), lost={70_000: 800})
    with Microphone(device) as microphone:
        summary = listen_to(Spotter(model), microphone, Watcher())
    assert re.fullmatch(
        r"3 events in 5\.\d s: low 2, high 1; the device lost sound 1 times, 0\.1 s of it known", summary
    )


def test_json_lines_carry_the_time_of_day(model: Model, sound: Sound, capsys: pytest.CaptureFixture[str]) -> None:
    listen_with(FakePortaudio(as_float(sound)), None, Spotter(model), as_json=True)
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["keyword"] for event in events] == ["low", "high", "low"]
    for event, plain in zip(events, Spotter(model).feed(sound), strict=True):
        assert event["end_sample"] == plain.end_sample
        assert event["time_s"] == pytest.approx(plain.time_s, abs=1e-4)
        when = datetime.fromisoformat(event["wall_time"])
        assert when.tzinfo is not None
        assert abs(datetime.now().astimezone() - when) < timedelta(minutes=5)
    assert err.splitlines() == [
        "listening to Built-in Microphone at 16000 Hz; Ctrl-C stops",
        "3 events in 5.6 s: low 2, high 1",
    ]


def test_elsewhere_than_on_a_terminal_an_event_is_a_line(
    model: Model, sound: Sound, capsys: pytest.CaptureFixture[str]
) -> None:
    listen_with(FakePortaudio(as_float(sound)), "built", Spotter(model), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["low", "high", "low"]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in lines)


def test_without_portaudio_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "sounddevice", raising=False)
    with pytest.raises(AudioError, match="libportaudio2"):
        load_portaudio()
    result = CliRunner().invoke(hark, ["listen", "--model", str(tiny_model)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("hark: sound devices: the PortAudio library is not installed; ")
    assert result.stderr.count("\n") == 1
