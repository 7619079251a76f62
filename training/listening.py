"""A model run over the features of a store, as the spotter runs it over sound."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinyhark.app.model import Model
from tinyhark.dsp.front_end import FrontEnd
from tinyhark.dsp.posterior import posteriors
from tinyhark.dsp.quantize import quantize
from tinyhark.dsp.tables import BANDS, LOG_BITS

from .store import STORE_BITS, Clip, LogMelQ8, Store

_BLOCK_FRAMES = 1 << 15


def joined(store: Store, wanted: Callable[[Clip], bool]) -> tuple[list[Clip], LogMelQ8]:
    """The clips of a store that are wanted, and their features one after the other, [frames, 40] Q8."""
    clips = [clip for clip in store.clips if wanted(clip)]
    parts = [store.log_mel[clip.first_frame : clip.first_frame + clip.frames] for clip in clips]
    return clips, np.concatenate(parts) if parts else np.zeros((0, BANDS), np.int16)


def posteriors_over(model: Model, log_mel: LogMelQ8) -> NDArray[np.uint16]:
    """[frames, 40] Q8 -> [steps, keywords] posteriors Q15; step j knows frames up to window_frames + j * stride_frames.

    There is no silence before or after the stream: the first window is the first that lies in it.
    """
    m, network = model.metadata, model.bind()
    columns = np.ascontiguousarray(_features(model, log_mel).T)
    ends = range(m.window_frames, columns.shape[1] + 1, m.stride_frames)
    codes = np.empty((len(ends), len(m.labels)), np.int8)
    for step, end in enumerate(ends):
        network.input[...] = columns[:, end - m.window_frames : end]
        codes[step] = network.run()
    shares = posteriors(codes, np.array(m.posterior_table))
    return shares[:, [m.labels.index(keyword) for keyword in model.keywords]].astype(np.uint16)


def _features(model: Model, log_mel: LogMelQ8) -> NDArray[np.int8]:
    """[frames, 40] Q8 -> [frames, n_mfcc] int8, as the model's window holds them."""
    m = model.metadata
    front_end = FrontEnd(m.front_end.hop, m.front_end.n_mfcc)
    offset, multiplier = np.array(m.offset), np.array(m.multiplier)
    blocks = [
        quantize(front_end.cepstrum(block.astype(np.int32) << (LOG_BITS - STORE_BITS)), offset, multiplier)
        for block in np.split(log_mel, range(_BLOCK_FRAMES, len(log_mel), _BLOCK_FRAMES))
    ]
    return np.concatenate(blocks)
