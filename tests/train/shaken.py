# SPDX-License-Identifier: Apache-2.0
"""Networks whose norms, scales and shifts are not what they start with, for tests of what absorbs them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from adiabit.train.blocks import Shape
from adiabit.train.measure import reestimate
from adiabit.train.quantizers import hardened, quantizers
from adiabit.train.trainable import Trainable

T = TypeVar("T", bound=Trainable)


def shaken(net: T, frame: Shape) -> T:
    """The network itself, started by its method and in eval mode; draws from torch's generator."""
    net.method.start(net)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
        for quantizer in quantizers(net):
            for parameter in quantizer.parameters():
                parameter.normal_()
        with hardened(net):
            reestimate(net, torch.randint(0, 256, (200, *frame), dtype=torch.uint8), 1)
    return net.eval()
