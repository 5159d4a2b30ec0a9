# SPDX-License-Identifier: Apache-2.0
"""BinaryConnect and BinaryNet: binary weights whose gradient goes to real ones, which are clipped to -1...1.

Courbariaux, Bengio & David, "BinaryConnect", NeurIPS 2015; Hubara, Courbariaux et al., "Binarized neural networks",
NeurIPS 2016.

    deterministic   w_b = sign(w)
    stochastic      w_b = +1 with probability clip((w + 1) / 2, 0, 1), else -1; drawn at each step
    backward        dL/dw = dL/dw_b
    update          w <- clip(w - rate * g * dL/dw, -1, 1), through Adam; g = sqrt((inputs + outputs) / 1.5)

g is the inverse of Glorot's coefficient, inputs and outputs counted with the kernel's pixels, as the authors' code has
it. BinaryConnect's activations are real. BinaryNet's are y = sign(x), dy/dx taken to be 1(|x| <= 1). A network that was
trained stochastically is measured with w_b = sign(w), as the hardware has it; the paper measured it with real weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method, T, latent_weights
from adiabit.train.methods.tables import BinaryConnect, BinaryNet
from adiabit.train.quantizers import BipolarQuantizer, passed, sign
from adiabit.train.schedules import Schedule


class PassingQuantizer(BipolarQuantizer):
    """y = sign(x), or drawn; dy/dx = 1."""

    def __init__(self, *, stochastic: bool = False) -> None:
        super().__init__("weight")
        self.stochastic = stochastic

    def quantize(self, x: Tensor) -> Tensor:
        """Drawn while training, where that is chosen and it is not `hard`."""
        if self.stochastic and self.training and not self.hard:
            drawn = torch.where(torch.rand_like(x) < ((x + 1) / 2).clamp(0, 1), 1.0, -1.0).to(x.dtype)
            return passed(x, drawn)
        return passed(x, sign(x))


class _ClippedMethod(Method[T]):
    """The update of both."""

    def groups(self, net: nn.Module, decay: float) -> list[dict[str, Any]]:
        """Each layer's weights with a learning rate of its own."""
        made = super().groups(net, decay)
        if not getattr(self.table, "glorot", False):
            return made
        own = [{"params": [w], "weight_decay": decay, "rate": glorot(w)} for w in latent_weights(net)]
        return [*own, made[-1]]

    def start(self, net: nn.Module) -> None:
        """Weights uniform in -1...1, as the authors' code has them."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.uniform_(-1, 1)

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:  # noqa: ARG002
        """Clip."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.clamp_(-1, 1)


class BinaryConnectMethod(_ClippedMethod[BinaryConnect]):
    """See the module."""

    binary_activations = False

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Deterministic or stochastic."""
        return PassingQuantizer(stochastic=self.table.stochastic)


class BinaryNetMethod(_ClippedMethod[BinaryNet]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Deterministic."""
        return PassingQuantizer()


def glorot(weight: Tensor) -> float:
    """sqrt((inputs + outputs) / 1.5) of weights (O, I, *kernel)."""
    pixels = math.prod(weight.shape[2:])
    return math.sqrt((weight.shape[0] + weight.shape[1]) * pixels / 1.5)
