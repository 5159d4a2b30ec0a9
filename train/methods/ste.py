# SPDX-License-Identifier: Apache-2.0
"""Straight-through estimation: y = sign(x), dy/dx taken to be 1(|x| <= 1), for weights and activations.

Bengio, Leonard & Courville, arXiv 1308.3432 (2013); the clipped gradient of Courbariaux et al., arXiv 1602.02830
(2016). Ours bounds the latent weights by decoupled weight decay instead of clipping them, so that all can still move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class Ste(MethodTable):
    """No keys."""

    weight_decay: ClassVar[float] = 1.0

    name: Literal["ste"] = "ste"

    def build(self) -> Method[Any]:
        """The default of every rule."""
        from adiabit.train.method import Method

        return Method(self)
