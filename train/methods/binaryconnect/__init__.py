# SPDX-License-Identifier: Apache-2.0
"""BinaryConnect and BinaryNet: the gradient of binary weights updates real ones, which are clipped to -1...1.

Courbariaux, Bengio & David, "BinaryConnect", NeurIPS 2015; Hubara, Courbariaux et al., "Binarized neural networks",
NeurIPS 2016.

    deterministic   w_b = sign(w)
    stochastic      w_b = +1 with probability clip((w + 1) / 2, 0, 1), else -1; drawn at each step
    backward        dL/dw = dL/dw_b
    update          w <- clip(w - rate * g * dL/dw, -1, 1), through Adam; g = sqrt((inputs + outputs) / 1.5)

g is the inverse of Glorot's coefficient, where inputs and outputs count the kernel's pixels, as in the authors' code.
BinaryConnect's activations are real. BinaryNet's are y = sign(x), dy/dx taken to be 1(|x| <= 1). A network trained
stochastically is measured with w_b = sign(w), as in hardware; the paper measured it with real weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class BinaryConnect(MethodTable):
    """Binary weights, real activations."""

    learning_rate: ClassVar[float] = 0.001
    why_not: ClassVar[str] = "its activations are real"

    name: Literal["binaryconnect"] = "binaryconnect"
    stochastic: bool = False  # draw the signs while training
    glorot: bool = True  # scale each layer's learning rate by g

    def build(self) -> Method[Any]:
        """Weights alone are binary."""
        from adiabit.train.methods.binaryconnect.rules import BinaryConnectMethod

        return BinaryConnectMethod(self, binary_activations=False)


@METHODS.register
class BinaryNet(MethodTable):
    """BinaryConnect with sign activations."""

    learning_rate: ClassVar[float] = 0.001

    name: Literal["binarynet"] = "binarynet"
    glorot: bool = True

    def build(self) -> Method[Any]:
        """Weights and activations are binary."""
        from adiabit.train.methods.binaryconnect.rules import BinaryNetMethod

        return BinaryNetMethod(self)
