"""Sound that goes on: sources that fail, stall, come back and lose sound, with a clock and time of their own."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tinyhark.app.audio import intake as module
from tinyhark.app.audio.intake import Intake
from tinyhark.app.audio.source import Pcm
from tinyhark.app.errors import AudioError

WAIT_S = 60
BLOCK = np.random.default_rng(1).integers(-5000, 5000, (1280, 1)).astype(np.int16)


class Script:
    """A source that does what it is told, each entry one `read`: sound, nothing (None), the end, or an AudioError.

    Each list is one opening; an AudioError in place of a list is an opening that fails. After the last one it gives
    nothing.
    """

    def __init__(
        self, *openings: list[Pcm | str | None] | AudioError, live: bool = True, rate_hz: int = 16_000
    ) -> None:
        self.live, self.rate_hz = live, rate_hz
        self._openings = iter(openings)
        self._reads: Iterator[Pcm | str | None] = iter(())
        self.name, self.channels = "script", 1
        self.open_now = 0

    def open(self) -> "Script":
        opening = next(self._openings, [])
        if isinstance(opening, AudioError):
            raise opening
        self._reads = iter(opening)
        self.open_now += 1
        return self

    def read(self) -> Pcm | None:
        entry = next(self._reads, None)
        if entry == "end":
            return None
        if isinstance(entry, str):
            raise AudioError(entry)
        if entry is None:
            time.sleep(0.02)
            return Pcm(np.zeros((0, 1), np.int16))
        return entry

    def close(self) -> None:
        self.open_now -= 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No long pauses."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)


def heard(intake: Intake, enough: Callable[[int], bool]) -> tuple[int, int]:
    """Samples heard and lost until `enough(heard)`."""
    due_s = time.monotonic() + WAIT_S
    samples = lost = 0
    for block in intake.blocks():
        samples += len(block.samples)
        lost += block.lost_samples
        if enough(samples):
            break
        assert time.monotonic() < due_s
    return samples, lost


def sound(count: int, rate_hz: int = 16_000) -> list[Pcm | str | None]:
    data: NDArray[np.int16] = np.resize(BLOCK, (rate_hz * 2 // 25, 1))
    return [Pcm(data)] * count


def test_a_source_that_fails_is_opened_again() -> None:
    source = Script([*sound(2), "unplugged"], AudioError("busy"), AudioError("busy"), sound(3))
    with Intake(source) as intake:
        samples, lost = heard(intake, lambda samples: samples == 5 * 1280)
        assert intake.complaint is None
        assert (intake.counts.opened, intake.counts.failures) == (2, 3)
        assert lost == intake.counts.lost_samples
    assert samples == 5 * 1280
    assert source.open_now == 0


def test_the_time_that_a_source_was_away_is_lost_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "clock_s", lambda: now[0])

    class Sleeps(Script):
        def open(self) -> Script:
            now[0] += 3.0  # as if it took that long
            return super().open()

    with Intake(Sleeps([*sound(1), "unplugged"], sound(1))) as intake:
        _, lost = heard(intake, lambda samples: samples == 2560)
    assert lost == 3 * 16_000 - 1280


def test_what_the_device_lost_is_told_in_16_khz() -> None:
    pcm = Pcm(np.resize(BLOCK, (3840, 1)), lost_frames=4800, overflowed=True)
    with Intake(Script([*sound(4, 48_000), pcm, *sound(4, 48_000)], rate_hz=48_000)) as intake:
        _, lost = heard(intake, lambda samples: samples > 8.5 * 1280)
        assert (lost, intake.counts.overflows, intake.counts.lost_samples) == (1600, 1, 1600)


def test_a_source_that_stalls_is_complained_of_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED_S", 0.1)
    monkeypatch.setattr(module, "HOPELESS_S", 0.5)
    source = Script([*sound(1)])
    due_s = time.monotonic() + WAIT_S
    with Intake(source) as intake:
        for _ in intake.blocks():
            assert time.monotonic() < due_s
            if intake.complaint == "script: gives no sound" and intake.counts.opened >= 2:
                break


def test_a_source_that_comes_back_by_itself_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED_S", 0.1)
    with Intake(Script([*sound(1), *[None] * 30, *sound(1)])) as intake:
        assert heard(intake, lambda samples: samples == 2560) == (2560, 0)
        assert intake.counts.opened == 1
        assert intake.complaint is None


def test_an_impatient_intake_fails_at_once_and_a_patient_one_waits() -> None:
    with pytest.raises(AudioError, match=r"^busy$"), Intake(Script(AudioError("busy"))):
        pass
    with Intake(Script(AudioError("busy"), sound(1)), patient=True) as intake:
        assert heard(intake, lambda samples: samples == 1280)[0] == 1280


def test_a_channel_that_is_not_there_is_said() -> None:
    source = Script(sound(1))
    with pytest.raises(AudioError, match=r"^channel 3: the sound has 1 channel$"), Intake(source, 3):
        pass
    assert source.open_now == 0


def test_a_source_that_ends_ends_the_sound() -> None:
    source = Script([*sound(30), "end"], live=False)
    with Intake(source) as intake:
        assert heard(intake, lambda _: False) == (30 * 1280, 0)
        assert intake.dropped_samples == 0


def test_a_source_that_may_end_and_fails_is_an_error() -> None:
    with Intake(Script([*sound(2), "damaged"], live=False)) as intake, pytest.raises(AudioError, match=r"^damaged$"):
        heard(intake, lambda _: False)


def test_who_takes_too_slowly_loses_the_oldest_and_is_never_far_behind() -> None:
    with Intake(Script(sound(100))) as intake:
        due_s = time.monotonic() + WAIT_S
        while intake.counts.heard_samples < 100 * 1280:
            assert intake.waiting_s() <= 1
            assert time.monotonic() < due_s
            time.sleep(0.01)
        samples, lost = heard(intake, lambda _: intake.waiting_s() == 0)
    assert samples + lost == 100 * 1280
    assert lost == intake.dropped_samples > 0


def test_an_intake_ends_when_it_is_told() -> None:
    source = Script([None] * 10_000)
    with Intake(source) as intake:
        for count, _ in enumerate(intake.blocks()):
            assert count < 2
            if count == 1:
                intake.stop()
    assert source.open_now == 0
