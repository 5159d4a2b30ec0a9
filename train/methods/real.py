# SPDX-License-Identifier: Apache-2.0
"""The real-valued twin: the same topology with real weights and ReLU or tanh, the yardstick of binary networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class Real(MethodTable):
    """No keys: nothing is binary."""

    learning_rate: ClassVar[float] = 0.001
    weight_decay: ClassVar[float] = 0.01
    why_not: ClassVar[str] = "its weights and activations are real"

    name: Literal["real"] = "real"

    def build(self) -> Method[Any]:
        """A method without quantizers."""
        from adiabit.train.method import Method

        return Method(self, binary_weights=False, binary_activations=False)
