# SPDX-License-Identifier: Apache-2.0
"""Exact integer thresholds, found by running the model's own float32 arithmetic on candidate sums.

FINN computes T = mean - beta * sigma / gamma and rounds up. If T is within rounding of an integer, that is not always
what the network computes; if gamma is 0, T is infinite. Each channel's element-wise chain is monotone (as is every
float operation in it), so bisection over the accumulators finds the exact step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.chain import Chain
from adiabit.flows.frontend.levels import Sums
from adiabit.flows.frontend.network import Dense, Levels, Quantizer
from adiabit.hw.stages import Ints


def first_reaching(levels: Callable[[Ints], Ints], low: int, high: int, channels: int, steps: int) -> Ints:
    """The smallest n in low...high + 1 whose level is at least j, for each channel and j = 1...steps: (C, steps).

    `levels` maps n (steps, C) to their levels and does not decrease with n; high + 1 stands for never. All steps are
    searched at once.
    """
    wanted = np.arange(1, steps + 1)[:, None]
    below, above = np.full((steps, channels), low - 1), np.full((steps, channels), high + 1)
    while np.any(open_ := above - below > 1):  # not reached at below, reached at above
        middle = (below + above) // 2
        reached = levels(np.clip(middle, low, high)) >= wanted
        above = np.where(open_ & reached, middle, above)
        below = np.where(open_ & ~reached, middle, below)
    return above.T


def of_input(chain: Chain, quantizer: Quantizer, host: Levels, channels: int) -> Ints:
    """Thresholds (channels, steps) on the host's integers."""
    if np.any(chain.signs(channels) * host.scale < 0):
        place = chain.steps[-1].place if chain.steps else quantizer.place
        place.refuse(
            "negates the input before its quantizer; a rising input is needed; negate the first weights instead"
        )

    def levels(n: Ints) -> Ints:
        return quantizer.reached(chain(n.astype(np.float32) * np.float32(host.scale) + np.float32(host.offset)))

    return first_reaching(levels, host.low, host.high, channels, quantizer.steps)


def of_layer(
    dense: Dense,
    chain: Chain,
    quantizer: Quantizer,
    flips: Ints,
    sums: Sums,
    inputs: Levels,
    inverted: npt.NDArray[np.bool_] | None = None,
) -> Ints:
    """Thresholds (MH, steps) on the accumulators of `sums`; `flips` (MH,) is -1 where the weight row was negated.

    Where `inverted` (MH,) is true, the output counts the steps that were *not* reached.
    """
    shift = inputs.offset * dense.weights.sum(axis=1)

    def levels(n: Ints) -> Ints:
        product = inputs.scale * (flips * (sums.first + sums.stride * n))
        reached = quantizer.reached(chain((dense.scale * (product + shift)).astype(np.float32)))
        return reached if inverted is None else np.where(inverted, quantizer.steps - reached, reached)

    return first_reaching(levels, sums.low, sums.high, len(dense.weights), quantizer.steps)
