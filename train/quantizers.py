# SPDX-License-Identifier: Apache-2.0
"""Quantizers to -1 and +1 as Brevitas `tensor_quant` modules, which return (y, scale, zero_point, bit_width).

The project's one `sign` is here: sign(0) = sign(-0) = +1, as QONNX's BipolarQuant and the hardware's `popcount >=
threshold` compute it (`torch.sign(0)` is 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from brevitas.inject import ExtendedInjector
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from adiabit.train.schedule import Settings

Role = Literal["weight", "activation", "input"]
Quantized = tuple[Tensor, Tensor, Tensor, Tensor]
Function = Callable[[Tensor], Tensor]  # elementwise; returns a new tensor of the same type


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; any shape, no gradient."""
    with torch.no_grad():
        return torch.ge(x, 0, out=torch.empty_like(x)).mul_(2).sub_(1)  # takes a tenth of the time of torch.where


class _SignWithSlope(torch.autograd.Function):
    """Forward sign(x); backward slope(x) in place of sign's derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Function) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return ctx.slope(x).mul_(grads[0]), None


class _SoftSign(torch.autograd.Function):
    """tanh(k * x) as 2 s - 1, s the logistic function of 2 k x: on a CPU, in a third of the time of torch's tanh."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: float) -> Tensor:
        y = (x * (2 * k)).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(y)
        ctx.k = k
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return (y * y).sub_(1).mul_(-ctx.k).mul_(grads[0]), None


class _Passed(torch.autograd.Function):
    """Forward `value`; backward 1, to x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:  # noqa: ARG004
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grads[0], None


def sign_with_slope(x: Tensor, slope: Function) -> Tensor:
    """sign(x), whose derivative is taken to be slope(x)."""
    return _SignWithSlope.apply(x, slope)  # type: ignore[no-any-return]


def soft_sign(x: Tensor, k: float) -> Tensor:
    """tanh(k * x), with its true derivative k * (1 - tanh(k * x)**2)."""
    return _SoftSign.apply(x, k)  # type: ignore[no-any-return]


def passed(x: Tensor, value: Tensor) -> Tensor:
    """`value`, computed from x without a gradient; its derivative with respect to x is taken to be 1."""
    return _Passed.apply(x, value)  # type: ignore[no-any-return]


def clipped(x: Tensor) -> Tensor:
    """1(|x| <= 1): the derivative of the hard tanh (Courbariaux et al., 2016)."""
    return x.abs().le_(1)


def tanh_slope(k: float) -> Function:
    """The derivative of tanh(k * x), k * (1 - tanh(k * x)**2), as 4 k s (1 - s), s the logistic function of -2 k |x|.

    On a CPU, torch's tanh takes six times as long as its sigmoid.
    """

    def slope(x: Tensor) -> Tensor:
        s = x.abs().mul_(-2 * k).sigmoid_()
        return torch.addcmul(s, s, s, value=-1).mul_(4 * k)

    return slope


def tanh(k: float) -> Function:
    """What soft_sign(x, k) computes, as a function of x."""

    def value(x: Tensor) -> Tensor:
        return (x * k).tanh_()

    return value


@dataclass(frozen=True)
class Pointwise:
    """A quantizer of activations as fused steps compute it: a function of each number.

    It is value(z + noise * n), z = latent(x) and n standard normal, and sign(z + noise * n) for a share `hard_share` of
    the numbers, drawn anew at each step; `slope` is taken for the derivative of both.
    """

    slope: Function
    value: Function | None = None  # None is sign
    noise: float = 0.0
    hard_share: float = 0.0


class BipolarQuantizer(nn.Module):
    """The base of all quantizers: the export contract, and `hard`, which makes the forward pass binary.

    The value is factor(x) * sign(latent(x)), of which the hardware has only the sign: the batch norm absorbs the
    factors of rows of weights, of either sign, and the shifts in `latent` of activations (`train/absorb.py`).
    Activations need `slope` and maybe `latent`; all that differs otherwise is in `quantize`.
    """

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
        slope = self.slope()
        if slope is None:
            raise NotImplementedError
        return sign_with_slope(self.latent(x), slope)

    def slope(self) -> Function | None:
        """What is taken for the derivative of sign at latent(x); None where the value now is not sign(latent(x))."""
        return None

    def pointwise(self) -> Pointwise | None:
        """What `quantize` computes now of each number of latent(x); None where it is not a function of one number."""
        slope = self.slope()
        return None if slope is None else Pointwise(slope)

    def latent(self, x: Tensor) -> Tensor:
        """The argument of sign; for activations (B, C, ...), x plus a constant or one per channel."""
        return x

    def factor(self, x: Tensor) -> Tensor | None:  # noqa: ARG002
        """For weights (O, ...): the factor of the sign, (O, 1, ...) or a scalar; None where it is 1."""
        return None

    def shift(self) -> Tensor | None:
        """For activations: latent(x) - x, (C,) or a scalar; None where it is 0."""
        return None


class SignQuantizer(BipolarQuantizer):
    """y = sign(x), pseudo-gradient 1(|x| <= 1)."""

    def slope(self) -> Function:
        """1(|x| <= 1)."""
        return clipped


class RealQuantizer(nn.Module):
    """What a method leaves real: y = x, or an activation of x."""

    def __init__(self, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.activation = activation or nn.Identity()
        for name, value in (("scale", 1.0), ("zero_point", 0.0), ("bit_width", 32.0)):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def forward(self, x: Tensor) -> Quantized:
        """y of any shape; the other three are scalars."""
        return self.quantize(x), self.scale, self.zero_point, self.bit_width  # type: ignore[return-value]

    def quantize(self, x: Tensor) -> Tensor:
        """The value alone."""
        return self.activation(x)  # type: ignore[no-any-return]


class _Signed(ExtendedInjector):
    """What Brevitas' proxies ask of a quantizer besides its tensor_quant."""

    signed = True
    narrow_range = True
    float_to_int_impl_type = "ROUND"


def weight_quant(quantizer: nn.Module) -> type[ExtendedInjector]:
    """The `weight_quant` of a Brevitas layer."""
    return _Signed.let(proxy_class=WeightQuantProxyFromInjector, tensor_quant=quantizer)  # type: ignore[no-any-return]


def act_quant(quantizer: nn.Module, *, narrow: bool = True) -> type[ExtendedInjector]:
    """The `act_quant` of a Brevitas QuantIdentity; a narrow range lacks the lowest integer."""
    return _Signed.let(proxy_class=ActQuantProxyFromInjector, tensor_quant=quantizer, narrow_range=narrow)  # type: ignore[no-any-return]


def quantizers(net: nn.Module, role: Role | None = None) -> Iterator[BipolarQuantizer]:
    """The quantizers of a network in the order of its modules."""
    for module in net.modules():
        if isinstance(module, BipolarQuantizer) and role in (None, module.role):
            yield module


def set_quantizers(net: nn.Module, settings: Settings) -> None:
    """Give every quantizer of a network the attributes of its role."""
    for quantizer in quantizers(net):
        for name, value in settings.get(quantizer.role, {}).items():
            setattr(quantizer, name, value)


@contextmanager
def hardened(net: nn.Module) -> Iterator[None]:
    """Within the context every quantizer is hard."""
    before = [(q, q.hard) for q in quantizers(net)]
    for quantizer, _ in before:
        quantizer.hard = True
    try:
        yield
    finally:
        for quantizer, hard in before:
            quantizer.hard = hard
