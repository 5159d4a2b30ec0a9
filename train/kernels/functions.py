# SPDX-License-Identifier: Apache-2.0
"""The kernels as differentiable functions of tensors in bfloat16, channels last: (B, C, H, W), or (N, C)."""

from __future__ import annotations

import ctypes
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.kernels import library
from adiabit.train.quantizers import Slope

FEW = 36  # output pixels: of more, torch's own gradient of the weights is as fast
KEPT = 16  # tables of slopes
NARROW = 64  # channels: of fewer, several pixels are treated as one

_TABLES: dict[Any, Tensor] = {}


def takes(x: Any) -> bool:
    """Whether the kernels take a tensor, and exist."""
    if not isinstance(x, Tensor) or x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.ndim not in (2, 4):
        return False
    return _last(x).is_contiguous() and x.numel() > 0 and library() is not None


def norm_sign(
    x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, slope: Slope, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """sign(norm(x) + shortcut) by the batch's own statistics; also mean and biased variance, (C,) float32.

    The derivative of sign is taken to be slope(norm(x) + shortcut). `weight` and `bias` are (C,), `shortcut` has x's
    shape.
    """
    return _NormSign.apply(x, weight, bias, shortcut, slope, eps)  # type: ignore[no-any-return]


def affine_sign(x: Tensor, scale: Tensor, shift: Tensor, shortcut: Tensor | None) -> Tensor:
    """sign(x * scale + shift + shortcut), scale and shift (C,), without a gradient."""
    channels, (pixels, together), y = x.shape[1], _rows(x), torch.empty_like(x)
    each = [_repeated(v.detach().float(), together) for v in (scale, shift)]
    _call("norm_sign", x, shortcut, *each, pixels, together * channels, y)
    return y


def convolution(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """torch's convolution without groups and bias, with a faster gradient of the weights where images are small."""
    return _Convolution.apply(x, weight.to(x.dtype), stride, padding, dilation)  # type: ignore[no-any-return]


def max_pool(x: Tensor, window: tuple[int, int]) -> Tensor:
    """The maxima of windows side by side of images (B, C, H, W); what is left at the borders is dropped."""
    return _MaxPool.apply(x, window)  # type: ignore[no-any-return]


class _NormSign(torch.autograd.Function):
    """Saves x alone: what the backward pass needs besides is computed again."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, slope: Slope, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels, (pixels, together) = x.shape[1], _rows(x)
        moments = torch.empty(2, together * channels, dtype=torch.float64)
        _call("moments", x, pixels, together * channels, moments)
        count = x.numel() // channels
        mean, square = moments.view(2, together, channels).sum(1) / count
        var = (square - mean * mean).clamp_(min=0)
        inverse = (var + eps).rsqrt_()
        scale = weight.double() * inverse
        a, b = scale.float(), (bias.double() - mean * scale).float()
        mean_, var_ = mean.float(), var.float()
        y = affine_sign(x, a, b, shortcut)
        ctx.save_for_backward(x, shortcut, a, b, mean_, inverse.float())
        ctx.slope = slope
        ctx.mark_non_differentiable(mean_, var_)
        return y, mean_, var_

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, shortcut, a, b, mean, inverse = ctx.saved_tensors
        channels, (pixels, together) = x.shape[1], _rows(x)
        grad, d = _like(grads[0], x), torch.empty_like(x)
        sums = torch.empty(2, together * channels, dtype=torch.float64)
        each = [_repeated(v, together) for v in (a, b, mean)]
        _call("sign_backward", x, shortcut, grad, *each, _table(ctx.slope), pixels, together * channels, d, sums)
        count = x.numel() // channels
        of_bias, of_weight = sums.view(2, together, channels).sum(1)
        of_weight = of_weight * inverse
        along = -a * inverse * of_weight / count  # of x
        rest = -a * of_bias / count - along * mean
        dx = torch.empty_like(x) if ctx.needs_input_grad[3] else d
        each = [_repeated(v.float(), together) for v in (a, along, rest)]
        _call("norm_backward", x, d, *each, pixels, together * channels, dx)
        return dx, of_weight.float(), of_bias.float(), d if ctx.needs_input_grad[3] else None, None, None


class _Convolution(torch.autograd.Function):
    """For few output pixels, the gradient of the weights is one product of the output's gradient and the windows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *settings: Any) -> Tensor:
        stride, padding, dilation = settings
        ctx.save_for_backward(x, weight)
        ctx.settings = settings
        return nn.functional.conv2d(x, weight, None, stride, padding, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        grad, small = _like(grads[0], x), grads[0][0, 0].numel() <= FEW
        more = (False, (0, 0), 1, (ctx.needs_input_grad[0], ctx.needs_input_grad[1] and not small, False))
        dx, dw = torch.ops.aten.convolution_backward(grad, x, weight, None, *ctx.settings, *more)[:2]
        if small and ctx.needs_input_grad[1]:
            dw = _last(grad).flatten(0, 2).t() @ _windows(x, weight, *ctx.settings)
            dw = dw.view(len(weight), *weight.shape[2:], weight.shape[1]).permute(0, 3, 1, 2)
        return dx, dw, None, None, None


class _MaxPool(torch.autograd.Function):
    """Saves the place of each maximum in 2 bytes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[int, int]) -> Tensor:
        batch, channels, height, width = x.shape
        shape = (batch, channels, height // window[0], width // window[1])
        y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        which = torch.empty(y.numel(), dtype=torch.int16)
        _call("max_pool", x, batch, height, width, channels, *window, y, which)
        ctx.save_for_backward(which)
        ctx.shape, ctx.window = x.shape, window
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (which,) = ctx.saved_tensors
        batch, channels, height, width = ctx.shape
        dx = torch.empty(ctx.shape, dtype=torch.bfloat16, memory_format=torch.channels_last)
        grad = grads[0].to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        _call("max_pool_backward", grad, which, batch, height, width, channels, *ctx.window, dx)
        return dx, None


def _last(x: Tensor) -> Tensor:
    """A view with the channels last."""
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _windows(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """Each window of x in a row, (B * H * W, R * S * C): `nn.functional.unfold` would need the channels first."""
    rows, columns = weight.shape[2:]
    padded = nn.functional.pad(_last(x), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    spans = [dilation[0] * (rows - 1) + 1, dilation[1] * (columns - 1) + 1]
    views = padded.unfold(1, spans[0], stride[0]).unfold(2, spans[1], stride[1])  # (B, H, W, C, R, S)
    views = views[..., :: dilation[0], :: dilation[1]]
    return views.permute(0, 1, 2, 4, 5, 3).reshape(-1, rows * columns * x.shape[1])


def _like(grad: Tensor, x: Tensor) -> Tensor:
    """A gradient in the type and memory format of x."""
    form = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    return grad.to(x.dtype).contiguous(memory_format=form)


def _rows(x: Tensor) -> tuple[int, int]:
    """Rows that a kernel sees, and the number of pixels in each."""
    count, channels = x.numel() // x.shape[1], x.shape[1]
    together = next(n for n in range(max(1, NARROW // channels), 0, -1) if count % n == 0)
    return count // together, together


def _repeated(values: Tensor, times: int) -> Tensor:
    return values.repeat(times) if times > 1 else values.contiguous()


def _table(slope: Slope) -> Tensor:
    """A slope at all numbers of bfloat16, (65536,) float32, in the order of their bits."""
    key = _key(slope)
    if key not in _TABLES:
        if len(_TABLES) >= KEPT:
            _TABLES.clear()
        numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).roll(2**15).view(torch.bfloat16)
        _TABLES[key] = torch.nan_to_num(slope(numbers.float()), nan=0.0, posinf=0.0, neginf=0.0)
    return _TABLES[key]


def _key(value: Any) -> Any:
    """Equal for functions that the same code made of the same numbers: methods make their slopes anew in each step."""
    if not isinstance(value, FunctionType):
        return value
    return (value.__code__, *(_key(cell.cell_contents) for cell in value.__closure__ or ()))


def _call(name: str, *args: Tensor | int | None) -> None:
    """Call a kernel with torch's number of threads."""
    given = [
        ctypes.c_long(arg) if isinstance(arg, int) else ctypes.c_void_p(None if arg is None else arg.data_ptr())
        for arg in args
    ]
    found = library()
    assert found is not None  # noqa: S101  (takes() is asked first)
    getattr(found, name)(*given, ctypes.c_int(torch.get_num_threads()))
