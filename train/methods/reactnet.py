# SPDX-License-Identifier: Apache-2.0
"""ReActNet's RSign and its two-step training.

Liu et al., "ReActNet", ECCV 2020, equations 1 and 3; two steps after Martinez et al., ICLR 2020. Its RPReLU and
shortcuts are not part of it here.

    RSign     y = sign(x + b), b trainable, a number a channel, 0 at first; dy/dx = dy/db taken to be 2 - 2|x + b| or 0
    weights   step 1: real. Step 2, from the share `weights_from` of the epochs on: a * sign(w), a = mean|w| over a
              filter, dy/dw taken to be a * 1(|w| <= 1)

In hardware b goes into the threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method
from adiabit.train.methods.bireal import MagnitudeQuantizer, quadratic
from adiabit.train.methods.tables import ReActNet
from adiabit.train.quantizers import BipolarQuantizer, sign_with_slope
from adiabit.train.schedules import Schedule, Settings


class RSignQuantizer(BipolarQuantizer):
    """y = sign(x + b) of x (B, C, ...)."""

    def __init__(self, channels: int) -> None:
        super().__init__("activation")
        self.b = nn.Parameter(torch.zeros(channels))

    def latent(self, x: Tensor) -> Tensor:
        """X + b."""
        return x + self.b.view(-1, *[1] * (x.ndim - 2))

    def quantize(self, x: Tensor) -> Tensor:
        """sign(x + b)."""
        return sign_with_slope(self.latent(x), quadratic)

    def shift(self) -> Tensor:
        """b, (C,)."""
        return self.b.detach()


class SecondStepQuantizer(MagnitudeQuantizer):
    """y = w in the first step; a * sign(w) in the second, and where it is `hard`."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__(whole=whole)
        self.second = False

    def quantize(self, x: Tensor) -> Tensor:
        """By the step."""
        return super().quantize(x) if self.hard or self.second else x


class StepSchedule(Schedule):
    """Which of the two steps."""

    def __init__(self, weights_from: float) -> None:
        self.weights_from, self.second = weights_from, False

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set the step for the share of the epochs that is done."""
        self.second = share >= self.weights_from

    @property
    def annealing(self) -> bool:
        """In the first step."""
        return not self.second

    @property
    def settings(self) -> Settings:
        """The weights' step."""
        return {"weight": {"second": self.second}}


class ReActNetMethod(Method[ReActNet]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:
        """Real, then scaled by mean|w|."""
        return SecondStepQuantizer(whole=outputs == 1)

    def activation(self, channels: int) -> BipolarQuantizer:
        """RSign."""
        return RSignQuantizer(channels)

    def schedule(self) -> Schedule:
        """The two steps."""
        return StepSchedule(self.table.weights_from)
