# SPDX-License-Identifier: Apache-2.0
"""IR-Net's quantizers and schedule; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.ir_net import IrNet
from adiabit.train.quantizers import BipolarQuantizer, Function, Role, tanh_slope
from adiabit.train.schedule import Schedule, Settings, geometric


def decay_slope(t: float) -> Function:
    """max(1 / t, 1) * t * (1 - tanh(t x)**2)."""
    slope = tanh_slope(t)
    return lambda x: slope(x).mul_(max(1.0 / t, 1.0))


class DecayQuantizer(BipolarQuantizer):
    """y = sign(x), dy/dx = max(1 / t, 1) * t * (1 - tanh(t x)**2)."""

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.t = 1.0

    def slope(self) -> Function:
        """The derivative that EDE takes for sign's."""
        return decay_slope(self.t)


class LibraQuantizer(DecayQuantizer):
    """y = 2**s * sign(w^): the gradient passes through the mean and the deviation, not through s."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__("weight")
        self.whole = whole

    def latent(self, x: Tensor) -> Tensor:
        """w^ of weights (O, ...)."""
        rows = x.flatten(1)
        return ((rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True)).view_as(x)

    def factor(self, x: Tensor) -> Tensor:
        """2**s, (O, 1, ...), or a scalar for a whole layer."""
        magnitude = self.latent(x.detach()).abs()
        mean = magnitude.mean() if self.whole else magnitude.mean(dim=tuple(range(1, x.ndim)), keepdim=True)
        return torch.exp2(mean.log2().round())

    def quantize(self, x: Tensor) -> Tensor:
        """2**s * sign(w^)."""
        return self.factor(x) * super().quantize(x)


class DecaySchedule(Schedule):
    """t grows geometrically."""

    def __init__(self, ends: tuple[float, float]) -> None:
        self.ends, self.t, self.share = ends, ends[0], 0.0

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set t for the share of the epochs that is done."""
        self.t, self.share = geometric(self.ends, share), share

    @property
    def annealing(self) -> bool:
        """Until the last epoch."""
        return self.share < 1

    @property
    def settings(self) -> Settings:
        """t of weights and activations."""
        return {"weight": {"t": self.t}, "activation": {"t": self.t}}


class IrNetMethod(Method[IrNet]):
    """Libra-PB for the weights, EDE for weights and activations."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Libra-PB."""
        return LibraQuantizer(whole=outputs == 1)

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """sign with EDE."""
        return DecayQuantizer("activation")

    def schedule(self) -> Schedule:
        """Of t."""
        return DecaySchedule(self.table.t)
