# SPDX-License-Identifier: Apache-2.0
"""Bop, the binary optimizer: weights are -1 or +1 and flip; there are no latent weights.

Helwegen et al., "Latent weights do not exist", NeurIPS 2019, algorithm 1.

    m <- (1 - gamma) m + gamma g
    w <- -w where |m| > tau and sign(m) = sign(w)

g is the gradient of the loss with respect to the binary weight: where it keeps the sign of w, a flip lowers the loss.
tau is 1e-8, gamma 1e-4, times 0.1 every 100 epochs. Adam trains everything else. Activations are y = sign(x), dy/dx
taken to be 1(|x| <= 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Count, Factor

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class Bop(MethodTable):
    """Weights that flip."""

    name: Literal["bop"] = "bop"
    threshold: Factor = 1e-8  # tau
    gamma: Annotated[float, Field(gt=0, le=1)] = 1e-4  # adaptivity rate
    gamma_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    gamma_every: Count = 100  # epochs from one decay to the next

    def build(self) -> Method[Any]:
        """Bop for the weights, AdamW for the rest."""
        from adiabit.train.methods.bop.rules import BopMethod

        return BopMethod(self)
