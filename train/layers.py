# SPDX-License-Identifier: Apache-2.0
"""Binary networks: what the hardware computes, in a form that autograd can train.

Shape suffixes: B batch, P pixels, I inputs, O outputs, R rows and S columns of a kernel, H and W of an image.
Weights and activations are in {-1, +1}; in hardware bit 1 is +1 and bit 0 is -1.
"""

from __future__ import annotations

import math
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from adiabit.train.deferred import Deferred
from adiabit.train.kernels.functions import convolution, padded, takes
from adiabit.train.quantizers import (
    BipolarQuantizer,
    Quantized,
    RealQuantizer,
    SignQuantizer,
    act_quant,
    passed,
    weight_quant,
)

Size = int | tuple[int, ...]  # rows and columns; one number stands for both


class IntegerQuantizer(nn.Module):
    """Weights as integers of `bits` bits times one scale: y = scale * round(clip(x / scale)), pseudo-gradient 1.

    The scale is the least power of 2 that reaches the largest weight, so that sums of products are exact in float32.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.most = bits, 2.0 ** (bits - 1) - 1
        for name, value in (("zero_point", 0.0), ("bit_width", float(bits))):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def scale(self, x: Tensor) -> Tensor:
        """The scale of weights x."""
        return torch.exp2(torch.ceil(torch.log2(x.detach().abs().max().clamp_min(1e-20) / self.most)))

    def forward(self, x: Tensor) -> Quantized:
        """Quantize x of any shape; the other three are scalars."""
        return self.quantize(x), self.scale(x), self.zero_point, self.bit_width  # type: ignore[return-value]

    def quantize(self, x: Tensor) -> Tensor:
        """The value alone."""
        scale = self.scale(x)
        return passed(x, (x.detach() / scale).round_().clamp_(-self.most, self.most).mul_(scale))


WeightQuantizer = BipolarQuantizer | IntegerQuantizer | RealQuantizer


def _weights(bits: int) -> BipolarQuantizer | IntegerQuantizer:
    """The quantizer of weights that no method has chosen yet: sign, by straight-through estimation."""
    if not 1 <= bits <= 8:
        raise ValueError(f"bits = {bits}: weights have 1 to 8 bits")
    return SignQuantizer("weight") if bits == 1 else IntegerQuantizer(bits)


class _Weighted:
    """What products of quantized weights share; `open` where the method of training chooses the quantizer."""

    weight: Tensor
    weight_quant: Any

    def _prepare(self, std: float, *, open_: bool) -> None:
        self.open = open_
        nn.init.normal_(self.weight, std=std)

    @property
    def quantizer(self) -> WeightQuantizer:
        """The quantizer of the weights."""
        return self.weight_quant.tensor_quant  # type: ignore[no-any-return]

    def use(self, quantizer: WeightQuantizer) -> None:
        """Quantize by another quantizer from now on."""
        self.weight_quant = WeightQuantProxyFromInjector(self, weight_quant(quantizer))


class BinaryLinear(_Weighted, qnn.QuantLinear):
    """y_BO = x_BI @ sign(W_OI).T, one XNOR-popcount in hardware; no bias (Umuroglu et al., FINN, 2017).

    The latent weights start as normal noise of deviation `std`. With `bits` of 2 to 8, weights are integers of so many
    bits. The method of training decides how weights of 1 bit are quantized, unless a `quantizer` is given.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bits: int = 1, std: float = 0.1,
        quantizer: WeightQuantizer | None = None,
    ) -> None:  # fmt: skip
        chosen = quantizer or _weights(bits)
        super().__init__(in_features, out_features, bias=False, weight_quant=weight_quant(chosen))
        self._prepare(std, open_=quantizer is None and bits == 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Dot products, through Brevitas only in the export: its wrapping would take half the time of a small step."""
        if self.weight_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        return nn.functional.linear(input, self.quantizer.quantize(self.weight))


class BinaryConv2d(_Weighted, qnn.QuantConv2d):
    """y_BOHW = x_BIHW * sign(W_OIRS), in hardware an XNOR-popcount of each window of x with every row of weights.

    There is no bias. `padding` adds zeros, which 8-bit pixels can be; for -1 and +1 see :class:`Pad`. `bits`, `std` and
    `quantizer` are those of :class:`BinaryLinear`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0,
        dilation: Size = 1, groups: int = 1, *, bits: int = 1, std: float = 0.1,
        quantizer: WeightQuantizer | None = None,
    ) -> None:  # fmt: skip
        chosen = quantizer or _weights(bits)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False,
            weight_quant=weight_quant(chosen),
        )  # fmt: skip
        self._prepare(std, open_=quantizer is None and bits == 1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Dot products, through Brevitas only in the export."""
        if self.weight_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        weight = self.quantizer.quantize(self.weight)
        if self.training and self.groups == 1 and not isinstance(self.padding, str) and takes(input):
            return convolution(input, weight, self.stride, self.padding, self.dilation)
        return nn.functional.conv2d(input, weight, None, self.stride, self.padding, self.dilation, self.groups)


class StreamQuantizer(nn.Module):
    """What flows between blocks: y = scale * round(clip(x / scale)), signed, `bits` bits.

    The pseudo-gradient is 1 where x lies in the range, else 0.
    """

    def __init__(self, bits: int, scale: float) -> None:
        super().__init__()
        self.bits = bits
        self.low, self.high, self.step = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, scale
        for name, value in (("scale", scale), ("zero_point", 0.0), ("bit_width", float(bits))):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def forward(self, x: Tensor) -> Quantized:
        """Quantize x of any shape; the other three are scalars."""
        return self.quantize(x), self.scale, self.zero_point, self.bit_width  # type: ignore[return-value]

    def quantize(self, x: Tensor) -> Tensor:
        """The value alone."""
        scale = self.step
        inside = x.clamp(self.low * scale, self.high * scale)
        return passed(inside, (inside.detach() / scale).round_().mul_(scale))


class Stream(qnn.QuantIdentity):
    """The shared quantizer of a network's blocks: signed integers of `bits` bits times `scale`, a power of 2.

    What is added or concatenated must come from one and the same `Stream`, or from several of equal bits and scale.
    """

    def __init__(self, bits: int, scale: float) -> None:
        super().__init__(act_quant=act_quant(StreamQuantizer(bits, scale), narrow=False))

    @property
    def quantizer(self) -> StreamQuantizer:
        """The quantizer of the integers."""
        return self.act_quant.fused_activation_quant_proxy.tensor_quant  # type: ignore[no-any-return]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Quantize, through Brevitas only in the export."""
        if self.act_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        return self.quantizer.quantize(input)


class _PadNode(torch.autograd.Function):
    """Exports as one ONNX Pad with constant pads; torch's own exporter needs eight nodes to compute them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sides: list[int], value: float) -> Tensor:  # noqa: ARG004
        front, rows, columns, back = sides
        return nn.functional.pad(x, (columns, columns, rows, rows, front, back), value=value)

    @staticmethod
    def symbolic(g: Any, x: Any, sides: list[int], value: float) -> Any:
        front, rows, columns, back = sides
        pads = g.op("Constant", value_t=torch.tensor([0, front, rows, columns, 0, back, rows, columns]))
        padded = g.op("Pad", x, pads, g.op("Constant", value_t=torch.tensor(value)), mode_s="constant")
        batch, channels, height, width = x.type().sizes()
        made = [batch, front + channels + back, height + 2 * rows, width + 2 * columns]
        return padded.setType(x.type().with_sizes(made))


class Pad(nn.Module):
    """Pads images (B, C, H, W) with `value`: -1 or +1 keeps a binary image binary, 0 would not.

    `pad` are (rows, columns) on both sides, one number stands for both; `channels` (before, behind) the others.
    """

    def __init__(self, pad: Size = 0, value: float = -1.0, channels: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        rows, columns = (pad, pad) if isinstance(pad, int) else pad
        self.sides, self.value = [channels[0], rows, columns, channels[1]], value
        self.simple = value == -1.0 and channels == (0, 0)  # pixels of -1 alone

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, front + C + back, H + 2 * rows, W + 2 * columns)."""
        front, rows, columns, back = self.sides
        if torch.onnx.is_in_onnx_export():
            return _PadNode.apply(x, self.sides, self.value)  # type: ignore[no-any-return]
        if self.simple and (whole := padded(x, (rows, columns))) is not None:
            return whole
        if not front and not back:
            return nn.functional.pad(x, (columns, columns, rows, rows), value=self.value)
        return nn.functional.pad(x, (columns, columns, rows, rows, front, back), value=self.value)


class RisingNorm2d(nn.BatchNorm2d):
    """A batch norm with weight > 0, which commutes with the max pool before it: in hardware, sign and then OR.

    In training, the weight is clamped before each use, as in :class:`TensorNorm`.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """(B, C, H, W) -> (B, C, H, W)."""
        self.rise()
        return super().forward(input)

    @torch.no_grad()
    def rise(self) -> None:
        """Clamp the weight, in training."""
        if self.training:
            self.weight.clamp_(min=TensorNorm.SMALLEST)


class BinaryActivation(qnn.QuantIdentity):
    """y in {-1, +1}, any shape; after a batch norm, it is one integer threshold per neuron in hardware.

    The method of training decides on the quantizer, unless one is given; until then it is sign, straight-through.
    """

    def __init__(self, quantizer: BipolarQuantizer | None = None) -> None:
        super().__init__(act_quant=act_quant(quantizer or SignQuantizer("activation")))
        self.open = quantizer is None  # whether the method of training chooses the quantizer
        self.pad = (0, 0)  # of the image behind it; fused training steps make room for it

    @property
    def quantizer(self) -> BipolarQuantizer | RealQuantizer:
        """The quantizer of the activations."""
        return self.act_quant.fused_activation_quant_proxy.tensor_quant  # type: ignore[no-any-return]

    def use(self, quantizer: BipolarQuantizer | RealQuantizer) -> None:
        """Quantize by another quantizer from now on."""
        self.act_quant = ActQuantProxyFromInjector(self, act_quant(quantizer))

    def forward(self, input: Tensor | Deferred) -> Tensor:  # noqa: A002  (torch's name)
        """Quantize, through Brevitas only in the export."""
        if isinstance(input, Deferred):
            return input.quantize(self.quantizer, self.pad)
        if self.act_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        return self.quantizer.quantize(input)


class PixelSign(nn.Module):
    """Pixels 0...255 to {-1, +1}: sign(x * 2 / 255 - 1), so 128 is the first +1 (FINN's TFC, SFC and LFC)."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = BinaryActivation(SignQuantizer("input"))

    def forward(self, x_BP: Tensor) -> Tensor:  # noqa: N803  (shape suffix)
        """(B, P) -> (B, P)."""
        return self.sign(x_BP * (2.0 / 255.0) - 1.0)  # type: ignore[no-any-return]


class TensorNorm(nn.Module):
    """y = x * scale + shift, one pair for the whole tensor: it changes no label, so the compiler drops it.

    It turns the integers of the last layer, of I inputs, into logits with a trainable temperature. The scale starts at
    1 / sqrt(I) and stays positive: in training, it is clamped before each use.
    """

    SMALLEST = 1e-4

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(in_features**-0.5))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if self.training:
            with torch.no_grad():
                self.scale.clamp_(min=self.SMALLEST)
        return x * self.scale + self.shift


class Shift(nn.Module):
    """y = x + b, b per channel, before the sign of a stream (ReActNet's RSign); fixed at 0 unless it is trained."""

    def __init__(self, channels: int, *, trained: bool = True) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(channels, 1, 1), requires_grad=trained)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.b


class RPReLU(nn.Module):
    """y = prelu(x - g) + z, three parameters per channel (Liu et al., ReActNet, 2020, equation 3).

    The slopes start at 1/4 and stay at least 0, so that the function never falls: they are clamped before each use.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g, self.z = (nn.Parameter(torch.zeros(channels, 1, 1)) for _ in range(2))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if self.training:
            with torch.no_grad():
                self.slope.clamp_(min=0.0)
        return nn.functional.prelu(x - self.g, self.slope) + self.z


class Mean(nn.Module):
    """The sum of each channel over the image, times the power of 2 next to 1 / pixels: a mean that float32 holds."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.factor = 2.0 ** -round(math.log2(pixels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1)."""
        return x.sum(dim=(2, 3), keepdim=True) * self.factor


class Residual(nn.Module):
    """after(branch(x) + shortcut(x)); without a `shortcut` it is x itself, and `after` is a sign unless it is given.

    In hardware either branch and shortcut are integers of one :class:`Stream`, or the branch ends with a batch norm,
    the shortcut is -1 and +1, and a sign follows.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, *, after: nn.Module | None = None) -> None:
        super().__init__()
        self.shortcut = nn.Sequential() if shortcut is None else shortcut  # first, as in older checkpoints
        self.branch = branch
        self.after = nn.Sequential(BinaryActivation()) if after is None else after

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        return self.after(self.branch(x) + self.shortcut(x))  # type: ignore[no-any-return]


class Concatenation(nn.Module):
    """The channels of all branches, each of which reads the input; an empty `nn.Sequential()` is the input itself."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H, W)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)
