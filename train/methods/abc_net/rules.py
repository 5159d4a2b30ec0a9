# SPDX-License-Identifier: Apache-2.0
"""ABC-Net's quantizers; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.method import Method
from adiabit.train.methods.abc_net import AbcNet
from adiabit.train.quantizers import BipolarQuantizer, Function, passed, sign


class BaseQuantizer(BipolarQuantizer):
    """y = a * sign(W - mean(W)), dy/dW = a."""

    def __init__(self) -> None:
        super().__init__("weight")

    def latent(self, x: Tensor) -> Tensor:
        """W - mean(W)."""
        return x - x.mean()

    def factor(self, x: Tensor) -> Tensor:
        """<B, W> / n, a scalar."""
        return (sign(self.latent(x.detach())) * x.detach()).mean()

    def quantize(self, x: Tensor) -> Tensor:
        """a * B; the gradient treats B as W."""
        return self.factor(x) * passed(x, sign(self.latent(x)))


def step_slope(x: Tensor) -> Tensor:
    """1(0 <= x + v <= 1) of x + v - 1/2."""
    return x.abs().le_(0.5)


class ShiftedStepQuantizer(BipolarQuantizer):
    """y = sign(x + v - 1/2), dy/dx = dy/dv = 1(0 <= x + v <= 1)."""

    HALF = 0.5

    def __init__(self) -> None:
        super().__init__("activation")
        self.v = nn.Parameter(torch.zeros(1))

    def latent(self, x: Tensor) -> Tensor:
        """x + v - 1/2."""
        return x + (self.v - self.HALF)

    def slope(self) -> Function:
        """1(0 <= x + v <= 1)."""
        return step_slope

    def shift(self) -> Tensor:
        """v - 1/2."""
        return self.v.detach() - self.HALF


class AbcNetMethod(Method[AbcNet]):
    """ABC-Net's quantizers, each with one number per layer."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """One base and one scale per layer."""
        return BaseQuantizer()

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """One shift per layer."""
        return ShiftedStepQuantizer()
