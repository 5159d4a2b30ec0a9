# SPDX-License-Identifier: Apache-2.0
"""The adiabatic method: y = tanh(k * x) with its true derivative, and k grows until tanh is sign.

Zhao & Xiao, Scientific Reports 11, 19797 (2021). Of weights and of activations:

    forward   y = tanh(k * x); y = sign(x) once k >= 1e3
    backward  dy/dx = k * (1 - y**2), the true derivative

How k grows is the table's `schedule`. Ours besides: noise before the tanh, and a hard forward that keeps tanh's
derivative (:class:`adiabit.train.methods.tables.Budget`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from adiabit.train.methods.base import Method
from adiabit.train.methods.tables import HARD, Adiabatic
from adiabit.train.quantizers import BipolarQuantizer, Role, sign_with_slope, soft_sign, tanh_slope
from adiabit.train.schedules import Schedule, adiabatic_schedule


class AdiabaticQuantizer(BipolarQuantizer):
    """y = tanh(k * x) with its true derivative k * (1 - tanh(k * x)**2); y = sign(x) once k >= 1e3 or `hard`.

    While training, Gaussian noise of std `noise / k` joins x before the tanh, which lets the network feel the hard
    sign that is to come. A `hard` quantizer keeps the derivative of tanh(k * x) as its pseudo-gradient, the
    schedules' hard-forward variant.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.k = 1.0
        self.noise = 0.0

    def quantize(self, x: Tensor) -> Tensor:
        """tanh(k * x), or sign(x)."""
        if self.hard or self.k >= HARD:
            return sign_with_slope(x, tanh_slope(self.k))
        if self.noise and self.training:
            x = x + torch.randn_like(x) * (self.noise / self.k)
        return soft_sign(x, self.k)


class AdiabaticMethod(Method[Adiabatic]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(k * w)."""
        return AdiabaticQuantizer("weight")

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(k * x)."""
        return AdiabaticQuantizer("activation")

    def schedule(self) -> Schedule:
        """The one that the table names."""
        return adiabatic_schedule(self.table.schedule)
