# SPDX-License-Identifier: Apache-2.0
"""Mirror descent's quantizer and schedule; the package has the formulas."""

from __future__ import annotations

import math

from torch import Tensor

from adiabit.train.method import Method
from adiabit.train.methods.mirror_descent import MirrorDescent
from adiabit.train.quantizers import BipolarQuantizer, passed, sign, soft_sign
from adiabit.train.schedule import HARD, Schedule, Settings

FAR = 24  # beta grows by at most so many powers of ten, long after tanh counts as sign: float32 has 38


class MirrorQuantizer(BipolarQuantizer):
    """y = tanh(beta * w), or sign(w) if `hard`; dy/dw = 1."""

    def __init__(self) -> None:
        super().__init__("weight")
        self.beta = 1.0

    def quantize(self, x: Tensor) -> Tensor:
        """The primal variable."""
        return passed(x, sign(x) if self.hard else soft_sign(x, self.beta))


class MirrorSchedule(Schedule):
    """beta grows with the steps."""

    def __init__(self, table: MirrorDescent) -> None:
        self.table, self.beta = table, table.beta

    def at(self, share: float, step: int) -> None:  # noqa: ARG002
        """Set beta for the number of steps that are done."""
        table = self.table
        growths = min(step // table.interval, FAR / math.log10(table.growth))
        self.beta = table.beta * table.growth**growths

    @property
    def annealing(self) -> bool:
        """Until tanh counts as sign."""
        return self.beta < HARD

    @property
    def settings(self) -> Settings:
        """beta of the weights."""
        return {"weight": {"beta": self.beta}}


class MirrorDescentMethod(Method[MirrorDescent]):
    """Mirror descent for the weights, straight-through estimation for the activations."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(beta * w)."""
        return MirrorQuantizer()

    def schedule(self) -> Schedule:
        """Of beta."""
        return MirrorSchedule(self.table)
