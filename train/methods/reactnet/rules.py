# SPDX-License-Identifier: Apache-2.0
"""ReActNet's quantizers and schedule; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.method import Method
from adiabit.train.methods.bireal.rules import MagnitudeQuantizer, quadratic
from adiabit.train.methods.reactnet import ReActNet
from adiabit.train.quantizers import BipolarQuantizer, Function
from adiabit.train.schedule import Schedule, Settings


class RSignQuantizer(BipolarQuantizer):
    """y = sign(x + b) of x (B, C, ...)."""

    def __init__(self, channels: int) -> None:
        super().__init__("activation")
        self.b = nn.Parameter(torch.zeros(channels))

    def latent(self, x: Tensor) -> Tensor:
        """x + b."""
        return x + self.b.view(-1, *[1] * (x.ndim - 2))

    def slope(self) -> Function:
        """Bi-Real Net's."""
        return quadratic

    def shift(self) -> Tensor:
        """b, (C,)."""
        return self.b.detach()


class SecondStepQuantizer(MagnitudeQuantizer):
    """y = w in the first step; a * sign(w) in the second, or if `hard`."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__(whole=whole)
        self.second = False

    def quantize(self, x: Tensor) -> Tensor:
        """w or a * sign(w), depending on the step."""
        return super().quantize(x) if self.hard or self.second else x


class StepSchedule(Schedule):
    """Sets which of the two steps it is."""

    def __init__(self, weights_from: float) -> None:
        self.weights_from, self.second = weights_from, False

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set the step for the share of the epochs that is done."""
        self.second = share >= self.weights_from

    @property
    def annealing(self) -> bool:
        """Until the second step."""
        return not self.second

    @property
    def settings(self) -> Settings:
        """Whether the weights are in the second step."""
        return {"weight": {"second": self.second}}


class ReActNetMethod(Method[ReActNet]):
    """RSign for the activations; weights are real, then binary."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Real, then scaled by mean|w|."""
        return SecondStepQuantizer(whole=outputs == 1)

    def activation(self, channels: int) -> BipolarQuantizer:
        """RSign."""
        return RSignQuantizer(channels)

    def schedule(self) -> Schedule:
        """Of the two steps."""
        return StepSchedule(self.table.weights_from)
