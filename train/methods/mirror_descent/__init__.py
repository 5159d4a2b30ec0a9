# SPDX-License-Identifier: Apache-2.0
"""Mirror descent with tanh as the mirror map, in its numerically stable form (MD-tanh-S).

Ajanthan et al., "Mirror descent view for neural network quantization", AISTATS 2021, section 3.2 and table 1.

    forward   y = tanh(b w), w the dual variable
    update    w <- w - rate * dL/dy, through Adam: the gradient bypasses tanh, contrary to the chain rule
    b         is multiplied by `growth` (1.02) every `interval` (200) steps

The projection at the end is sign(w). Activations are y = sign(x), dy/dx taken to be 1(|x| <= 1). With tanh's derivative
in the update, these would be the adiabatic method's weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Count, Growth, Slope

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class MirrorDescent(MethodTable):
    """tanh(beta * w) forward; the gradient of its value updates w."""

    learning_rate: ClassVar[float] = 0.001

    name: Literal["mirror-descent"] = "mirror-descent"
    beta: Slope = 1.0
    growth: Growth = 1.02
    interval: Count = 200  # steps from one growth to the next

    def build(self) -> Method[Any]:
        """Mirror descent for the weights."""
        from adiabit.train.methods.mirror_descent.rules import MirrorDescentMethod

        return MirrorDescentMethod(self)
