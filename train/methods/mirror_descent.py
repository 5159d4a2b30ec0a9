# SPDX-License-Identifier: Apache-2.0
"""Mirror descent with tanh as the mirror map, in its numerically stable form (MD-tanh-S).

Ajanthan et al., "Mirror descent view for neural network quantization", AISTATS 2021, section 3.2 and table 1.

    forward   y = tanh(b w), w the dual variable
    update    w <- w - rate * dL/dy, through Adam: the gradient passes tanh, as it would not by the chain rule
    b         is multiplied by `growth` (1.02) every `interval` (200) steps

The projection at the end is sign(w). Activations are y = sign(x), dy/dx taken to be 1(|x| <= 1). With tanh's derivative
in the update it would be the adiabatic method's weights.
"""

from __future__ import annotations

import math

from torch import Tensor

from adiabit.train.methods.base import Method
from adiabit.train.methods.tables import HARD, MirrorDescent
from adiabit.train.quantizers import BipolarQuantizer, passed, sign, soft_sign
from adiabit.train.schedules import Schedule, Settings

FAR = 24  # powers of ten by which beta grows at most, long after tanh counts as sign: float32 has 38


class MirrorQuantizer(BipolarQuantizer):
    """y = tanh(beta * w), or sign(w) where it is `hard`; dy/dw = 1."""

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
        """Set beta for the number of steps that were done."""
        table = self.table
        growths = min(step // table.interval, FAR / math.log10(table.growth))
        self.beta = table.beta * table.growth**growths

    @property
    def annealing(self) -> bool:
        """Until tanh counts as sign."""
        return self.beta < HARD

    @property
    def settings(self) -> Settings:
        """Beta of the weights."""
        return {"weight": {"beta": self.beta}}


class MirrorDescentMethod(Method[MirrorDescent]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """tanh(beta * w)."""
        return MirrorQuantizer()

    def schedule(self) -> Schedule:
        """That of beta."""
        return MirrorSchedule(self.table)
