# SPDX-License-Identifier: Apache-2.0
"""XNOR-Net's quantizer; the package has the formulas."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.bireal.rules import MagnitudeQuantizer
from adiabit.train.methods.xnor_net import Bwn, XnorNet
from adiabit.train.quantizers import BipolarQuantizer, clipped, sign


class _Approximation(torch.autograd.Function):
    """Forward a * sign(W); backward the paper's gradient."""

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
        """a * sign(W)."""
        return _Approximation.apply(x, self.factor(x))  # type: ignore[no-any-return]


class XnorNetMethod(Method[XnorNet | Bwn]):
    """Weights scaled by their mean magnitude."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Scaled by mean|W|."""
        return ApproximationQuantizer(whole=outputs == 1)
