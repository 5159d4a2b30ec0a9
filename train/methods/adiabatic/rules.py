# SPDX-License-Identifier: Apache-2.0
"""The adiabatic method's quantizer; the package has the formulas."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.adiabatic import Adiabatic
from adiabit.train.methods.adiabatic.schedules import adiabatic_schedule
from adiabit.train.quantizers import BipolarQuantizer, Function, Pointwise, Role, sign, soft_sign, tanh, tanh_slope
from adiabit.train.schedule import HARD, Schedule


class _PartlyHard(torch.autograd.Function):
    """sign(x) where `hard`, else tanh(k * x); backward k * (1 - tanh(k * x)**2) in both cases."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: float, hard: Tensor) -> Tensor:
        soft = soft_sign(x, k)
        ctx.save_for_backward(soft)
        ctx.k = k
        return torch.where(hard, sign(x), soft)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (soft,) = ctx.saved_tensors
        return (soft * soft).sub_(1).mul_(-ctx.k).mul_(grads[0]), None, None


class AdiabaticQuantizer(BipolarQuantizer):
    """y = tanh(k * x) with its true derivative k * (1 - tanh(k * x)**2); y = sign(x) once k >= 1e3 or `hard`.

    While training, Gaussian noise of standard deviation `noise / k` is added to x before the tanh, which prepares the
    network for the hard sign to come. A `hard` quantizer keeps the derivative of tanh(k * x) as its pseudo-gradient:
    the schedules' hard-forward variant. In between, a random share `hard_share` of the values is hard while training,
    drawn anew at each step, and the others are soft: the gradient is that of tanh(k * x) for both.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.k = 1.0
        self.noise = 0.0
        self.hard_share = 0.0

    def quantize(self, x: Tensor) -> Tensor:
        """tanh(k * x), or sign(x)."""
        if self.slope() is not None:
            return super().quantize(x)
        if self.noise and self.training:
            noise = torch.empty_like(x)
            _flat(noise).normal_(std=self.noise / self.k)
            x = x + noise
        if self.hard_share and self.training:
            draws = torch.empty_like(x)
            _flat(draws).uniform_()
            return _PartlyHard.apply(x, self.k, draws < self.hard_share)  # type: ignore[no-any-return]
        return soft_sign(x, self.k)

    def slope(self) -> Function | None:
        """The derivative of tanh(k * x), where the value is the sign."""
        return tanh_slope(self.k) if self.hard or self.k >= HARD else None

    def pointwise(self) -> Pointwise:
        """The same as `quantize`."""
        if (slope := self.slope()) is not None:
            return Pointwise(slope)
        noise, hard_share = (self.noise / self.k, self.hard_share) if self.training else (0.0, 0.0)
        return Pointwise(tanh_slope(self.k), tanh(self.k), noise, hard_share)


def _flat(x: Tensor) -> Tensor:
    """The values in the order of the memory; drawing random numbers in another takes ten times as long."""
    return x.as_strided((x.numel(),), (1,))


class AdiabaticMethod(Method[Adiabatic]):
    """tanh with a slope that the schedule sets, for weights and activations."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(k * w)."""
        return AdiabaticQuantizer("weight")

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(k * x)."""
        return AdiabaticQuantizer("activation")

    def schedule(self) -> Schedule:
        """The one that the table describes."""
        return adiabatic_schedule(self.table.schedule)
