# SPDX-License-Identifier: Apache-2.0
"""IR-Net: balanced and standardized weights (Libra-PB), and a gradient estimator whose error decays (EDE).

Qin et al., "Forward and backward information retention for accurate binary neural networks", CVPR 2020.

    Libra-PB   w^ = (w - mean(w)) / std(w) over a filter; y = 2**s * sign(w^), s = round(log2(mean|w^|))
    EDE        d sign(x)/dx taken to be k t (1 - tanh(t x)**2), for w^ and for activations;
               t = t0 * (t1 / t0)**(share of the epochs that is done), 1e-2 to 10, k = max(1 / t, 1)

The forward pass is hard throughout while the gradient is annealed: the control experiment of the adiabatic method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Slope

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class IrNet(MethodTable):
    """Libra-PB and EDE."""

    name: Literal["ir-net"] = "ir-net"
    t: tuple[Slope, Slope] = (1e-2, 10.0)  # from the first epoch to the last

    def build(self) -> Method[Any]:
        """Libra-PB for weights, EDE for both."""
        from adiabit.train.methods.ir_net.rules import IrNetMethod

        return IrNetMethod(self)
