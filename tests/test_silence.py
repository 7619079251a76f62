"""Digital silence: what of a recording counts as hours."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinyhark.app.audio.silence import SilenceMeter

RATE_HZ = 16_000
LEAST = 10 * RATE_HZ


@given(st.lists(st.sampled_from([1, 7, LEAST - 1, LEAST, LEAST + 3]), max_size=5), st.booleans(), st.data())
def test_runs_of_ten_seconds_count_whatever_the_blocks(runs: list[int], ends_silent: bool, data: st.DataObject) -> None:
    parts = [np.concatenate([np.zeros(run, np.int16), [1]]) for run in runs]
    sound = np.concatenate([np.zeros(0, np.int16), *parts]).astype(np.int16)
    if ends_silent:
        sound = sound[:-1]
    meter = SilenceMeter()
    cuts = data.draw(st.lists(st.integers(0, len(sound)), max_size=4).map(sorted))
    for piece in np.split(sound, cuts):
        meter.feed(piece)
    assert meter.samples == sum(run for run in runs if run >= LEAST)
