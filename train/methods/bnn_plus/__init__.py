# SPDX-License-Identifier: Apache-2.0
"""BNN+: SignSwish in place of sign, trainable scales, and a regularizer that draws the weights to them.

Darabi, Belbahri, Courbariaux & Nia, "BNN+: Improved binary network training", arXiv 1812.11800 (2018).

    SS(x)  = 2 s(bx) (1 + bx (1 - s(bx))) - 1, s the logistic function, b = `beta`, 5 by default
    SS'(x) = b (2 - bx tanh(bx / 2)) / (1 + cosh(bx)), used as the derivative of sign
    R1(w)  = | a - |w| |, R2(w) = (a - |w|)^2, summed over all weights, times `strength`, 1e-6

Weights are a * sign(w) with one trainable scale a per filter, which starts at the median of |w| (R1) or its mean (R2).
Activations are sign(x). Nothing is clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Factor, Slope

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class BnnPlus(MethodTable):
    """SignSwish and a regularizer."""

    name: Literal["bnn+"] = "bnn+"
    beta: Slope = 5.0
    regularizer: Literal["R1", "R2", "none"] = "R2"
    strength: Factor = 1e-6  # of the regularizer, lambda

    def build(self) -> Method[Any]:
        """SignSwish for weights and activations."""
        from adiabit.train.methods.bnn_plus.rules import BnnPlusMethod

        return BnnPlusMethod(self)
