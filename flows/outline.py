# SPDX-License-Identifier: Apache-2.0
"""The accelerator of a network that is not trained yet, to check its folding.

Weights and thresholds are placeholders. A test compares the outline with what the compiler makes of trained networks.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from torch import nn

from adiabit.flows.frontend.config import CompileConfig
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.fuse import fused
from adiabit.hw.stages import (
    Add,
    Concat,
    Fork,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    SumPool,
    Threshold,
    Window,
    integer_type,
)
from adiabit.train import layers
from adiabit.train.data import Source
from adiabit.train.network import Network
from adiabit.train.topology import ModelConfig

PIXEL_BITS = 8
BIPOLAR: dict[str, Any] = {"bits": 1, "kind": Kind.BIPOLAR}
COUNTS: dict[str, Any] = {"bits": 2, "kind": Kind.UNSIGNED}  # steps of a branch that a shortcut of -1 and +1 selects


def outline(model: ModelConfig, source: Source, config: CompileConfig) -> Accelerator:
    """The stages of a network on frames of `source`, one lane per stream, named as the compiler names them."""
    frame = model.frame(source.shape)
    net = Network(model, "ste", frame=frame, classes=source.classes)
    drawing = _Drawing(Stream(name="image", shape=frame, bits=PIXEL_BITS, kind=Kind.UNSIGNED, lanes=1))
    drawing.draw(net)
    drawing.end(label=config.label_select and source.classes > 1)
    return fused(Accelerator(name=config.name, stages=tuple(_merged(drawing.stages))))


class _Drawing:
    """The stages so far, and the stream that the next module reads."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.stages, self.counts = stream, list[Stage](), dict[str, int]()
        self.product: MatrixVector | None = None  # the last, until it gets thresholds
        self.pools: list[tuple[int, int]] = []  # between it and its thresholds
        self.mean = False  # whether an average of bits waits for the last product

    def draw(self, module: nn.Module) -> None:
        """Append the stages of a module."""
        if isinstance(module, layers.BinaryActivation):
            self._quantize(BIPOLAR)
        elif isinstance(module, layers.Stream):
            self._quantize({"bits": module.quantizer.bits, "kind": Kind.SIGNED})
        elif isinstance(module, layers.BinaryConv2d | layers.BinaryLinear):
            self._multiply(module)
        elif isinstance(module, layers.Pad):
            front, rows, columns, back = module.sides
            self._pad((rows, columns), (front, back), round(module.value))
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d | layers.Mean):
            self._pool(module)
        elif isinstance(module, nn.Flatten):
            self._flatten()
        elif isinstance(module, layers.Residual):
            self._residual(module)
        elif isinstance(module, layers.Concatenation):
            self._concatenate(module)
        elif isinstance(module, nn.Sequential):
            for child in module:  # `children` leaves out a module that is there twice
                self.draw(child)
        elif isinstance(module, layers.PixelSign):
            self.draw(module.sign)

    def end(self, *, label: bool) -> None:
        """The sums of the last product, and the label."""
        self._sums()
        if self.mean:
            self._sum(self.stream.shape[:2])
            self._flatten()
        if label:
            bits = (self.stream.elements - 1).bit_length()
            self._add(LabelSelect, "label", {"shape": (1,), "bits": bits, "kind": Kind.UNSIGNED})

    def _add(self, stage: type[Stage], name: str, changes: dict[str, Any], **fields: Any) -> None:
        """Append a stage whose output stream is its input with `changes`."""
        out = dataclasses.replace(self.stream, name=f"{name}_out", **changes)
        self.stages.append(stage(name=name, inputs=(self.stream,), outputs=(out,), **fields))
        self.stream = out

    def _name(self, kind: str) -> str:
        count = self.counts.get(kind, 0)
        self.counts[kind] = count + 1
        return f"{kind}{count}"

    def _quantize(self, kind: dict[str, Any]) -> None:
        """Thresholds of the last product, or as a stage of their own."""
        steps = np.zeros((self.stream.channels, 2 ** kind["bits"] - 1))
        if self.product is None:
            self._add(Threshold, self._name("threshold"), kind, thresholds=steps)
            return
        out = dataclasses.replace(self.product.outputs[0], **kind)
        self.stages.append(dataclasses.replace(self.product, outputs=(out,), thresholds=steps))
        self.stream, self.product = out, None
        for kernel in self.pools:
            self._max(kernel)
        self.pools = []

    def _multiply(self, module: layers.BinaryConv2d | layers.BinaryLinear) -> None:
        rows, convolution = len(module.weight), isinstance(module, layers.BinaryConv2d)
        if convolution:
            rows_pad, columns_pad = (int(n) for n in module.padding)
            if rows_pad or columns_pad:
                self._pad((rows_pad, columns_pad), (0, 0), 0)
            self._window(module)
        else:
            self._flatten(keep=self.mean)
        shape = (*self.stream.shape[:-1], rows)
        name = self._name("conv" if len(shape) > 1 else "fc")
        bare = Stream(name=f"{name}_out", shape=shape, bits=32, kind=Kind.SIGNED, lanes=1)
        weights = self._weights(rows, module.quantizer)
        self.product = MatrixVector(name=name, inputs=(self.stream,), outputs=(bare,), weights=weights)
        self.stream = bare

    def _weights(self, rows: int, quantizer: nn.Module) -> Ints:
        """Half negative and half positive, roughly as in trained weights, of the largest magnitude."""
        most = int(quantizer.most) if isinstance(quantizer, layers.IntegerQuantizer) else 1
        columns = self.stream.channels
        return np.where((np.arange(rows)[:, None] + np.arange(columns)) % 2, most, -most)

    def _sums(self) -> None:
        """The last product without thresholds."""
        assert self.product is not None  # noqa: S101  # a network ends with a product
        kind, bits = integer_type(*self.product.accumulator_range)
        self.stream = dataclasses.replace(self.stream, bits=bits, kind=kind)
        self.stages.append(dataclasses.replace(self.product, outputs=(self.stream,)))

    def _window(self, module: layers.BinaryConv2d) -> None:
        kernel, stride, dilation = (
            (int(n[0]), int(n[1])) for n in (module.kernel_size, module.stride, module.dilation)
        )
        if kernel == stride == (1, 1):
            return
        height, width, channels = self.stream.shape
        grid = [
            (side - (k - 1) * d - 1) // s + 1
            for side, k, d, s in zip((height, width), kernel, dilation, stride, strict=True)
        ]
        changes = {"shape": (*grid, math.prod(kernel) * channels)}
        self._add(Window, self._name("window"), changes, kernel=kernel, stride=stride, dilation=dilation)

    def _pad(self, sides: tuple[int, int], channels: tuple[int, int], value: int) -> None:
        height, width, depth = self.stream.shape
        shape = (height + 2 * sides[0], width + 2 * sides[1], sum(channels) + depth)
        fields = {"before": sides, "after": sides, "value": value, "channels": channels}
        self._add(Pad, self._name("pad"), {"shape": shape}, **fields)

    def _pool(self, module: nn.MaxPool2d | nn.AvgPool2d | layers.Mean) -> None:
        if isinstance(module, layers.Mean):
            self.mean = self.stream.kind is Kind.BIPOLAR
            if not self.mean:
                self._sum(self.stream.shape[:2])
            return
        size: Any = module.kernel_size
        kernel = (int(size[0]), int(size[1]))
        if isinstance(module, nn.AvgPool2d):
            self._sum(kernel)
        elif self.product is not None:
            self.pools.append(kernel)
        else:
            self._max(kernel)

    def _max(self, kernel: tuple[int, int]) -> None:
        rows, columns, channels = self.stream.shape
        shape = (rows // kernel[0], columns // kernel[1], channels)
        self._add(Pool, self._name("pool"), {"shape": shape}, kernel=kernel)

    def _sum(self, kernel: tuple[int, ...]) -> None:
        rows, columns, channels = self.stream.shape
        low, high = (0, 1) if self.stream.kind is Kind.BIPOLAR else self.stream.range
        kind, bits = integer_type(math.prod(kernel) * low, math.prod(kernel) * high)
        changes = {"shape": (rows // kernel[0], columns // kernel[1], channels), "bits": bits, "kind": kind}
        self._add(SumPool, self._name("sum"), changes, kernel=kernel)

    def _flatten(self, *, keep: bool = False) -> None:
        """Make the stage before write its elements as a flat vector; not those that an average waits for."""
        if keep or (self.mean and self.product is None):
            return
        flat = dataclasses.replace(self.stream, shape=(self.stream.elements,))
        for k, stage in enumerate(self.stages):
            if self.stream in stage.outputs:
                outputs = tuple(flat if out == self.stream else out for out in stage.outputs)
                self.stages[k] = dataclasses.replace(stage, outputs=outputs)
        self.stream = flat

    def _fork(self, count: int) -> tuple[Stream, ...]:
        name = self._name("fork")
        outputs = tuple(dataclasses.replace(self.stream, name=f"{name}_out{k}") for k in range(count))
        self.stages.append(Fork(name=name, inputs=(self.stream,), outputs=outputs))
        return outputs

    def _residual(self, module: layers.Residual) -> None:
        first, second = self._fork(2)
        self.stream = first
        self.draw(module.branch)
        if self.product is not None:
            self._quantize(COUNTS)
        branch, self.stream = self.stream, second
        self.draw(module.shortcut)
        (low, high), (least, most) = branch.range, self.stream.range
        kind, bits = integer_type(low + least, high + most)
        name = self._name("add")
        out = dataclasses.replace(branch, name=f"{name}_out", bits=bits, kind=kind)
        self.stages.append(Add(name=name, inputs=(branch, self.stream), outputs=(out,)))
        self.stream = out
        self.draw(module.after)

    def _concatenate(self, module: layers.Concatenation) -> None:
        empty = [not list(branch.children()) for branch in module.branches]
        order = sorted(range(len(empty)), key=empty.__getitem__)  # what only joins is last
        made = {}
        for stream, k in zip(self._fork(len(order)), order, strict=True):
            self.stream = stream
            self.draw(module.branches[k])
            made[k] = self.stream
        ends = [made[k] for k in range(len(order))]
        name = self._name("concat")
        shape = (*ends[0].shape[:-1], sum(end.channels for end in ends))
        out = dataclasses.replace(ends[0], name=f"{name}_out", shape=shape)
        self.stages.append(Concat(name=name, inputs=tuple(ends), outputs=(out,)))
        self.stream = out


def _merged(stages: list[Stage]) -> list[Stage]:
    """The stages with one fork for all readers of a stream."""
    while True:
        forks = {out.name: stage for stage in stages if isinstance(stage, Fork) for out in stage.outputs}
        inner = next((s for s in stages if isinstance(s, Fork) and s.inputs[0].name in forks), None)
        if inner is None:
            return _renamed(stages)
        outer = forks[inner.inputs[0].name]
        outputs = [o for out in outer.outputs for o in (inner.outputs if out == inner.inputs[0] else (out,))]
        merged = dataclasses.replace(outer, outputs=tuple(outputs))
        stages = [merged if s is outer else s for s in stages if s is not inner]


def _renamed(stages: list[Stage]) -> list[Stage]:
    """The stages with forks numbered in order, and their outputs too."""
    names: dict[str, str] = {}
    forks = [stage for stage in stages if isinstance(stage, Fork)]
    for k, fork in enumerate(forks):
        names |= {fork.name: f"fork{k}", **{out.name: f"fork{k}_out{i}" for i, out in enumerate(fork.outputs)}}

    def ends(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
        return tuple(dataclasses.replace(s, name=names.get(s.name, s.name)) for s in streams)

    return [
        dataclasses.replace(s, name=names.get(s.name, s.name), inputs=ends(s.inputs), outputs=ends(s.outputs))
        for s in stages
    ]
