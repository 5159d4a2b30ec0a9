# SPDX-License-Identifier: Apache-2.0
"""The adiabatic method: y = tanh(k * x) with its true derivative, where k grows until tanh is sign.

Zhao & Xiao, Scientific Reports 11, 19797 (2021), for weights and activations:

    forward   y = tanh(k * x); y = sign(x) once k >= 1e3
    backward  dy/dx = k * (1 - y**2), the true derivative

The table's `schedule` says how k grows. Two things are ours: noise before the tanh, and a hard forward pass that keeps
tanh's derivative (:class:`Budget`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Count, Factor, Growth, Power, Share, Slope, Table

if TYPE_CHECKING:
    from adiabit.train.method import Method


class Budget(Table):
    """k as a function of the share of the epochs that is done: the anneal fits any number of epochs.

    Activations: k grows geometrically from `activations[0]` to `activations[1]` until `activations_until`, with
    Gaussian noise of standard deviation `noise / k` before the tanh. From then on the forward pass is sign and the
    backward pass k * (1 - tanh(k * x)**2) with k = `backward`.

    `one_by_one`: until `activations_until`, each activation is sign already with a probability that grows linearly from
    0 to 1, drawn anew at each step, in training alone. Hard and soft values have the derivative of tanh(k * x). Random
    parts of a network that are quantized: Fan et al., arXiv 2004.07320 (2020).

    Weights: k grows geometrically through `weights` between the shares `weights_from` and `weights_until`. From then on
    the forward pass is sign too, and `weights_backward` is the k of the backward pass. `weights_backward = false` keeps
    the true gradient throughout; the last k should then be large.

    The default is a short anneal of both; benchmarks/methods.md compares it with others.
    """

    kind: Literal["budget"] = "budget"
    activations: tuple[Slope, Slope] = (1.0, 2.0)
    activations_until: Share = 0.05
    backward: Slope = 1.6
    noise: Factor = 1.0
    one_by_one: bool = False
    weights: tuple[Slope, Slope] = (1.0, 20.0)
    weights_from: Share = 0.0
    weights_until: Share = 0.05
    weights_backward: Slope | Literal[False] = 1.0

    @field_validator("weights_backward", mode="before")
    @classmethod
    def _earlier_versions_wrote_null(cls, value: object) -> object:
        return False if value is None else value

    @model_validator(mode="after")
    def _weights_end_after_they_begin(self) -> Self:
        if self.weights_from >= self.weights_until:
            raise ValueError("weights_from must be less than weights_until")
        return self


class Target(Table):
    """Schedule A of Zhao & Xiao (2021): push k while a target accuracy holds.

    While the soft validation accuracy is at or above `target`, k is multiplied by `factor`, at most `pushes` times in a
    row, for weights and activations in turn. After `patience` epochs below it, the target becomes the best accuracy
    seen at this k, and k is pushed. A push zeroes the optimizer's state. The learning rate is lr0 / (k / k_base)**power
    with the larger k of the two. Ends when both exceed 1e3.
    """

    kind: Literal["target"] = "target"
    target: Share = 1.0
    k: Slope = 1.0
    factor: Growth = 1.5
    pushes: Count = 3
    patience: Count = 3
    k_base: Slope = 1.0
    power: Power = 0.5


class Patience(Table):
    """Schedule B of Zhao & Xiao (2021; its ResNet-20): push k after `patience` epochs without a better hard accuracy.

    Ends after `stale` epochs without a better hard accuracy, or when both k exceed 1e3.
    """

    kind: Literal["patience"] = "patience"
    k: Slope = 1.0
    factor: Growth = 1.5
    patience: Count = 15
    stale: Count = 45
    k_base: Slope = 1.0
    power: Power = 0.5


@METHODS.register
class Adiabatic(MethodTable):
    """tanh(k * x) with a schedule for k."""

    weight_decay: ClassVar[float] = 1.0  # keeps the latent weights movable

    name: Literal["adiabatic"] = "adiabatic"
    schedule: Annotated[Budget | Target | Patience, Field(discriminator="kind")] = Budget()

    @model_validator(mode="before")
    @classmethod
    def _a_schedule_is_a_budget_by_default(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("schedule"), dict):
            return {**table, "schedule": {"kind": "budget", **table["schedule"]}}
        return table

    def build(self) -> Method[Any]:
        """tanh for weights and activations."""
        from adiabit.train.methods.adiabatic.rules import AdiabaticMethod

        return AdiabaticMethod(self)
