# SPDX-License-Identifier: Apache-2.0
"""Accumulators of a matrix-vector product: popcounts of agreeing bits (XNOR), or dot products."""

from __future__ import annotations

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.stages.integers import Array, Ints
from adiabit.hw.stages.stream import Kind, Stream


def is_xnor(weights: Ints, stream: Stream) -> bool:
    """Whether weights (MH, MW) and the elements of `stream` are all -1 or +1: then the product is XNOR and popcount."""
    return stream.kind is Kind.BIPOLAR and bool(np.all(np.abs(weights) == 1))


def accumulator_range(weights: Ints, stream: Stream) -> tuple[int, int]:
    """Smallest and largest accumulator of weights (MH, MW) over all inputs that `stream` can carry.

    For a popcount that is 0...MW, whatever the weights.
    """
    if is_xnor(weights, stream):
        return 0, weights.shape[1]
    low, high = stream.range
    products = np.stack([weights * low, weights * high])
    return int(products.min(axis=0).sum(axis=1).min()), int(products.max(axis=0).sum(axis=1).max())


def accumulators(weights: Ints, stream: Stream, x: Array, name: str = "") -> Array:
    """Accumulators (F, ..., MH) of x (F, ..., MW), before thresholds.

    The result is float32 where every partial sum is exact in it (below 2**24), because only floats use all cores;
    float64 below 2**53. `UserError` beyond; `name` is the stage that it names.
    """
    low, high = accumulator_range(weights, stream)
    bound = max(-low, high)
    if bound >= 2**53:
        raise UserError(f"stage {name}: accumulators reach {bound}; the golden model is exact below 2**53")
    real = np.float32 if bound < 2**24 else np.float64
    dot: Array = x.astype(real) @ weights.T.astype(real)
    if is_xnor(weights, stream):  # popcount = (dot + MW) / 2, exact: dot and MW have equal parity
        dot += real(weights.shape[1])
        dot *= real(0.5)
    return dot
