# SPDX-License-Identifier: Apache-2.0
"""XNOR-Net and Binary-Weight-Networks: W is approximated by a * sign(W), a = mean|W| over each filter of n weights.

Rastegari et al., "XNOR-Net", ECCV 2016, equations 5, 6 and section 3.2.

    backward      dL/dW_i = dL/dW~_i * (1 / n + a * 1(|W_i| <= 1)), W~ = a * sign(W)
    activations   XNOR-Net: y = sign(x), dy/dx taken to be 1(|x| <= 1). BWN: real

XNOR-Net's map K of input magnitudes is left out: it depends on the input, so no threshold can hold it, and the authors
found that it costs less than 1 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class Bwn(MethodTable):
    """XNOR-Net's weights, real activations; no keys."""

    why_not: ClassVar[str] = "its activations are real"

    name: Literal["bwn"] = "bwn"

    def build(self) -> Method[Any]:
        """Weights alone are binary."""
        from adiabit.train.methods.xnor_net.rules import XnorNetMethod

        return XnorNetMethod(self, binary_activations=False)


@METHODS.register
class XnorNet(MethodTable):
    """mean|W| * sign(W) per filter; no keys."""

    name: Literal["xnor-net"] = "xnor-net"

    def build(self) -> Method[Any]:
        """Weights and activations are binary."""
        from adiabit.train.methods.xnor_net.rules import XnorNetMethod

        return XnorNetMethod(self)
