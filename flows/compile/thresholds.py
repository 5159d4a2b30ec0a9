# SPDX-License-Identifier: Apache-2.0
"""Exact integer thresholds: where the model's own float32 arithmetic, run on each candidate sum, changes its mind.

FINN computes T = mean - beta * sigma / gamma and rounds up. Where T lies within rounding of an integer, that is
not always what the network computes; where gamma is 0, T is infinite. Each channel's element-wise chain is
monotone (so is every float operation in it), hence bisection over the accumulators finds the exact step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adiabit.flows.compile.levels import Levels, Sums
from adiabit.flows.compile.network import Chain, Dense, Quantizer
from adiabit.hw.accelerator import Ints


def first_reaching(levels: Callable[[Ints], Ints], low: int, high: int, channels: int, steps: int) -> Ints:
    """Smallest n in low...high + 1 whose level is at least j, for channels (C) and j = 1...steps: (C, steps).

    `levels` maps one n a channel (1, C) to its level and does not decrease with n; high + 1 stands for never.
    """
    found = np.empty((channels, steps), np.int64)
    for j in range(1, steps + 1):
        below, above = np.full(channels, low - 1), np.full(channels, high + 1)  # not reached at below, reached at above
        while np.any(above - below > 1):
            middle = (below + above) // 2
            known = above - below <= 1
            reached = levels(np.clip(middle, low, high)[None, :])[0] >= j
            above = np.where(~known & reached, middle, above)
            below = np.where(~known & ~reached, middle, below)
        found[:, j - 1] = above
    return found


def of_input(chain: Chain, quantizer: Quantizer, host: Levels, channels: int) -> Ints:
    """Thresholds (channels, steps) on the host's integers."""
    if np.any(_signs(chain, channels) * host.scale < 0):
        place = chain.steps[-1].place if chain.steps else quantizer.place
        place.refuse(
            "turns the input's sign before its quantizer; a rising input is needed; negate the first weights instead"
        )

    def levels(n: Ints) -> Ints:
        return quantizer.reached(chain(n.astype(np.float32) * np.float32(host.scale) + np.float32(host.offset)))

    return first_reaching(levels, host.low, host.high, channels, quantizer.steps)


def of_layer(dense: Dense, chain: Chain, quantizer: Quantizer, flips: Ints, sums: Sums, inputs: Levels) -> Ints:
    """Thresholds (MH, steps) on the accumulators of `sums`; `flips` (MH,) is -1 where the weight row was negated."""
    shift = inputs.offset * dense.weights.sum(axis=1)

    def levels(n: Ints) -> Ints:
        product = inputs.scale * (flips * (sums.first + sums.stride * n))
        return quantizer.reached(chain((dense.scale * (product + shift)).astype(np.float32)))

    return first_reaching(levels, sums.low, sums.high, len(dense.weights), quantizer.steps)


def _signs(chain: Chain, channels: int) -> npt.NDArray[np.float64]:
    signs = np.ones(channels)
    for step in chain.steps:
        if step.node.op_type != "Relu":
            signs = signs * np.sign(step.affine(channels)[0])
    return signs
