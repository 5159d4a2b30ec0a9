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
from torch import Tensor, nn

from adiabit.train.method import Method
from adiabit.train.method import method as method_of
from adiabit.train.methods import MethodTable
from adiabit.train.quantizers import BipolarQuantizer, SignQuantizer, act_quant, weight_quant
from adiabit.train.topology import Layer, ModelConfig, Shape


class BinaryLinear(qnn.QuantLinear):
    """y_BO = x_BI @ sign(W_OI).T, one XNOR-popcount in hardware; no bias (Umuroglu et al., FINN, 2017)."""

    def __init__(self, inputs: int, outputs: int, quantizer: BipolarQuantizer, init: float) -> None:
        super().__init__(inputs, outputs, bias=False, weight_quant=weight_quant(quantizer))
        nn.init.normal_(self.weight, std=init)

    @property
    def quantizer(self) -> BipolarQuantizer:
        """The quantizer of the weights."""
        return self.weight_quant.tensor_quant  # type: ignore[no-any-return]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Dot products, through Brevitas only in the export: its wrapping would take half the time of a small step."""
        if self.weight_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        return nn.functional.linear(input, self.quantizer.quantize(self.weight))


class BinaryConv2d(qnn.QuantConv2d):
    """y_BOHW = x_BIHW * sign(W_OIRS), in hardware an XNOR-popcount of each window of x with every row of weights.

    There is no bias. `padding` adds zeros, which 8-bit pixels can be; for -1 and +1 see :class:`Pad`.
    """

    def __init__(
        self, inputs: int, layer: Layer, padding: tuple[int, int], quantizer: BipolarQuantizer, init: float
    ) -> None:
        super().__init__(
            inputs, layer.conv, layer.kernel, layer.stride, padding, layer.dilation, bias=False,
            weight_quant=weight_quant(quantizer),
        )  # fmt: skip
        nn.init.normal_(self.weight, std=init)

    @property
    def quantizer(self) -> BipolarQuantizer:
        """The quantizer of the weights."""
        return self.weight_quant.tensor_quant  # type: ignore[no-any-return]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Dot products, through Brevitas only in the export."""
        if self.weight_quant.export_mode:
            return super().forward(input)  # type: ignore[no-any-return]
        weight = self.quantizer.quantize(self.weight)
        return nn.functional.conv2d(input, weight, None, self.stride, self.padding, self.dilation)


class _PadNode(torch.autograd.Function):
    """Exports as one ONNX Pad with constant pads; torch's own exporter needs eight nodes to compute them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: int, columns: int, value: float) -> Tensor:  # noqa: ARG004
        return nn.functional.pad(x, (columns, columns, rows, rows), value=value)

    @staticmethod
    def symbolic(g: Any, x: Any, rows: int, columns: int, value: float) -> Any:
        pads = g.op("Constant", value_t=torch.tensor([0, 0, rows, columns] * 2))
        padded = g.op("Pad", x, pads, g.op("Constant", value_t=torch.tensor(value)), mode_s="constant")
        batch, channels, height, width = x.type().sizes()
        return padded.setType(x.type().with_sizes([batch, channels, height + 2 * rows, width + 2 * columns]))


class Pad(nn.Module):
    """Pads images (B, C, H, W) with `value`: -1 or +1 keeps a binary image binary, 0 would not."""

    def __init__(self, pad: tuple[int, int], value: float = -1.0) -> None:
        super().__init__()
        self.pad, self.value = pad, value

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H + 2 * rows, W + 2 * columns)."""
        rows, columns = self.pad
        if torch.onnx.is_in_onnx_export():
            return _PadNode.apply(x, rows, columns, self.value)  # type: ignore[no-any-return]
        return nn.functional.pad(x, (columns, columns, rows, rows), value=self.value)


class RisingNorm2d(nn.BatchNorm2d):
    """A batch norm with weight > 0, which commutes with the max pool before it: in hardware, sign and then OR.

    In training, the weight is clamped before each use, as in :class:`TensorNorm`.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """(B, C, H, W) -> (B, C, H, W)."""
        if self.training:
            with torch.no_grad():
                self.weight.clamp_(min=TensorNorm.SMALLEST)
        return super().forward(input)


class BinaryActivation(qnn.QuantIdentity):
    """y in {-1, +1}, any shape; after a batch norm, it is one integer threshold per neuron in hardware."""

    def __init__(self, quantizer: BipolarQuantizer) -> None:
        super().__init__(act_quant=act_quant(quantizer))

    @property
    def quantizer(self) -> BipolarQuantizer:
        """The quantizer of the activations."""
        return self.act_quant.fused_activation_quant_proxy.tensor_quant  # type: ignore[no-any-return]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Quantize, through Brevitas only in the export."""
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

    It turns the integers of the last layer into logits with a trainable temperature. The scale starts at 1 / sqrt(I)
    and stays positive: in training, it is clamped before each use.
    """

    SMALLEST = 1e-4

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(inputs**-0.5))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if self.training:
            with torch.no_grad():
                self.scale.clamp_(min=self.SMALLEST)
        return x * self.scale + self.shift


class Network(nn.Sequential):
    """Hidden layers of product, max pool, batch norm and activation; then a dense layer and :class:`TensorNorm`.

    Pixels as float 0...255, (B, features) or (B, C, H, W) -> logits (B, classes). `frame` is the shape of what the
    host sends, (features,) or (H, W, C). `method`, a table or a name, decides which weights and activations are binary
    and how they are trained. `UserError` where a layer does not fit its input.
    """

    def __init__(
        self, config: ModelConfig, method: str | MethodTable, dropout: float = 0.0, *, frame: Shape = (784,),
        classes: int = 10,
    ) -> None:  # fmt: skip
        chosen = method_of(method)
        layers: list[nn.Module] = [PixelSign()] if config.input_bits == 1 else []
        first = config.input_bits == 8  # its input may be 0
        shapes = config.shapes(frame, classes)
        for layer, shape in zip(config.blocks, shapes, strict=False):
            layers += _hidden(layer, shape, config, chosen, zero_pad=first or not chosen.binary_activations)
            layers += [nn.Dropout(dropout)] if dropout else []
            first = False
        layers += [nn.Flatten()] if len(shapes[-1]) > 1 else []
        width = math.prod(shapes[-1])
        layers += [_linear(width, classes, config, chosen, last=True), TensorNorm(width)]
        super().__init__(*layers)
        self.config, self.method, self.frame, self.classes = config, chosen, frame, classes


def _hidden(layer: Layer, shape: Shape, config: ModelConfig, method: Method[Any], *, zero_pad: bool) -> list[nn.Module]:
    if layer.dense is not None:
        flat: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        product = _linear(math.prod(shape), layer.dense, config, method)
        return [*flat, product, nn.BatchNorm1d(layer.dense), _activation(config, method, layer.dense)]
    assert layer.conv is not None  # noqa: S101  (a layer is one of the two)
    made: list[nn.Module] = []
    if any(layer.pad) and not zero_pad:
        made.append(Pad(layer.pad))
    made.append(_conv(shape[-1], layer, layer.pad if zero_pad else (0, 0), config, method))
    pools: list[nn.Module] = [nn.MaxPool2d(layer.pool)] if max(layer.pool) > 1 else []
    if pools and config.pool == "before":
        return [*made, *pools, RisingNorm2d(layer.conv), _activation(config, method, layer.conv)]
    return [*made, nn.BatchNorm2d(layer.conv), _activation(config, method, layer.conv), *pools]


def _conv(inputs: int, layer: Layer, padding: tuple[int, int], config: ModelConfig, method: Method[Any]) -> nn.Module:
    channels = layer.conv or 0
    if method.binary_weights:
        return BinaryConv2d(inputs, layer, padding, method.weight(channels), config.init)
    return nn.Conv2d(inputs, channels, layer.kernel, layer.stride, padding, layer.dilation, bias=False)


def _linear(inputs: int, outputs: int, config: ModelConfig, method: Method[Any], *, last: bool = False) -> nn.Module:
    if method.binary_weights:
        return BinaryLinear(inputs, outputs, method.weight(1 if last else outputs), config.init)
    return nn.Linear(inputs, outputs, bias=False)


def _activation(config: ModelConfig, method: Method[Any], channels: int) -> nn.Module:
    if method.binary_activations:
        return BinaryActivation(method.activation(channels))
    return nn.ReLU() if config.activation == "relu" else nn.Tanh()


MARGIN = 1 / 16  # accumulators are integers, and the float32 rounding error of the largest is far below this


@torch.no_grad()
def clear_thresholds(net: nn.Module) -> None:
    """Move the thresholds of the batch norms away from integers, so that no rounding can flip the sign that follows.

    sign(BatchNorm(x)) changes at T = mean - bias * sqrt(var + eps) / weight. Accumulators x are integers; a T within
    `MARGIN` of an integer moves to `MARGIN` from it, on the side where it is, so no sign changes. (At T = x the sign is
    +1, which a lower T keeps for weight > 0 and a higher T for weight < 0.) Where weight = 0, there is no T.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        if norm.running_mean is not None and norm.running_var is not None:
            mean, weight = norm.running_mean.double(), norm.weight.double()
            deviation = (norm.running_var.double() + norm.eps).sqrt()
            threshold = mean - norm.bias.double() * deviation / torch.where(weight == 0, 1.0, weight)
            distance = threshold - threshold.round()
            side = torch.where(distance == 0, -weight.sign(), distance.sign())
            near = (distance.abs() < MARGIN) & (weight != 0)
            norm.running_mean.copy_(torch.where(near, mean + side * MARGIN - distance, mean))
