# SPDX-License-Identifier: Apache-2.0
"""Bi-Real Net's quantizers; the package has the formulas."""

from __future__ import annotations

from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.bireal import BiReal
from adiabit.train.quantizers import BipolarQuantizer, Function, clipped, sign_with_slope


def quadratic(x: Tensor) -> Tensor:
    """2 - 2|x| where that is positive, else 0."""
    return x.abs().mul_(-2).add_(2).clamp_(min=0)


class ApproxSignQuantizer(BipolarQuantizer):
    """y = sign(x), dy/dx = 2 - 2|x| or 0."""

    def __init__(self) -> None:
        super().__init__("activation")

    def slope(self) -> Function:
        """2 - 2|x| or 0."""
        return quadratic


class MagnitudeQuantizer(BipolarQuantizer):
    """y = a * sign(w), a = mean|w| of a filter or (`whole`) of the layer; the gradient treats a as a constant."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__("weight")
        self.whole = whole

    def factor(self, x: Tensor) -> Tensor:
        """a, (O, 1, ...), or a scalar."""
        return mean_magnitude(x.detach(), whole=self.whole)

    def quantize(self, x: Tensor) -> Tensor:
        """a * sign(w)."""
        return self.factor(x) * sign_with_slope(x, clipped)


def mean_magnitude(weight: Tensor, *, whole: bool) -> Tensor:
    """mean|w| of each filter, (O, 1, ...), or of the layer, a scalar."""
    return weight.abs().mean() if whole else weight.abs().mean(dim=tuple(range(1, weight.ndim)), keepdim=True)


class BiRealMethod(Method[BiReal]):
    """Bi-Real Net's quantizers."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Scaled by mean|w|."""
        return MagnitudeQuantizer(whole=outputs == 1)

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """sign with the quadratic's derivative."""
        return ApproxSignQuantizer()
