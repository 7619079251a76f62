"""Where in a clip the word is: the one rule for clips whose labels give no bounds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tables import BANDS, LOG_BITS

RANGE_DB = 30.0


def word_bounds(log_mel: NDArray[np.integer[Any]], range_db: float = RANGE_DB) -> tuple[int, int]:
    """[frames, 40] log-mel Q16 -> first and last frame whose band sum is within `range_db` of the clip's peak band sum.

    Band sum: the sum of the energies 2**log_mel of a frame. Raises ValueError for another shape and for no frames.
    """
    if log_mel.ndim != 2 or log_mel.shape[1] != BANDS or len(log_mel) == 0:
        raise ValueError(f"log-mel has shape {log_mel.shape}; it must be [frames, {BANDS}] with one frame or more")
    if log_mel.dtype.kind != "i":
        raise ValueError(f"log-mel is {log_mel.dtype}; it must be signed integers, Q{LOG_BITS}")
    sums = np.exp2(log_mel * 2.0**-LOG_BITS).sum(axis=1)
    loud = np.flatnonzero(sums >= sums.max() * 10 ** (-range_db / 10))
    return int(loud[0]), int(loud[-1])
