# SPDX-License-Identifier: Apache-2.0
"""ABC-Net with one base for the weights and one for the activations (M = N = 1).

Lin, Zhao & Pan, "Towards accurate binary convolutional neural network", NeurIPS 2017, equations 2 to 4 and 7 to 9.

    weights       B = sign(W - mean(W) + u std(W)), u = 0 where M = 1; W is approximated by a * B,
                  a = <B, W> / n, the least-squares solution over the layer; dL/dW = a * dL/d(aB)
    activations   y = 2 * 1(clip(x + v, 0, 1) >= 1/2) - 1, v trainable, initially 0;
                  dy/dx taken to be 1(0 <= x + v <= 1)

v is one number per layer. The paper's positive factor of y, also one number per layer, is left out: the batch norm that
follows cancels it. With more bases a product becomes a sum of M * N binary products, which the hardware does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Count

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class AbcNet(MethodTable):
    """Signs about the mean of the weights, activations with trainable thresholds."""

    name: Literal["abc-net"] = "abc-net"
    bases: Count = 1  # M, of the weights
    shifts: Count = 1  # N, of the activations

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.bases, self.shifts) != (1, 1):
            raise ValueError("more than one base makes a sum of binary products, which the hardware does not have; "
                             "set bases = shifts = 1")  # fmt: skip
        return self

    def build(self) -> Method[Any]:
        """One base and one shift per layer."""
        from adiabit.train.methods.abc_net.rules import AbcNetMethod

        return AbcNetMethod(self)
