# SPDX-License-Identifier: Apache-2.0
"""ABC-Net with one base of weights and one of activations (M = N = 1).

Lin, Zhao & Pan, "Towards accurate binary convolutional neural network", NeurIPS 2017, equations 2 to 4 and 7 to 9.

    weights       B = sign(W - mean(W) + u std(W)), u = 0 where M = 1; W is approximated by a * B,
                  a = <B, W> / n, the least squares' solution over the layer; dL/dW = a * dL/d(aB)
    activations   y = 2 * 1(clip(x + v, 0, 1) >= 1/2) - 1, v trainable, 0 at first; dy/dx taken to be 1(0 <= x + v <= 1)

v is one number a layer. The paper's positive factor of y, one number a layer too, stands before a batch norm, which
undoes it, and is left out. With more bases a product is a sum of M * N binary ones: not built.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method
from adiabit.train.methods.tables import AbcNet
from adiabit.train.quantizers import BipolarQuantizer, passed, sign, sign_with_slope


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
        """A * B; to the gradient, B is W."""
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
        """X + v - 1/2."""
        return x + (self.v - self.HALF)

    def quantize(self, x: Tensor) -> Tensor:
        """sign(x + v - 1/2)."""
        return sign_with_slope(self.latent(x), step_slope)

    def shift(self) -> Tensor:
        """V - 1/2."""
        return self.v.detach() - self.HALF


class AbcNetMethod(Method[AbcNet]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """One base, one scale a layer."""
        return BaseQuantizer()

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """One shift a layer."""
        return ShiftedStepQuantizer()
