# SPDX-License-Identifier: Apache-2.0
"""Straight-through estimation: y = sign(x), dy/dx taken to be 1(|x| <= 1), in weights and activations.

Bengio, Leonard & Courville, arXiv 1308.3432 (2013); the clip of Courbariaux et al., arXiv 1602.02830 (2016). Ours lets
decoupled weight decay, not a clip, hold the latent weights, so that all of them can still move.
"""

from __future__ import annotations

from adiabit.train.methods.base import Method
from adiabit.train.methods.tables import Ste


class SteMethod(Method[Ste]):
    """See the module; it is what :class:`Method` does."""
