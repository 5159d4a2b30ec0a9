# SPDX-License-Identifier: Apache-2.0
"""Exact integer thresholds, found by running the model's own float32 arithmetic on candidate integers.

FINN computes T = mean - beta * sigma / gamma and rounds up. If T is within rounding of an integer, that is not always
what the network computes; if gamma is 0, T is infinite. Each channel's element-wise chain is monotone (as is every
float operation in it), so bisection over the integers finds the exact step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adiabit.flows.frontend.network import Activation
from adiabit.flows.frontend.quantizer import Levels
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


def of_activation(activation: Activation, source: Levels, signs: Ints) -> Ints:
    """Thresholds (C, steps) on signs * n, for the integers n of the source; `signs` (C,) are -1 and +1.

    Where the activation is inverted, its output counts the steps that were *not* reached.
    """
    low, high, step = source.low, source.high, source.step
    if np.any(signs < 0):
        high = max(-low, high)
        low = -high
    steps = activation.quantizer.steps

    def levels(k: Ints) -> Ints:
        reached = activation.reached(source.reals(signs * (low + step * k)))
        return np.where(activation.inversions, steps - reached, reached)

    return low + step * first_reaching(levels, 0, (high - low) // step, activation.channels, steps)
