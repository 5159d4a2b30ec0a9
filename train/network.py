# SPDX-License-Identifier: Apache-2.0
"""Networks built from a recipe's layers."""

from __future__ import annotations

import itertools
import math
from typing import Any, Self

from torch import nn

from adiabit.train.blocks import GLOBAL, Layer, Shape
from adiabit.train.layers import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    Concatenation,
    Mean,
    Pad,
    PixelSign,
    Residual,
    RisingNorm2d,
    RPReLU,
    Shift,
    Stream,
    TensorNorm,
)
from adiabit.train.method import Method
from adiabit.train.method import method as method_of
from adiabit.train.methods import MethodTable
from adiabit.train.quantizers import SignQuantizer
from adiabit.train.topology import REAL, ModelConfig
from adiabit.train.trainable import Trainable

PIXELS, BITS, STREAM, SUM = "pixels", "bits", "stream", "sum"  # what a layer reads, or makes


class Network(nn.Sequential, Trainable):
    """Hidden layers of product, max pool, batch norm and activation, and blocks of them; then :class:`TensorNorm`.

    A dense layer to the classes precedes it. Pixels as float 0...255, (B, features) or (B, C, H, W) -> logits
    (B, classes). `frame` is the shape of what the host sends, (features,) or (H, W, C). `method`, a table or a name,
    decides which weights and activations are binary and how they are trained. `UserError` where a layer does not fit
    its input.
    """

    config: ModelConfig

    def __init__(
        self, config: ModelConfig, method: str | MethodTable, dropout: float = 0.0, *, frame: Shape = (784,),
        classes: int = 10,
    ) -> None:  # fmt: skip
        chosen = method_of(method)
        config.shapes(frame, classes)  # checks them
        builder = _Builder(config, chosen, dropout)
        super().__init__(*builder.network(frame, classes))
        self.config, self.method, self.frame, self.classes = config, chosen, frame, classes

    @property
    def why_not(self) -> str:
        """The method's reason, or the model's."""
        return super().why_not or self.config.why_not

    def hardware(self) -> Self:
        """Of the method `ste`."""
        return type(self)(self.config, "ste", frame=self.frame, classes=self.classes).eval()


class _Builder:
    """Makes modules of layers; keeps the shape, and what kind of values the next layer reads."""

    def __init__(self, config: ModelConfig, method: Method[Any], dropout: float) -> None:
        self.config, self.method, self.dropout = config, method, dropout
        self.binary = method.binary_activations
        self.integer = config.shortcut_bits > 1
        self.between = STREAM if self.integer else BITS  # what flows between blocks
        self.stream: nn.Module = nn.Identity()
        if self.integer and self.binary:
            self.stream = Stream(config.shortcut_bits, config.scale)
        self.shape: Shape = ()
        self.reads = PIXELS

    def network(self, frame: Shape, classes: int) -> list[nn.Module]:
        """All modules."""
        self.shape, made = frame, list[nn.Module]()
        if self.config.input_bits == 1:
            made, self.reads = [PixelSign()], BITS
        blocks = [layer for layer in self.config.blocks for _ in range(layer.repeat)]
        for layer, after in itertools.zip_longest(blocks, blocks[1:]):
            out = BITS if after is None or after.product else self.between
            made += self._layer(layer, out)
            made += [nn.Dropout(self.dropout)] if self.dropout else []
        made += [nn.Flatten()] if len(self.shape) > 1 else []
        width = math.prod(self.shape)
        return [*made, self._linear(width, classes, bits=self.config.last_bits, last=True), TensorNorm(width)]

    def _chain(self, layers: tuple[Layer, ...], out: str) -> nn.Sequential:
        """A branch that ends with `out`."""
        made: list[nn.Module] = []
        flat = [layer for layer in layers for _ in range(layer.repeat)]
        for layer, after in itertools.zip_longest(flat, flat[1:]):
            made += self._layer(layer, out if after is None else BITS if after.product else self.between)
        return nn.Sequential(*made)

    def _layer(self, layer: Layer, out: str) -> list[nn.Module]:
        """One layer; `out` is what a product ends with."""
        if layer.product:
            return self._product(layer, out)
        shape, reads = self.shape, self.reads
        self.shape = layer.model_copy(update={"repeat": 1}).out(shape, "layer")
        if layer.residual is not None:
            return [self._residual(layer, shape, reads)]
        if layer.concat is not None:
            branches = [self._branch(branch, shape, reads, self.between) for branch in layer.concat]
            self.reads = self.between
            return [Concatenation(*branches)]
        if layer.channels is not None:
            front = (layer.channels - shape[-1]) // 2
            back = layer.channels - shape[-1] - front
            return [Pad(value=0.0 if self.integer else -1.0, channels=(front, back))]
        if layer.max_pool is not None:
            return [nn.MaxPool2d(layer.max_pool)]
        if layer.average_pool == GLOBAL:
            self.reads = SUM
            return [Mean(shape[0] * shape[1])]
        return [nn.AvgPool2d(layer.average_pool or 1), self._quantized()]

    def _branch(self, layers: tuple[Layer, ...], shape: Shape, reads: str, out: str) -> nn.Sequential:
        """A branch that begins at an earlier shape."""
        kept = self.shape
        self.shape, self.reads = shape, reads
        made = self._chain(layers, out)
        self.shape = kept
        return made

    def _residual(self, layer: Layer, shape: Shape, reads: str) -> Residual:
        shortcut = self._branch(layer.shortcut, shape, reads, self.between)
        branch = self._branch(layer.residual or (), shape, reads, self.between if self.integer else SUM)
        self.reads, channels = self.between, self.shape[-1]
        if not self.integer:
            return Residual(branch, shortcut, after=nn.Sequential(self._activation(channels)))
        after = [RPReLU(channels)] if self.config.rprelu else []
        return Residual(branch, shortcut, after=nn.Sequential(*after, self.stream))

    def _product(self, layer: Layer, out: str) -> list[nn.Module]:
        """A product with what quantizes its input and its output; with `SUM`, its norm is the end."""
        made, first = self._binarized(), self.reads == PIXELS
        bits = self.config.first_bits if first else 1
        channels = layer.conv or layer.dense or 0
        shape, self.shape, self.reads = self.shape, layer.out(self.shape, "layer"), out
        end = [] if out == SUM else [self.stream if out == STREAM else self._activation(channels)]
        if layer.dense is not None:
            made += [nn.Flatten()] if len(shape) > 1 else []
            return [*made, self._linear(math.prod(shape), channels, bits=bits), nn.BatchNorm1d(channels), *end]
        zero_pad = first or not self.binary
        made += [Pad(layer.pad)] if any(layer.pad) and not zero_pad else []
        made.append(self._conv(shape[-1], layer, layer.pad if zero_pad else (0, 0), bits))
        pools: list[nn.Module] = [nn.MaxPool2d(layer.pool)] if max(layer.pool) > 1 else []
        if pools and (self.config.pool == "before" or out == SUM):
            return [*made, *pools, RisingNorm2d(channels), *end]
        return [*made, nn.BatchNorm2d(channels), *end, *pools]

    def _binarized(self) -> list[nn.Module]:
        """What makes bits of a stream of integers."""
        if self.reads != STREAM:
            return []
        channels, kind = self.shape[-1], self.config.preactivation
        first = nn.BatchNorm2d(channels) if kind == "norm" else Shift(channels, trained=kind == "shift")
        return [first, self._activation(channels)]

    def _conv(self, inputs: int, layer: Layer, padding: tuple[int, int], bits: int) -> nn.Module:
        channels = layer.conv or 0
        if self.method.binary_weights and bits != REAL:
            quantizer = self.method.weight(channels) if bits == 1 else None
            return BinaryConv2d(
                inputs, channels, layer.kernel, layer.stride, padding, layer.dilation, bits=bits, std=self.config.init,
                quantizer=quantizer,
            )  # fmt: skip
        return nn.Conv2d(inputs, channels, layer.kernel, layer.stride, padding, layer.dilation, bias=False)

    def _linear(self, inputs: int, outputs: int, *, bits: int, last: bool = False) -> nn.Module:
        if self.method.binary_weights and bits != REAL:
            quantizer = self.method.weight(1 if last else outputs) if bits == 1 else None
            return BinaryLinear(inputs, outputs, bits=bits, std=self.config.init, quantizer=quantizer)
        return nn.Linear(inputs, outputs, bias=False)

    def _activation(self, channels: int) -> nn.Module:
        if self.binary:
            return BinaryActivation(self.method.activation(channels))
        return nn.ReLU() if self.config.activation == "relu" else nn.Tanh()

    def _quantized(self) -> nn.Module:
        """What makes a stream of averages."""
        if self.integer or not self.binary:
            return self.stream
        return BinaryActivation(SignQuantizer("activation"))
