# SPDX-License-Identifier: Apache-2.0
"""Quantizers to -1 and +1 with scale 1, as Brevitas `tensor_quant` modules: (y, scale, zero_point, bit_width).

The one `sign` of the project is here: sign(0) = sign(-0) = +1, which is what QONNX's BipolarQuant and the
hardware's `popcount >= threshold` compute (`torch.sign(0)` is 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from brevitas.inject import ExtendedInjector
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from adiabit.train.config import HARD

Role = Literal["weight", "activation"]
Quantized = tuple[Tensor, Tensor, Tensor, Tensor]


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; any shape, no gradient."""
    return (x >= 0).to(x.dtype).mul_(2).sub_(1)  # half the time of torch.where


class _SignTanhBackward(torch.autograd.Function):
    """Forward sign(x); backward k * (1 - tanh(k * x)**2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.k = k
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        slope: Tensor = ctx.k * (1 - torch.tanh(ctx.k * x).square())
        return grads[0] * slope, None


class _SignClippedBackward(torch.autograd.Function):
    """Forward sign(x); backward 1 where |x| <= 1, else 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        passes: Tensor = x.abs() <= 1
        return grads[0] * passes


class BipolarQuantizer(nn.Module):
    """What weights and activations share: the export contract, and `hard`, which makes the forward sign(x)."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role
        self.hard = False
        for name, value in (("scale", 1.0), ("zero_point", 0.0), ("bit_width", 1.0)):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def forward(self, x: Tensor) -> Quantized:
        """Quantize x of any shape; the other three are scalars."""
        return self.quantize(x), self.scale, self.zero_point, self.bit_width  # type: ignore[return-value]

    def quantize(self, x: Tensor) -> Tensor:
        """The value alone."""
        raise NotImplementedError


class AdiabaticQuantizer(BipolarQuantizer):
    """y = tanh(k * x) with its true derivative k * (1 - tanh(k * x)**2); y = sign(x) once k >= 1e3 or `hard`.

    Zhao & Xiao, Scientific Reports 11, 19797 (2021). While training, Gaussian noise of std `noise / k` joins x
    before the tanh, which lets the network feel the hard sign that is to come. A `hard` quantizer keeps the
    derivative of tanh(k * x) as its pseudo-gradient, the schedules' hard-forward variant.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(role)
        self.k = 1.0
        self.noise = 0.0

    def quantize(self, x: Tensor) -> Tensor:
        """tanh(k * x), or sign(x)."""
        if self.hard or self.k >= HARD:
            return _SignTanhBackward.apply(x, self.k)  # type: ignore[no-any-return]
        if self.noise and self.training:
            x = x + torch.randn_like(x) * (self.noise / self.k)
        return torch.tanh(self.k * x)


class STEQuantizer(BipolarQuantizer):
    """y = sign(x), pseudo-gradient 1(|x| <= 1): BinaryNet's straight-through estimator (Courbariaux et al., 2016)."""

    def quantize(self, x: Tensor) -> Tensor:
        """sign(x)."""
        return _SignClippedBackward.apply(x)  # type: ignore[no-any-return]


QUANTIZERS: dict[str, type[BipolarQuantizer]] = {"adiabatic": AdiabaticQuantizer, "ste": STEQuantizer}


class _Bipolar(ExtendedInjector):
    """What Brevitas' proxies ask of a quantizer besides its tensor_quant."""

    signed = True
    narrow_range = True
    rounding_mode = "ROUND"


def weight_quant(method: str) -> type[ExtendedInjector]:
    """The `weight_quant` of a Brevitas layer that is trained by `method`."""
    return _Bipolar.let(proxy_class=WeightQuantProxyFromInjector, tensor_quant=QUANTIZERS[method], role="weight")  # type: ignore[no-any-return]


def act_quant(method: str) -> type[ExtendedInjector]:
    """The `act_quant` of a Brevitas QuantIdentity that is trained by `method`."""
    return _Bipolar.let(proxy_class=ActQuantProxyFromInjector, tensor_quant=QUANTIZERS[method], role="activation")  # type: ignore[no-any-return]


def quantizers(net: nn.Module, role: Role | None = None) -> Iterator[BipolarQuantizer]:
    """The quantizers of a network in the order of its modules."""
    for module in net.modules():
        if isinstance(module, BipolarQuantizer) and role in (None, module.role):
            yield module


@contextmanager
def hardened(net: nn.Module) -> Iterator[None]:
    """Within the context every quantizer computes sign(x)."""
    before = [(q, q.hard) for q in quantizers(net)]
    for quantizer, _ in before:
        quantizer.hard = True
    try:
        yield
    finally:
        for quantizer, hard in before:
            quantizer.hard = hard
