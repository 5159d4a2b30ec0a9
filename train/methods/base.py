# SPDX-License-Identifier: Apache-2.0
"""What a method decides; where it says nothing, that of :class:`Method` holds."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from adiabit.train.methods.tables import MethodTable
from adiabit.train.quantizers import BipolarQuantizer, SignQuantizer
from adiabit.train.schedules import Schedule

T = TypeVar("T", bound=MethodTable)


class Method(Generic[T]):
    """Sign with a clipped pass-through gradient in weights and activations, AdamW on latent weights."""

    binary_weights = True
    binary_activations = True
    locks = False  # whether weights are learnt no more at some time, so that DDP has to look for them

    def __init__(self, table: T) -> None:
        self.table = table

    @property
    def binary(self) -> bool:
        """Whether anything of its networks is binary, so that soft and hard differ."""
        return self.binary_weights or self.binary_activations

    @property
    def foldable(self) -> bool:
        """Whether its networks become XNOR, popcount and threshold."""
        return not self.table.why_not

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """A new quantizer of weights (outputs, ...); `outputs` is 1 in the last layer: one scale must serve all."""
        return SignQuantizer("weight")

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """A new quantizer of activations (B, channels, ...)."""
        return SignQuantizer("activation")

    def schedule(self) -> Schedule:
        """What changes with time."""
        return Schedule()

    def start(self, net: nn.Module) -> None:
        """Once, when the weights have their initial values."""

    def penalty(self, net: nn.Module) -> Tensor | None:  # noqa: ARG002
        """What joins the loss; None where nothing does."""
        return None

    def groups(self, net: nn.Module, decay: float) -> list[dict[str, Any]]:
        """Parameters for the optimizer, weight decay to the weights alone; `rate` multiplies the learning rate."""
        weights = [p for p in net.parameters() if p.ndim > 1]
        others = [p for p in net.parameters() if p.ndim <= 1]
        return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]

    def optimizer(self, net: nn.Module, kind: str, rate: float, decay: float) -> torch.optim.Optimizer:
        """Of the learning rate and decay that the recipe gives."""
        groups = self.groups(net, decay)
        if kind == "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=0.9)
        return torch.optim.AdamW(groups, lr=rate, fused=True)

    def before_step(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Before each step, what of the optimizer changes with the epochs besides the learning rate."""

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:
        """After each step of the optimizer, whose learning rate was `rate`."""


def latent_weights(net: nn.Module) -> list[Tensor]:
    """The weights of a network's products, in the order of its modules."""
    return [m.weight for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]


def by_row(values: Tensor, weight: Tensor) -> Tensor:
    """Values (O,) or (1,) in the shape in which they multiply weights (O, ...)."""
    return values.view(-1, *[1] * (weight.ndim - 1))
