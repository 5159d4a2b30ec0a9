# SPDX-License-Identifier: Apache-2.0
"""From a trained network to the one that the hardware computes: weights are -1 and +1, the rest is in the batch norms.

A method's scale a of a row of weights comes before a batch norm of mean m, deviation s, weight g and bias b:

    g (a x - m) / s + b = (g a) (x - m / a) / s + b

so mean and weight absorb its magnitude, and the row its sign. The bias absorbs the shift of the sign that follows. The
scale of the last layer is one number, which :class:`TensorNorm` absorbs. All this is exact but for float rounding.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adiabit.train.absorbers import Norm, absorber, shifter
from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    RPReLU,
    Shift,
    TensorNorm,
    WeightQuantizer,
)
from adiabit.train.quantizers import BipolarQuantizer, sign
from adiabit.train.trainable import Trainable

Product = BinaryLinear | BinaryConv2d
Net = TypeVar("Net", bound=Trainable)


@torch.no_grad()
def absorb_scales(net: Net) -> Net:
    """The hardware's network, in eval mode; `ValueError` where it has no hardware.

    Only layers of ours are changed, and the norms that read them alone or are read by them alone.
    """
    if net.why_not:
        raise ValueError(f"method {net.method.table.name!r}: {net.why_not}")
    made = net.hardware().to(next(net.parameters()).device).eval()
    wiring, targets = net.wiring(), dict(zip(_parts(net), _parts(made), strict=True))
    for module, target in targets.items():
        if not isinstance(module, Product | BinaryActivation):
            target.load_state_dict(module.state_dict())
    for module, target in targets.items():
        if isinstance(module, Product):
            scale = _copy_signs(module.quantizer, module.weight, target.weight)
            norm = absorber(wiring, module)
            if scale is not None and isinstance(norm, Norm):
                _absorb_scale(targets[norm], scale)
            elif scale is not None and isinstance(norm, TensorNorm):
                targets[norm].scale.mul_(scale.squeeze())
        elif isinstance(module, BinaryActivation):
            shift, norm = _shift(module), shifter(wiring, module)
            if shift is not None and norm is not None:  # `bound` has refused a shift that nothing absorbs
                _absorb_shift(targets[norm], shift)
    return made


def _parts(net: nn.Module) -> list[Any]:
    """The modules that have parameters or quantize, those of blocks included, in order."""
    return [m for m in net.modules() if isinstance(m, Product | Norm | BinaryActivation | RPReLU | Shift | TensorNorm)]


def _shift(module: BinaryActivation) -> Tensor | None:
    quantizer = module.quantizer
    return quantizer.shift() if isinstance(quantizer, BipolarQuantizer) else None


def _absorb_shift(norm: Any, shift: Tensor) -> None:
    if isinstance(norm, Shift):
        norm.b.add_(shift.reshape(-1, 1, 1))
    else:
        norm.bias.add_(shift)


def _copy_signs(quantizer: WeightQuantizer, weight: Tensor, target: Tensor) -> Tensor | None:
    """Write the signs of weights (O, ...) into `target`; return the positive scale that is left, (O,) or (1,).

    Integers stay as they are.
    """
    if not isinstance(quantizer, BipolarQuantizer):
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
