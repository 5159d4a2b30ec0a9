# SPDX-License-Identifier: Apache-2.0
"""Layers of binary networks, to write a network with: `from adiabit import nn`.

A network is any `torch.nn.Module` of these; `docs/networks.md` has examples. Weights and activations are -1 and +1. The
recipe's `[train.method]` decides how they are trained: layers that are made without a quantizer get the method's when
training starts, and compute signs with straight-through gradients until then.
"""

from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    Concatenation,
    Mean,
    Pad,
    PixelSign,
    Residual,
    RisingNorm2d,
    RPReLU,
    Shift,
    Stream,
    TensorNorm,
)

__all__ = [
    "BinaryActivation", "BinaryConv2d", "BinaryLinear", "Concatenation", "Mean", "Pad", "PixelSign", "RPReLU",
    "Residual", "RisingNorm2d", "Shift", "Stream", "TensorNorm",
]  # fmt: skip
