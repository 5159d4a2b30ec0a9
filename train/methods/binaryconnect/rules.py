# SPDX-License-Identifier: Apache-2.0
"""BinaryConnect's and BinaryNet's quantizer, initial weights and update; the package has the formulas."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adiabit.train.method import Method, latent_weights
from adiabit.train.methods.binaryconnect import BinaryConnect, BinaryNet
from adiabit.train.quantizers import BipolarQuantizer, passed, sign
from adiabit.train.schedule import Schedule

T = TypeVar("T", BinaryConnect, BinaryNet)


class PassingQuantizer(BipolarQuantizer):
    """y = sign(x), or drawn; dy/dx = 1."""

    def __init__(self, *, stochastic: bool = False) -> None:
        super().__init__("weight")
        self.stochastic = stochastic

    def quantize(self, x: Tensor) -> Tensor:
        """sign(x), or a draw in training mode if `stochastic` and not `hard`."""
        if self.stochastic and self.training and not self.hard:
            drawn = torch.where(torch.rand_like(x) < ((x + 1) / 2).clamp(0, 1), 1.0, -1.0).to(x.dtype)
            return passed(x, drawn)
        return passed(x, sign(x))


class BinaryNetMethod(Method[T]):
    """Initial weights, learning rates and clipped update of both methods."""

    def groups(self, net: nn.Module, decay: float) -> list[dict[str, Any]]:
        """The weights of each layer with their own learning rate."""
        made: list[dict[str, Any]] = super().groups(net, decay)
        if not self.table.glorot:
            return made
        own = latent_weights(net)
        rated: list[dict[str, Any]] = [{"params": [w], "weight_decay": decay, "rate": glorot(w)} for w in own]
        left: list[Tensor] = [w for w in made[0]["params"] if not any(w is other for other in own)]
        return [*rated, *([{**made[0], "params": left}] if left else []), made[-1]]

    def start(self, net: nn.Module) -> None:
        """Weights uniform in -1...1, as in the authors' code."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.uniform_(-1, 1)

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:  # noqa: ARG002
        """Clip the latent weights to -1...1."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.clamp_(-1, 1)

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Deterministic."""
        return PassingQuantizer()


class BinaryConnectMethod(BinaryNetMethod[BinaryConnect]):
    """BinaryNet's rules with weights that may be drawn."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Deterministic or stochastic."""
        return PassingQuantizer(stochastic=self.table.stochastic)


def glorot(weight: Tensor) -> float:
    """sqrt((inputs + outputs) / 1.5) of weights (O, I, *kernel)."""
    pixels = math.prod(weight.shape[2:])
    return math.sqrt((weight.shape[0] + weight.shape[1]) * pixels / 1.5)
