# SPDX-License-Identifier: Apache-2.0
"""BNN+'s quantizers and regularizer; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.method import Method, by_row
from adiabit.train.methods.bnn_plus import BnnPlus
from adiabit.train.quantizers import BipolarQuantizer, Function, Role


def sign_swish_slope(beta: float) -> Function:
    """SS' (even) as 2 b (2 - y (2 s - 1)) s (1 - s), s the logistic function of y = -b |x|: it stays finite."""

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
        self.beta = beta

    def slope(self) -> Function:
        """SS'."""
        return sign_swish_slope(self.beta)


class ScaledSwishQuantizer(SignSwishQuantizer):
    """y = a * sign(w): dy/dw = a * SS'(w), dy/da = sign(w). `alpha` is (O,), or (1,) for a whole layer."""

    def __init__(self, beta: float, rows: int) -> None:
        super().__init__("weight", beta)
        self.alpha = nn.Parameter(torch.ones(rows))

    def factor(self, x: Tensor) -> Tensor:
        """a, (O, 1, ...)."""
        return by_row(self.alpha, x)

    def quantize(self, x: Tensor) -> Tensor:
        """a * sign(w)."""
        return self.factor(x) * super().quantize(x)


class BnnPlusMethod(Method[BnnPlus]):
    """SignSwish with trainable scales and the regularizer."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """One scale per filter."""
        return ScaledSwishQuantizer(self.table.beta, outputs)

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """sign with SS' as its derivative."""
        return SignSwishQuantizer("activation", self.table.beta)

    def start(self, net: nn.Module) -> None:
        """Initialize the scales from the weights."""
        with torch.no_grad():
            for weight, quantizer in _scaled(net):
                rows = weight.abs().reshape(len(quantizer.alpha), -1)
                median = self.table.regularizer == "R1"
                quantizer.alpha.copy_(rows.median(dim=1).values if median else rows.mean(dim=1))

    def penalty(self, net: nn.Module) -> Tensor | None:
        """strength * R, or None where there is no regularizer."""
        if self.table.regularizer == "none" or not self.table.strength:
            return None
        terms = []
        for weight, quantizer in _scaled(net):
            distance = quantizer.factor(weight) - weight.abs()
            terms.append((distance.abs() if self.table.regularizer == "R1" else distance.square()).sum())
        return self.table.strength * torch.stack(terms).sum()


def _scaled(net: nn.Module) -> list[tuple[Tensor, ScaledSwishQuantizer]]:
    """The weights that have a scale, and their quantizers."""
    found = []
    for module in net.modules():
        quantizer = getattr(getattr(module, "weight_quant", None), "tensor_quant", None)
        if isinstance(quantizer, ScaledSwishQuantizer) and isinstance(module, nn.Linear | nn.Conv2d):
            found.append((module.weight, quantizer))
    return found
