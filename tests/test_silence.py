"""Sound that no microphone heard: what of a recording counts as hours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyhark.app.audio.silence import LEAST_SAMPLES, SilenceMeter


@given(
    st.lists(st.sampled_from([1, 7, LEAST_SAMPLES - 1, LEAST_SAMPLES, LEAST_SAMPLES + 3]), max_size=5),
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=5, unique=True),
    st.data(),
)
def test_runs_of_ten_seconds_count_whatever_the_blocks(runs: list[int], values: list[int], data: st.DataObject) -> None:
    parts = [np.full(run, values[place % len(values)], np.int16) for place, run in enumerate(runs)]
    sound = np.concatenate([np.zeros(0, np.int16), *parts])
    meter = SilenceMeter()
    cuts = data.draw(st.lists(st.integers(0, len(sound)), max_size=4).map(sorted))
    for piece in np.split(sound, cuts):
        meter.feed(piece)
    if len(values) > 1:
        assert meter.samples == sum(run for run in runs if run >= LEAST_SAMPLES)
    else:
        assert meter.samples == (len(sound) if len(sound) >= LEAST_SAMPLES else 0)


@pytest.mark.parametrize(("low", "high"), [(-32768, 32767), (-1, 0)])
def test_the_loudest_and_the_faintest_sound_are_none(low: int, high: int) -> None:
    meter = SilenceMeter()
    meter.feed(np.tile(np.array([low, high], np.int16), LEAST_SAMPLES))
    assert meter.samples == 0
