"""Posteriors from logit codes: a softmax in integers, the same on every machine."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

POSTERIOR_BITS = 15  # Q15: 32768 is certainty
TABLE_SIZE = 256  # int8 codes differ by 0..255


def posterior_table(scale: float) -> NDArray[np.uint16]:
    """[256] uint16 `round(2**15 exp(-scale d))`, d = 0..255; scale: logit units a code, above 0, else ValueError."""
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is {scale}; it must be a finite number above 0")
    table: NDArray[np.float64] = np.floor(2.0**POSTERIOR_BITS * np.exp(-scale * np.arange(TABLE_SIZE)) + 0.5)
    return table.astype(np.uint16)


def posteriors(codes: NDArray[np.int8], table: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """[..., labels] int8 logit codes -> [..., labels] int32 posteriors Q15, a softmax over the labels.

    table: [256] from `posterior_table`. Raises ValueError for codes that are not int8 with one label or more, and for
    another size of table.
    """
    if codes.dtype != np.int8 or codes.ndim == 0 or codes.shape[-1] == 0:
        raise ValueError(f"codes are {codes.dtype} of shape {codes.shape}; they must be int8 of shape [..., labels]")
    if table.shape != (TABLE_SIZE,) or table.dtype.kind not in "iu":
        raise ValueError(f"table is {table.dtype} of shape {table.shape}; it must be integers of shape [{TABLE_SIZE}]")
    wide = codes.astype(np.int64)
    e: NDArray[np.int64] = table[wide.max(axis=-1, keepdims=True) - wide].astype(np.int64)  # Q15
    total = e.sum(axis=-1, keepdims=True)
    shares: NDArray[np.int64] = ((e << POSTERIOR_BITS) + (total >> 1)) // total  # Q15
    return shares.astype(np.int32)


def posteriors_of(codes: Sequence[int], table: Sequence[int]) -> list[int]:
    """`posteriors` of one vector, unchecked: [labels] codes and the [256] table as plain integers -> [labels] Q15.

    For a dozen labels this costs a quarter of what numpy does.
    """
    top = max(codes)
    e = [table[top - code] for code in codes]  # Q15
    total = sum(e)
    half = total >> 1
    return [((one << POSTERIOR_BITS) + half) // total for one in e]  # Q15
