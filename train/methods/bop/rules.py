# SPDX-License-Identifier: Apache-2.0
"""Bop's optimizer; the package has the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.method import Method, latent_weights
from adiabit.train.methods.binaryconnect.rules import PassingQuantizer
from adiabit.train.methods.bop import Bop
from adiabit.train.quantizers import BipolarQuantizer, sign


class BopOptimizer(torch.optim.AdamW):
    """Bop for groups with `gamma` > 0, AdamW for the others."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; AdamW does not see the parameters that flip."""
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
            state["step"] = torch.zeros(())  # AdamW expects one in each state that it loads
        momentum = state["momentum"].mul_(1 - gamma).add_(gradient, alpha=gamma)
        flips = (momentum.abs() > threshold) & (sign(momentum) == sign(weight))
        weight.copy_(torch.where(flips, -weight, weight))


class BopMethod(Method[Bop]):
    """Bop for the weights, AdamW for everything else."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """The weight itself."""
        return PassingQuantizer()

    def start(self, net: nn.Module) -> None:
        """Set the weights to -1 or +1."""
        with torch.no_grad():
            for weight in latent_weights(net):
                weight.copy_(sign(weight))

    def optimizer(self, net: nn.Module, kind: str, rate: float, decay: float) -> torch.optim.Optimizer:  # noqa: ARG002
        """Bop for the weights, where decay has no meaning; AdamW for the rest, whatever `kind` is."""
        own = latent_weights(net)
        others = [p for p in net.parameters() if not any(p is weight for weight in own)]
        bop = {"params": own, "weight_decay": 0.0, "gamma": self.table.gamma, "threshold": self.table.threshold}
        return BopOptimizer([bop, {"params": others, "weight_decay": 0.0, "gamma": 0.0, "threshold": 0.0}], lr=rate)

    def before_step(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Decay gamma with the epochs."""
        table = self.table
        optimizer.param_groups[0]["gamma"] = table.gamma * table.gamma_decay ** (epoch // table.gamma_every)
