# SPDX-License-Identifier: Apache-2.0
"""BNEW: a negative weight decay pushes real weights outwards, to -1 and +1, where they are clipped.

The poster's rule, after each step w' = w - rate * g of the optimizer:

    w <- clip((1 + 2 lambda rate) w', -1, 1)

Four stages, as shares of the epochs: only the activations are binary, lambda = 0, until `push_from`; lambda grows
linearly to `strength` (1e-4) until `lock`; there the weights are projected to sign(w) and stay; what is real trains on.
Activations are y = sign(x), dy/dx taken to be 1(|x| <= 1), from the start. Adam, 0.01.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Factor, Share

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class Bnew(MethodTable):
    """Weights are pushed outwards until they are binary."""

    name: Literal["bnew"] = "bnew"
    strength: Factor = 1e-4  # lambda at its largest
    push_from: Share = 0.2  # until then only the activations are binary
    lock: Share = 0.98  # weights are projected; the rest trains on

    @model_validator(mode="after")
    def _lock_comes_last(self) -> Self:
        if self.push_from >= self.lock:
            raise ValueError("push_from must be less than lock")
        return self

    def build(self) -> Method[Any]:
        """Real weights until they are locked."""
        from adiabit.train.methods.bnew.rules import BnewMethod

        return BnewMethod(self)
