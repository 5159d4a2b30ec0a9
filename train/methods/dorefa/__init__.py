# SPDX-License-Identifier: Apache-2.0
"""DoReFa-Net with one bit for weights and activations, and gradients in full precision.

Zhou et al., "DoReFa-Net", arXiv 1606.06160 (2016), equations 5 to 8 and 11.

    weights       y = E|w| * sign(w), E over the layer; dL/dw = dL/dy
    activations   q = round(clip(x, 0, 1)), dq/dx taken to be 1(0 <= x <= 1); y = 2q - 1

The paper's activations are q, 0 or 1; the hardware's are -1 or +1. The difference is a constant that the next batch
norm absorbs. y is sign(x - 1/2), which rounds a half up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class DoReFa(MethodTable):
    """No keys."""

    name: Literal["dorefa"] = "dorefa"

    def build(self) -> Method[Any]:
        """Weights scaled by the layer, activations rounded from 0...1."""
        from adiabit.train.methods.dorefa.rules import DoReFaMethod

        return DoReFaMethod(self)
