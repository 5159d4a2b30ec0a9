# SPDX-License-Identifier: Apache-2.0
"""Bop, the binary optimizer: weights are -1 or +1 and flip; there are no latent ones.

Helwegen et al., "Latent weights do not exist", NeurIPS 2019, algorithm 1.

    m <- (1 - gamma) m + gamma g
    w <- -w where |m| > tau and sign(m) = sign(w)

g is the gradient of the loss by the binary weight: where it keeps its sign and that is w's, a flip lowers the loss. tau
is 1e-8, gamma 1e-4, times 0.1 every 100 epochs. All else is learnt with Adam. Activations are y = sign(x), dy/dx taken
to be 1(|x| <= 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.methods.base import Method, latent_weights
from adiabit.train.methods.binaryconnect import PassingQuantizer
from adiabit.train.methods.tables import Bop
from adiabit.train.quantizers import BipolarQuantizer, sign


class BopOptimizer(torch.optim.AdamW):
    """Flips the parameters of groups with `gamma` and `threshold`; the others are AdamW's."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; parameters that flip are hidden from AdamW."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        hidden: list[tuple[nn.Parameter, Tensor | None]] = []
        for group in self.param_groups:
            for parameter in group["params"] if group["gamma"] else []:
                if parameter.grad is not None:
                    self._flip(parameter, group["gamma"], group["threshold"])
                hidden.append((parameter, parameter.grad))
                parameter.grad = None
        super().step()
        for parameter, gradient in hidden:
            parameter.grad = gradient
        return loss

    def _flip(self, weight: nn.Parameter, gamma: float, threshold: float) -> None:
        state, gradient = self.state[weight], weight.grad
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
            state["step"] = torch.zeros(())  # AdamW asks all states for theirs when they are loaded
        momentum = state["momentum"].mul_(1 - gamma).add_(gradient, alpha=gamma)
        flips = (momentum.abs() > threshold) & (sign(momentum) == sign(weight))
        weight.copy_(torch.where(flips, -weight, weight))


class BopMethod(Method[Bop]):
    """See the module."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """The weight itself."""
        return PassingQuantizer()

    def start(self, net: nn.Module) -> None:
        """Weights to -1 or +1."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.copy_(sign(weight))

    def optimizer(self, net: nn.Module, kind: str, rate: float, decay: float) -> torch.optim.Optimizer:  # noqa: ARG002
        """Bop for the weights; decay would mean nothing to them, and `kind` is AdamW for the rest."""
        weights, others = self.groups(net, 0.0)
        bop = {"gamma": self.table.gamma, "threshold": self.table.threshold}
        none = {"gamma": 0.0, "threshold": 0.0}
        return BopOptimizer([{**weights, **bop}, {**others, **none}], lr=rate)

    def before_step(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Gamma decays with the epochs."""
        table = self.table
        optimizer.param_groups[0]["gamma"] = table.gamma * table.gamma_decay ** (epoch // table.gamma_every)
