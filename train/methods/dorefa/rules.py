# SPDX-License-Identifier: Apache-2.0
"""DoReFa-Net's quantizers; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.dorefa import DoReFa
from adiabit.train.quantizers import BipolarQuantizer, Function, passed, sign


class MeanScaledQuantizer(BipolarQuantizer):
    """y = E|w| * sign(w), dy/dw = 1."""

    def __init__(self) -> None:
        super().__init__("weight")

    def factor(self, x: Tensor) -> Tensor:
        """E|w|, a scalar."""
        return x.detach().abs().mean()

    def quantize(self, x: Tensor) -> Tensor:
        """E|w| * sign(w)."""
        return passed(x, self.factor(x) * sign(x))


def rounding_slope(x: Tensor) -> Tensor:
    """d(2q - 1)/dx of x - 1/2: 2 * 1(-1/2 <= x <= 1/2)."""
    return x.abs().le_(0.5).mul_(2)


class RoundingQuantizer(BipolarQuantizer):
    """y = sign(x - 1/2), dy/dx = 2 * 1(0 <= x <= 1)."""

    HALF = 0.5

    def __init__(self) -> None:
        super().__init__("activation")

    def latent(self, x: Tensor) -> Tensor:
        """x - 1/2."""
        return x - self.HALF

    def slope(self) -> Function:
        """2 * 1(0 <= x <= 1)."""
        return rounding_slope

    def shift(self) -> Tensor:
        """-1/2."""
        return torch.tensor(-self.HALF)


class DoReFaMethod(Method[DoReFa]):
    """DoReFa-Net's quantizers."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Scaled by the layer's mean magnitude."""
        return MeanScaledQuantizer()

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """Rounded from 0...1."""
        return RoundingQuantizer()
