# SPDX-License-Identifier: Apache-2.0
"""From a trained network to the one that the hardware computes: weights are -1 and +1, the rest is in the batch norms.

A method's scale a of a row of weights comes before a batch norm of mean m, deviation s, weight g and bias b:

    g (a x - m) / s + b = (g a) (x - m / a) / s + b

so mean and weight absorb its magnitude, and the row its sign. The bias absorbs the shift of the sign that follows. The
scale of the last layer is one number, which :class:`TensorNorm` absorbs. All this is exact but for float rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    IntegerQuantizer,
    RPReLU,
    Shift,
    TensorNorm,
)
from adiabit.train.network import Network
from adiabit.train.quantizers import BipolarQuantizer, sign


@torch.no_grad()
def absorb_scales(net: Network) -> Network:
    """The hardware's network, of the method `ste`, in eval mode; `ValueError` where the method has no hardware."""
    if not net.method.has_hardware:
        raise ValueError(f"method {net.method.table.name!r}: {net.method.table.why_not}")
    made = Network(net.config, "ste", frame=net.frame, classes=net.classes).to(next(net.parameters()).device).eval()
    scale: Tensor | None = None
    norm: Any = None
    for module, target in zip(_parts(net), _parts(made), strict=True):
        if isinstance(module, BinaryLinear | BinaryConv2d):
            scale = _copy_signs(module.quantizer, module.weight, target.weight)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            target.load_state_dict(module.state_dict())
            norm = target
            if scale is not None:
                _absorb_scale(norm, scale)
            scale = None
        elif isinstance(module, RPReLU):
            target.load_state_dict(module.state_dict())
        elif isinstance(module, Shift):
            target.load_state_dict(module.state_dict())
            norm = target
        elif isinstance(module, TensorNorm):
            target.load_state_dict(module.state_dict())
            if scale is not None:
                target.scale.mul_(scale.squeeze())
        elif isinstance(module, BinaryActivation) and (shift := module.quantizer.shift()) is not None:
            if isinstance(norm, Shift):  # every activation that has a shift follows a norm or a Shift
                norm.b.add_(shift.reshape(-1, 1, 1))
            else:
                norm.bias.add_(shift)
    return made


def _parts(net: Network) -> list[Any]:
    """The modules that have parameters or quantize, those of blocks included, in order."""
    kinds = BinaryActivation | BinaryConv2d | BinaryLinear | nn.BatchNorm1d | nn.BatchNorm2d
    return [m for m in net.modules() if isinstance(m, kinds | RPReLU | Shift | TensorNorm)]


def _copy_signs(quantizer: BipolarQuantizer | IntegerQuantizer, weight: Tensor, target: Tensor) -> Tensor | None:
    """Write the signs of weights (O, ...) into `target`; return the positive scale that is left, (O,) or (1,).

    Integers stay as they are.
    """
    if isinstance(quantizer, IntegerQuantizer):
        target.copy_(weight)
        return None
    target.copy_(sign(quantizer.latent(weight)))
    scale = quantizer.factor(weight)
    if scale is None:
        return None
    target.mul_(sign(scale))
    return scale.abs().flatten()


def _absorb_scale(norm: Any, scale: Tensor) -> None:
    """Multiply a batch norm's input by a scale >= 0; where it is 0, the output becomes a constant."""
    at_zero = norm.bias - norm.weight * norm.running_mean / (norm.running_var + norm.eps).sqrt()
    norm.bias.copy_(torch.where(scale == 0, at_zero, norm.bias))
    norm.weight.mul_(scale)
    norm.running_mean.div_(torch.where(scale == 0, 1.0, scale))
