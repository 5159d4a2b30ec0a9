# SPDX-License-Identifier: Apache-2.0
"""XNOR-Net and Binary-Weight-Networks: W is approximated by a * sign(W), a = mean|W| over each filter of n weights.

Rastegari et al., "XNOR-Net", ECCV 2016, equations 5, 6 and section 3.2.

    backward      dL/dW_i = dL/dW~_i * (1 / n + a * 1(|W_i| <= 1)), W~ = a * sign(W)
    activations   XNOR-Net: y = sign(x), dy/dx taken to be 1(|x| <= 1). BWN: real

XNOR-Net's map K of input magnitudes is left out: it depends on the input, so no threshold can hold it, and the authors
found it to cost less than 1 %.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adiabit.train.methods.base import Method, T
from adiabit.train.methods.bireal import MagnitudeQuantizer
from adiabit.train.methods.tables import Bwn, XnorNet
from adiabit.train.quantizers import BipolarQuantizer, clipped, sign


class _Approximation(torch.autograd.Function):
    """Forward a * sign(W); backward the paper's."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return scale * sign(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        weight, scale = ctx.saved_tensors
        count = weight.numel() // scale.numel()
        return grads[0] * (1 / count + scale * clipped(weight)), None


class ApproximationQuantizer(MagnitudeQuantizer):
    """y = mean|W| * sign(W), of each filter or (`whole`) of the layer."""

    def quantize(self, x: Tensor) -> Tensor:
        """A * sign(W)."""
        return _Approximation.apply(x, self.factor(x))  # type: ignore[no-any-return]


class _ScaledMethod(Method[T]):
    """The weights of both."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Scaled by mean|W|."""
        return ApproximationQuantizer(whole=outputs == 1)


class XnorNetMethod(_ScaledMethod[XnorNet]):
    """See the module."""


class BwnMethod(_ScaledMethod[Bwn]):
    """See the module."""

    binary_activations = False
