# SPDX-License-Identifier: Apache-2.0
"""ReActNet's RSign and its two-step training.

Liu et al., "ReActNet", ECCV 2020, equations 1 and 3, without RPReLU and shortcuts; the two steps follow Martinez et
al., ICLR 2020.

    RSign     y = sign(x + b), b trainable, one number per channel, initially 0; dy/dx = dy/db taken to be
              2 - 2|x + b| or 0
    weights   step 1: real. Step 2, from the share `weights_from` of the epochs: a * sign(w), a = mean|w| over a
              filter, dy/dw taken to be a * 1(|w| <= 1)

In hardware b becomes part of the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.table import Share

if TYPE_CHECKING:
    from adiabit.train.method import Method


@METHODS.register
class ReActNet(MethodTable):
    """Activations with trainable thresholds; the weights turn binary in a second step."""

    learning_rate: ClassVar[float] = 1.25e-3

    name: Literal["reactnet"] = "reactnet"
    weights_from: Share = 0.5  # until then they are real

    def build(self) -> Method[Any]:
        """RSign and the two steps."""
        from adiabit.train.methods.reactnet.rules import ReActNetMethod

        return ReActNetMethod(self)
