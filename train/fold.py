# SPDX-License-Identifier: Apache-2.0
"""From a trained network to the one that the hardware computes: weights -1 and +1, nothing before a sign but a norm.

A method's scale a of a row of weights stands before a batch norm of mean m, deviation s, weight g and bias b:

    g (a x - m) / s + b = (g a) (x - m / a) / s + b

so it goes into mean and weight; its sign goes into the row. The shift of a sign goes into the bias before it. The last
layer's scale, one number, goes into :class:`TensorNorm`. All this is exact but for float rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.layers import BinaryActivation, BinaryConv2d, BinaryLinear, Network, TensorNorm
from adiabit.train.quantizers import BipolarQuantizer, sign


@torch.no_grad()
def folded(net: Network) -> Network:
    """The hardware's network, of the method `ste`, in eval mode; `ValueError` where a method has none."""
    if not net.method.foldable:
        raise ValueError(f"method {net.method.table.name!r}: {net.method.table.why_not}")
    made = Network(net.config, "ste", frame=net.frame, classes=net.classes).to(next(net.parameters()).device).eval()
    ours: list[Any] = [module for module in net if not isinstance(module, nn.Dropout)]
    theirs: list[Any] = list(made)
    scale: Tensor | None = None
    norm: Any = None
    for module, target in zip(ours, theirs, strict=True):
        if isinstance(module, BinaryLinear | BinaryConv2d):
            scale = _signs(module.quantizer, module.weight, target.weight)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            target.load_state_dict(module.state_dict())
            norm = target
            if scale is not None:
                _scale(norm, scale)
        elif isinstance(module, TensorNorm):
            target.load_state_dict(module.state_dict())
            if scale is not None:
                target.scale.mul_(scale.squeeze())
        elif isinstance(module, BinaryActivation) and (shift := module.quantizer.shift()) is not None:
            norm.bias.add_(shift)  # each activation of a method follows a norm
    return made


def _signs(quantizer: BipolarQuantizer, weight: Tensor, target: Tensor) -> Tensor | None:
    """Write the signs of weights (O, ...) into `target`; the positive scale that is left, (O,) or (1,)."""
    target.copy_(sign(quantizer.latent(weight)))
    scale = quantizer.factor(weight)
    if scale is None:
        return None
    target.mul_(sign(scale))
    return scale.abs().flatten()


def _scale(norm: Any, scale: Tensor) -> None:
    """Let a batch norm take up a scale >= 0 of its input; of 0, its output is a constant."""
    at_zero = norm.bias - norm.weight * norm.running_mean / (norm.running_var + norm.eps).sqrt()
    norm.bias.copy_(torch.where(scale == 0, at_zero, norm.bias))
    norm.weight.mul_(scale)
    norm.running_mean.div_(torch.where(scale == 0, 1.0, scale))
