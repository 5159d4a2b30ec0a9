# SPDX-License-Identifier: Apache-2.0
"""The real-valued twin: the same topology with real weights and ReLU or tanh, what a binary network is measured by."""

from __future__ import annotations

from adiabit.train.methods.base import Method
from adiabit.train.methods.tables import Real


class RealMethod(Method[Real]):
    """See the module."""

    binary_weights = False
    binary_activations = False
