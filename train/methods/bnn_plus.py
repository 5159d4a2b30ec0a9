# SPDX-License-Identifier: Apache-2.0
"""BNN+: SignSwish in the place of sign, scales that are learnt, and a regularizer that draws weights to them.

Darabi, Belbahri, Courbariaux & Nia, "BNN+: Improved binary network training", arXiv 1812.11800 (2018).

    SS(x)  = 2 s(bx) (1 + bx (1 - s(bx))) - 1, s the logistic function, b = `beta`, 5 by default
    SS'(x) = b (2 - bx tanh(bx / 2)) / (1 + cosh(bx)), taken for the derivative of sign
    R1(w)  = | a - |w| |, R2(w) = (a - |w|)^2, summed over all weights, times `strength`, 1e-6

Weights are a * sign(w), a one trainable scale a filter, which starts at the median of |w| (R1) or at their mean (R2).
Activations are sign(x). No clipping.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method, by_row
from adiabit.train.methods.tables import BnnPlus
from adiabit.train.quantizers import BipolarQuantizer, Role, sign_with_slope


def sign_swish_slope(beta: float) -> Callable[[Tensor], Tensor]:
    """SS' as 2 b (2 - y (2 s - 1)) s (1 - s), s the logistic function of y = -b |x|: it is even, and stays finite."""

    def slope(x: Tensor) -> Tensor:
        y = x.abs().mul_(-beta)
        s = y.sigmoid()
        left = torch.addcmul(y, y, s, value=-2).add_(2)
        return torch.addcmul(s, s, s, value=-1).mul_(left).mul_(2 * beta)

    return slope


class SignSwishQuantizer(BipolarQuantizer):
    """y = sign(x), dy/dx = SS'(x)."""

    def __init__(self, role: Role, beta: float) -> None:
        super().__init__(role)
        self.slope = sign_swish_slope(beta)

    def quantize(self, x: Tensor) -> Tensor:
        """sign(x)."""
        return sign_with_slope(x, self.slope)


class ScaledSwishQuantizer(SignSwishQuantizer):
    """y = a * sign(w): dy/dw = a * SS'(w), dy/da = sign(w). `alpha` is (O,), or (1,) for a whole layer."""

    def __init__(self, beta: float, rows: int) -> None:
        super().__init__("weight", beta)
        self.alpha = nn.Parameter(torch.ones(rows))

    def factor(self, x: Tensor) -> Tensor:
        """(O, 1, ...)."""
        return by_row(self.alpha, x)

    def quantize(self, x: Tensor) -> Tensor:
        """A * sign(w)."""
        return self.factor(x) * super().quantize(x)


class BnnPlusMethod(Method[BnnPlus]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """With a scale a filter."""
        return ScaledSwishQuantizer(self.table.beta, outputs)

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """Sign with SS'."""
        return SignSwishQuantizer("activation", self.table.beta)

    def start(self, net: nn.Module) -> None:
        """Scales from the weights."""
        with torch.no_grad():
            for weight, quantizer in _scaled(net):
                rows = weight.abs().reshape(len(quantizer.alpha), -1)
                median = self.table.regularizer == "R1"
                quantizer.alpha.copy_(rows.median(dim=1).values if median else rows.mean(dim=1))

    def penalty(self, net: nn.Module) -> Tensor | None:
        """Strength * R."""
        if self.table.regularizer == "none" or not self.table.strength:
            return None
        terms = []
        for weight, quantizer in _scaled(net):
            distance = quantizer.factor(weight) - weight.abs()
            terms.append((distance.abs() if self.table.regularizer == "R1" else distance.square()).sum())
        return self.table.strength * torch.stack(terms).sum()


def _scaled(net: nn.Module) -> list[tuple[Tensor, ScaledSwishQuantizer]]:
    """Weights and their quantizers."""
    found = []
    for module in net.modules():
        quantizer = getattr(getattr(module, "weight_quant", None), "tensor_quant", None)
        if isinstance(quantizer, ScaledSwishQuantizer) and isinstance(module, nn.Linear | nn.Conv2d):
            found.append((module.weight, quantizer))
    return found
