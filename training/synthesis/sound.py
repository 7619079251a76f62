"""From what an engine puts out to a clip: 16 kHz, silence trimmed, int16."""

import numpy as np
from numpy.typing import NDArray

from tinyhark.dsp.quantize import to_int16
from tinyhark.dsp.tables import SAMPLE_RATE_HZ

from .takes import Samples

_SILENCE = 0.01  # of the peak
_PAD_SAMPLES = SAMPLE_RATE_HZ // 10
_LOUDEST = 0.95  # of full scale


def finish(sound: NDArray[np.float32], rate_hz: float) -> Samples:
    """[n] float at any rate -> int16 at 16 kHz, trimmed 0.1 s around what is above 1 % of the peak; never clipped."""
    import soxr

    out = np.asarray(soxr.resample(sound, rate_hz, SAMPLE_RATE_HZ), np.float32)
    peak = float(np.max(np.abs(out), initial=0.0))
    if peak == 0.0:
        return np.zeros(0, np.int16)
    loud = np.flatnonzero(np.abs(out) > _SILENCE * peak)
    clip = out[max(0, loud[0] - _PAD_SAMPLES) : loud[-1] + 1 + _PAD_SAMPLES]
    return to_int16(clip * min(1.0, _LOUDEST / peak))
