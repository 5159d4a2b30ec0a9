# SPDX-License-Identifier: Apache-2.0
"""Bi-Real Net's gradients: a quadratic in place of sign, and weights whose gradient is scaled by their magnitude.

Liu et al., "Bi-Real Net", ECCV 2018, equations 5, 6 and 9, without its shortcuts.

    activations   y = sign(x); dy/dx taken to be 2 - 2|x| where |x| < 1, else 0
    weights       y = a * sign(w), a = mean|w| over a filter; dy/dw taken to be a * 1(|w| <= 1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class BiReal(MethodTable):
    """No keys."""

    name: Literal["bi-real"] = "bi-real"

    def build(self) -> Method[Any]:
        """Scaled weights, the quadratic's gradient for activations."""
        from adiabit.train.methods.bireal.rules import BiRealMethod

        return BiRealMethod(self)
