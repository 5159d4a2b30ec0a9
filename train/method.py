# SPDX-License-Identifier: Apache-2.0
"""The rules of a method of training: quantizers, schedule, penalty, optimizer, and what follows a step."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.quantizers import BipolarQuantizer, SignQuantizer
from adiabit.train.schedule import Schedule

T = TypeVar("T", bound=MethodTable)


class Method(Generic[T]):
    """Straight-through estimation of weights and activations, AdamW on latent weights; methods override parts of it."""

    locks = False  # whether weights stop training at some point, so that DDP has to look for unused parameters

    def __init__(self, table: T, *, binary_weights: bool = True, binary_activations: bool = True) -> None:
        self.table, self.binary_weights, self.binary_activations = table, binary_weights, binary_activations

    @property
    def binary(self) -> bool:
        """Whether any part of the network is binary, so that soft and hard differ."""
        return self.binary_weights or self.binary_activations

    @property
    def has_hardware(self) -> bool:
        """Whether its networks become XNOR, popcount and threshold."""
        return not self.table.why_not

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """A new quantizer for weights (outputs, ...); `outputs` is 1 in the last layer, which has one scale for all."""
        return SignQuantizer("weight")

    def activation(self, channels: int) -> BipolarQuantizer:  # noqa: ARG002
        """A new quantizer for activations (B, channels, ...)."""
        return SignQuantizer("activation")

    def schedule(self) -> Schedule:
        """A new schedule of what changes over time."""
        return Schedule()

    def start(self, net: nn.Module) -> None:
        """Called once, when the weights have their initial values."""

    def penalty(self, net: nn.Module) -> Tensor | None:  # noqa: ARG002
        """A term to add to the loss, or None."""
        return None

    def groups(self, net: nn.Module, decay: float) -> list[dict[str, Any]]:
        """Parameter groups with weight decay for the weights alone; a group's `rate` multiplies the learning rate."""
        weights = [p for p in net.parameters() if p.ndim > 1]
        others = [p for p in net.parameters() if p.ndim <= 1]
        return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]

    def optimizer(self, net: nn.Module, kind: str, rate: float, decay: float) -> torch.optim.Optimizer:
        """AdamW or SGD with the recipe's learning rate and weight decay."""
        groups = self.groups(net, decay)
        if kind == "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=0.9)
        return torch.optim.AdamW(groups, lr=rate, fused=True)

    def before_step(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Called before each step: set what else of the optimizer changes with the epochs."""

    def after_step(self, net: nn.Module, rate: float, schedule: Schedule) -> None:
        """Called after each step of the optimizer, whose learning rate was `rate`."""


def method(table: str | MethodTable) -> Method[Any]:
    """The method of a table, or of a name with its defaults; `ValidationError` for an unknown name."""
    return METHODS.validate(table).build()


def latent_weights(net: nn.Module) -> list[Tensor]:
    """The weights of our own layers, in the order of the modules; those of others are not a method's to change."""
    return [m.weight for m in net.modules() if isinstance(m, BinaryLinear | BinaryConv2d)]


def by_row(values: Tensor, weight: Tensor) -> Tensor:
    """Values (O,) or (1,), reshaped to multiply weights (O, ...) row by row."""
    return values.view(-1, *[1] * (weight.ndim - 1))
