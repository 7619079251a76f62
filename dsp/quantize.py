"""Wide or real numbers to the few bits the next stage wants: one rounding, half up, then clip, for all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHIFT_BITS = 24  # (MFCC Q16 * multiplier) >> 24: a multiplier of 256 is one int8 step per log2 unit
# numpy takes an array quicker than a number, and two limits quicker than `clip`.
_SHIFT, _HALF = np.array(_SHIFT_BITS), np.array(1 << (_SHIFT_BITS - 1))
_LOWEST, _HIGHEST = np.array(-128), np.array(127)


def quantize(
    mfcc: NDArray[np.integer[Any]], offset: NDArray[np.integer[Any]], multiplier: NDArray[np.integer[Any]]
) -> NDArray[np.int8]:
    """[..., n] MFCC Q16 -> [..., n] int8 for the network: `clip(round((mfcc - offset) * multiplier >> 24), -128, 127)`.

    offset: [n] in the range of int32, Q16; multiplier: [n] in the range of int16. Raises ValueError where these are not
    [n] integers.
    """
    for name, values in (("mfcc", mfcc), ("offset", offset), ("multiplier", multiplier)):
        if values.dtype.kind != "i":
            raise ValueError(f"{name} is {values.dtype}; it must be signed integers")
    if not offset.shape == multiplier.shape == mfcc.shape[-1:] or mfcc.ndim == 0:
        shapes = f"mfcc {mfcc.shape}, offset {offset.shape}, multiplier {multiplier.shape}"
        raise ValueError(f"{shapes}: they must be [..., n], [n] and [n]")
    x: NDArray[np.int64] = np.subtract(mfcc, offset, dtype=np.int64)
    x *= multiplier  # |.| < 2**48
    x += _HALF
    x >>= _SHIFT
    np.maximum(x, _LOWEST, out=x)
    np.minimum(x, _HIGHEST, out=x)
    return x.astype(np.int8)


def to_int16(sound: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """[...] float sound, full scale +-1 -> int16 `clip(floor(32768 x + 0.5))`; ValueError unless finite floats."""
    if sound.dtype.kind != "f":
        raise ValueError(f"sound is {sound.dtype}; it must be float")
    if not np.isfinite(sound).all():
        raise ValueError("sound has values that are not finite (NaN or infinity)")
    # In float32, `+ 0.5` could round up to the next integer.
    x: NDArray[np.float64] = np.multiply(sound, 32768.0, dtype=np.float64)
    x += 0.5
    np.floor(x, out=x)
    np.clip(x, -32768, 32767, out=x)
    return x.astype(np.int16)
