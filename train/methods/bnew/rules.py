# SPDX-License-Identifier: Apache-2.0
"""BNEW's quantizer, schedule and update; the package has the formulas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.method import Method, latent_weights
from adiabit.train.methods.bnew import Bnew
from adiabit.train.quantizers import BipolarQuantizer, sign
from adiabit.train.schedule import Schedule, Settings


class PushedQuantizer(BipolarQuantizer):
    """y = w; sign(w), without a gradient, once `locked` or `hard`."""

    def __init__(self) -> None:
        super().__init__("weight")
        self.locked = False

    def quantize(self, x: Tensor) -> Tensor:
        """w, or its sign."""
        return sign(x.detach()) if self.hard or self.locked else x


class BnewSchedule(Schedule):
    """Sets lambda and whether the weights are locked."""

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
    """Weights that are pushed outwards after each step until they are locked."""

    locks = True

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """The weight itself until it is locked."""
        return PushedQuantizer()

    def schedule(self) -> Schedule:
        """Of lambda and the lock."""
        return BnewSchedule(self.table)

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:
        """Push the weights outwards and clip them until they are locked."""
        assert isinstance(schedule, BnewSchedule)  # noqa: S101  (made by `schedule` above)
        if schedule.locked:
            return
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.mul_(1 + 2 * schedule.strength * rate).clamp_(-1, 1)
