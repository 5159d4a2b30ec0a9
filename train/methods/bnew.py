# SPDX-License-Identifier: Apache-2.0
"""BNEW: real weights that a negative weight decay pushes outwards, to -1 and +1, where they are clipped.

The poster's rule, after each step w' = w - rate * g of the optimizer:

    w <- clip((1 + 2 lambda rate) w', -1, 1)

Four stages, as shares of the epochs: binary activations alone, lambda = 0, until `push_from`; lambda grows linearly to
`strength` (1e-4) until `lock`; there weights are projected to sign(w), and stay; what is real is learnt on. Activations
are y = sign(x), dy/dx taken to be 1(|x| <= 1), from the start. Adam, 0.01.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method, latent_weights
from adiabit.train.methods.tables import Bnew
from adiabit.train.quantizers import BipolarQuantizer, sign
from adiabit.train.schedules import Schedule, Settings


class PushedQuantizer(BipolarQuantizer):
    """y = w; sign(w), a constant, once it is `locked` or `hard`."""

    def __init__(self) -> None:
        super().__init__("weight")
        self.locked = False

    def quantize(self, x: Tensor) -> Tensor:
        """w, or its sign."""
        return sign(x.detach()) if self.hard or self.locked else x


class BnewSchedule(Schedule):
    """lambda, and whether the weights are locked."""

    def __init__(self, table: Bnew) -> None:
        self.table = table
        self.strength, self.locked = 0.0, False

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set both for the share of the epochs that is done."""
        table = self.table
        self.locked = share >= table.lock
        self.strength = table.strength * min(max((share - table.push_from) / (table.lock - table.push_from), 0.0), 1.0)

    @property
    def annealing(self) -> bool:
        """Until the weights are locked."""
        return not self.locked

    @property
    def settings(self) -> Settings:
        """Whether the weights are locked."""
        return {"weight": {"locked": self.locked}}


class BnewMethod(Method[Bnew]):
    """See the module."""

    locks = True

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """The weight itself, until it is locked."""
        return PushedQuantizer()

    def schedule(self) -> Schedule:
        """That of lambda and the lock."""
        return BnewSchedule(self.table)

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:
        """Push outwards and clip, until they are locked."""
        assert isinstance(schedule, BnewSchedule)  # noqa: S101  (it is ours)
        if schedule.locked:
            return
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.mul_(1 + 2 * schedule.strength * rate).clamp_(-1, 1)
