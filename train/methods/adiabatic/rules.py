# SPDX-License-Identifier: Apache-2.0
"""The adiabatic method's quantizer; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.adiabatic import Adiabatic
from adiabit.train.methods.adiabatic.schedules import adiabatic_schedule
from adiabit.train.quantizers import BipolarQuantizer, Role, Slope, soft_sign, tanh_slope
from adiabit.train.schedule import HARD, Schedule


class AdiabaticQuantizer(BipolarQuantizer):
    """y = tanh(k * x) with its true derivative k * (1 - tanh(k * x)**2); y = sign(x) once k >= 1e3 or `hard`.

    While training, Gaussian noise of standard deviation `noise / k` is added to x before the tanh, which prepares the
    network for the hard sign to come. A `hard` quantizer keeps the derivative of tanh(k * x) as its pseudo-gradient:
    the schedules' hard-forward variant.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.k = 1.0
        self.noise = 0.0

    def quantize(self, x: Tensor) -> Tensor:
        """tanh(k * x), or sign(x)."""
        if self.slope() is not None:
            return super().quantize(x)
        if self.noise and self.training:
            x = x + _normal(x, self.noise / self.k)
        return soft_sign(x, self.k)

    def slope(self) -> Slope | None:
        """The derivative of tanh(k * x), where the value is the sign."""
        return tanh_slope(self.k) if self.hard or self.k >= HARD else None


def _normal(x: Tensor, deviation: float) -> Tensor:
    """Gaussian noise of x's shape; on channels-last images in a tenth of the time of `torch.randn_like`."""
    noise = torch.empty_like(x)
    noise.as_strided((noise.numel(),), (1,)).normal_(std=deviation)
    return noise


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
