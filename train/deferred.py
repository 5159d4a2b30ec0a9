# SPDX-License-Identifier: Apache-2.0
"""A batch norm's output that is not computed yet, because the quantizer behind it may be computed with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from adiabit.train.kernels.functions import known_norm_quantize, norm_quantize, takes
from adiabit.train.quantizers import BipolarQuantizer, RealQuantizer


class Deferred:
    """norm(x), or norm(x) + shortcut; `own` is the norm's own forward pass."""

    def __init__(self, x: Tensor, norm: Any, own: Callable[[Tensor], Tensor], shortcut: Tensor | None = None) -> None:
        self.x, self.norm, self.own, self.shortcut = x, norm, own, shortcut
        self.known: Tensor | None = None

    def value(self) -> Tensor:
        """The tensor."""
        if self.known is None:
            normed = self.own(self.x)
            self.known = normed if self.shortcut is None else normed + self.shortcut
        return self.known

    def quantize(self, quantizer: BipolarQuantizer | RealQuantizer, pad: tuple[int, int] = (0, 0)) -> Tensor:
        """What a quantizer makes of it, maybe as the inside of a tensor that is padded with -1."""
        norm, pointwise = self.norm, quantizer.pointwise() if isinstance(quantizer, BipolarQuantizer) else None
        if isinstance(quantizer, RealQuantizer) or pointwise is None or self.known is not None:
            return quantizer.quantize(self.value())
        bias = quantizer.latent(norm.bias[None])[0]
        if not norm.training:
            return known_norm_quantize(
                self.x, norm.weight, bias, self.shortcut, pointwise, norm.running_mean, norm.running_var, norm.eps, pad
            )
        y, mean, var = norm_quantize(self.x, norm.weight, bias, self.shortcut, pointwise, norm.eps, pad)
        _update(norm, mean, var, self.x.numel() // len(mean))
        return y

    def __add__(self, other: Any) -> Any:
        """A sum that waits, too, if the other one is a tensor of the same shape."""
        other = other.value() if isinstance(other, Deferred) else other
        if self.shortcut is None and self.known is None and takes(other) and other.shape == self.x.shape:
            return Deferred(self.x, self.norm, self.own, other)
        return self.value() + other

    __radd__ = __add__

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Sums wait, all other functions of torch compute it."""
        if func in (torch.add, Tensor.add, Tensor.__add__) and len(args) == 2 and not kwargs:
            first, second = args
            return first + second if isinstance(first, cls) else second + first
        given, named = ([_computed(v) for v in args], {key: _computed(v) for key, v in (kwargs or {}).items()})
        return func(*given, **named)


def _computed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_computed(item) for item in value)
    return value.value() if isinstance(value, Deferred) else value


@torch.no_grad()
def _update(norm: Any, mean: Tensor, var: Tensor, count: int) -> None:
    """Update the running statistics as the norm itself would, with the unbiased variance."""
    norm.num_batches_tracked += 1
    share = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var * (count / max(1, count - 1)), share)
