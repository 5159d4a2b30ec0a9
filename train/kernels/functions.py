# SPDX-License-Identifier: Apache-2.0
"""The kernels as differentiable functions of tensors in bfloat16, channels last: (B, C, H, W), or (N, C)."""

from __future__ import annotations

import ctypes
import functools
from types import FunctionType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adiabit.train.kernels import library
from adiabit.train.quantizers import Function, Pointwise

FEW = 36  # output pixels: of more, torch's own gradient of the weights is as fast
C_TYPES: dict[type, Any] = {int: ctypes.c_long, float: ctypes.c_float}
KEPT = 32  # tables of functions

_TABLES: dict[Any, Tensor] = {}


def takes(x: Any) -> bool:
    """Whether the kernels take a tensor, and exist."""
    if not isinstance(x, Tensor) or x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.ndim not in (2, 4):
        return False
    return x.numel() > 0 and _in_lines(x) and library() is not None


def norm_quantize(
    x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, pointwise: Pointwise, eps: float,
    pad: tuple[int, int] = (0, 0),
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """pointwise(norm(x) + shortcut) by the batch's own statistics; also mean and biased variance, (C,) float32.

    `weight` and `bias` are (C,) float32, `shortcut` has x's shape. The result is the inside of a tensor that is padded
    with -1, which :func:`padded` returns.
    """
    return _NormQuantize.apply(x, weight, bias, shortcut, pointwise, eps, pad)  # type: ignore[no-any-return]


def known_norm_quantize(
    x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, pointwise: Pointwise, mean: Tensor, var: Tensor,
    eps: float, pad: tuple[int, int] = (0, 0),
) -> Tensor:  # fmt: skip
    """The same by known statistics, without a gradient."""
    return _quantized(x, weight, bias, shortcut, _Quantizer.of(pointwise), mean, var, eps, pad)


def padded(y: Tensor, pad: tuple[int, int]) -> Tensor | None:
    """The tensor that y is the inside of, without a copy; None where it is not padded like that."""
    whole = getattr(y, "_padded", None)
    if whole is None or whole[1] != pad:
        return None
    return _Padded.apply(y, *whole)  # type: ignore[no-any-return]


def convolution(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """torch's convolution without groups and bias, with a faster gradient of the weights where images are small."""
    return _Convolution.apply(x, weight.to(x.dtype), stride, padding, dilation)  # type: ignore[no-any-return]


def max_pool(x: Tensor, window: tuple[int, int]) -> Tensor:
    """The maxima of windows side by side of images (B, C, H, W); what is left at the borders is dropped."""
    return _MaxPool.apply(x, window)  # type: ignore[no-any-return]


class _NormQuantize(torch.autograd.Function):
    """Saves x alone: what the backward pass needs besides is computed again, the noise from its seed."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, pointwise: Pointwise, eps: float,
        pad: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        mean, var = (torch.empty(x.shape[1]) for _ in range(2))
        _call("moments", _pixels(x), _shape(x), mean, var)
        ctx.quantizer, ctx.eps = _Quantizer.of(pointwise), eps
        y = _quantized(x, weight, bias, shortcut, ctx.quantizer, mean, var, eps, pad)
        ctx.save_for_backward(x, shortcut, weight, bias, mean, var)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, shortcut, weight, bias, mean, var = ctx.saved_tensors
        grad, dx = _lined(grads[0]), torch.empty_like(x)
        dmore = torch.empty_like(x) if ctx.needs_input_grad[3] else dx
        dweight, dbias = torch.empty_like(mean), torch.empty_like(mean)
        _call(
            "norm_quantize_backward", _pixels(x), _pixels(shortcut), _pixels(grad),
            *(_float(v) for v in (weight, bias, mean, var)), ctx.eps, ctx.quantizer, _shape(x), _pixels(dmore),
            _pixels(dx), dweight, dbias,
        )  # fmt: skip
        return dx, dweight, dbias, dmore if ctx.needs_input_grad[3] else None, None, None, None


class _Padded(torch.autograd.Function):
    """From the inside of a tensor to the tensor."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, whole: Tensor, pad: tuple[int, int]) -> Tensor:  # noqa: ARG004
        ctx.pad = pad
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _inner(grads[0], ctx.pad), None, None


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
        grad, small = _lined(grads[0]), grads[0][0, 0].numel() <= FEW
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
        height, width = x.shape[2:]
        shape = (*x.shape[:2], height // window[0], width // window[1])
        y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        which = torch.empty(y.numel(), dtype=torch.int16)
        _call("max_pool", x.contiguous(memory_format=torch.channels_last), _shape(x), *window, y, which)
        ctx.save_for_backward(which)
        ctx.shape, ctx.window = x.shape, window
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (which,) = ctx.saved_tensors
        dx = torch.empty(ctx.shape, dtype=torch.bfloat16, memory_format=torch.channels_last)
        grad = grads[0].to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        _call("max_pool_backward", grad, which, _shape(dx), *ctx.window, dx)
        return dx, None


def _quantized(
    x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, quantizer: _Quantizer, mean: Tensor, var: Tensor,
    eps: float, pad: tuple[int, int],
) -> Tensor:  # fmt: skip
    y = _inside(x, pad)
    given = (_float(v) for v in (weight, bias, mean, var))
    _call("norm_quantize", _pixels(x), _pixels(shortcut), *given, eps, quantizer, _shape(x), _pixels(y), *pad)
    return y


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


def _in_lines(x: Tensor) -> bool:
    """Whether the channels lie side by side, and the pixels of a line."""
    channels = x.shape[1]
    return (channels == 1 or x.stride(1) == 1) and (x.ndim == 2 or x.shape[3] == 1 or x.stride(3) == channels)


def _lined(grad: Tensor) -> Tensor:
    """A gradient in bfloat16 and in lines."""
    grad = grad.to(torch.bfloat16)
    form = torch.channels_last if grad.ndim == 4 else torch.contiguous_format
    return grad if _in_lines(grad) else grad.contiguous(memory_format=form)


def _table(function: Function) -> Tensor:
    """A function at all numbers of bfloat16, (65536,) float32, in the order of their bits."""
    key = _key(function)
    if key not in _TABLES:
        while len(_TABLES) >= KEPT:
            del _TABLES[next(iter(_TABLES))]  # the oldest
        numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).roll(2**15).view(torch.bfloat16)
        _TABLES[key] = function(numbers.float())
    return _TABLES[key]


@functools.cache
def _normal() -> Tensor:
    """65536 quantiles of the standard normal distribution, float32."""
    shares = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    return torch.special.ndtri(shares).float()  # type: ignore[no-any-return]


def _key(value: Any) -> Any:
    """Equal for functions that the same code made of the same numbers: methods make their slopes anew in each step."""
    if not isinstance(value, FunctionType):
        return value
    return (value.__code__, *(_key(cell.cell_contents) for cell in value.__closure__ or ()))


class _Shape(ctypes.Structure):
    """Images, lines, pixels and channels."""

    _fields_: ClassVar = [(name, ctypes.c_long) for name in "bhwc"]


class _Pixels(ctypes.Structure):
    """Where the first number is, and how far images and lines lie apart, in numbers."""

    _fields_: ClassVar = [("at", ctypes.c_void_p), ("image", ctypes.c_long), ("line", ctypes.c_long)]


class _Quantizer(ctypes.Structure):
    """A `Pointwise` with its tables, and a seed of its own; see kernels.cpp."""

    _fields_: ClassVar = [
        *((name, ctypes.c_void_p) for name in ("value", "slope", "normal")),
        *((name, ctypes.c_float) for name in ("noise", "share")),
        ("seed", ctypes.c_uint32),
    ]
    tables: tuple[Tensor | None, ...]

    @classmethod
    def of(cls, f: Pointwise) -> _Quantizer:
        random = bool(f.noise or f.hard_share)
        value = None if f.value is None else _table(f.value)
        tables = (value, _table(f.slope), _normal() if random else None)
        places = (None if table is None else table.data_ptr() for table in tables)
        made = cls(*places, f.noise, f.hard_share, int(torch.randint(2**32, ())) if random else 0)
        made.tables = tables  # kept as long as the structure is
        return made


def _shape(x: Tensor) -> _Shape:
    batch, channels, *sides = x.shape
    return _Shape(batch, *(sides or (1, 1)), channels)


def _pixels(x: Tensor | None) -> _Pixels:
    if x is None:
        return _Pixels(None, 0, 0)
    return _Pixels(x.data_ptr(), x.stride(0), x.stride(2) if x.ndim == 4 else 0)


def _float(values: Tensor) -> Tensor:
    return values.detach().float().contiguous()


def _inside(x: Tensor, pad: tuple[int, int]) -> Tensor:
    """A new tensor of the shape of x; if there is a pad, as the inside of a larger one, which it then knows."""
    if pad == (0, 0):
        return torch.empty_like(x)
    batch, channels, height, width = x.shape
    shape = (batch, channels, height + 2 * pad[0], width + 2 * pad[1])
    whole = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    y = _inner(whole, pad)
    y._padded = (whole, pad)  # type: ignore[attr-defined]
    return y


def _inner(whole: Tensor, pad: tuple[int, int]) -> Tensor:
    height, width = whole.shape[2:]
    return whole[:, :, pad[0] : height - pad[0], pad[1] : width - pad[1]]


def _call(name: str, *args: Any) -> None:
    """Call a kernel with torch's number of threads."""
    given = [
        ctypes.c_void_p(arg.data_ptr()) if isinstance(arg, Tensor) else C_TYPES.get(type(arg), lambda v: v)(arg)
        for arg in args
    ]
    found = library()
    assert found is not None  # noqa: S101  (takes() is asked first)
    getattr(found, name)(*given, ctypes.c_int(torch.get_num_threads()))
