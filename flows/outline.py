# SPDX-License-Identifier: Apache-2.0
"""The accelerator of a network that is not trained yet, to check its folding.

Weights and thresholds are placeholders. A test compares the outline with what the compiler makes of trained networks.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from adiabit.flows.frontend.config import CompileConfig
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import (
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    Window,
    integer_type,
)
from adiabit.train.blocks import Layer
from adiabit.train.data import Source
from adiabit.train.topology import ModelConfig

PIXEL_BITS = 8
BIPOLAR: dict[str, Any] = {"bits": 1, "kind": Kind.BIPOLAR}


def outline(model: ModelConfig, source: Source, config: CompileConfig) -> Accelerator:
    """The stages of a network on frames of `source`, one lane per stream, named as the compiler names them."""
    pixels = Stream(name="image", shape=model.frame(source.shape), bits=PIXEL_BITS, kind=Kind.UNSIGNED, lanes=1)
    chain = _Chain(pixels)
    if model.input_bits == 1:
        chain.sign()
    for layer in model.blocks:
        if layer.conv is None:
            chain.dense(layer.dense or 0)
        else:
            chain.convolution(layer, layer.conv)
    chain.classes(source.classes, label=config.label_select)
    return Accelerator(name=config.name, stages=tuple(chain.stages))


class _Chain:
    """The stages so far, and their output stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.stages, self.counts = stream, list[Stage](), dict[str, int]()

    def _add(self, stage: type[Stage], name: str, changes: dict[str, Any], **fields: Any) -> None:
        """Append a stage whose output stream is its input with `changes`."""
        out = dataclasses.replace(self.stream, name=f"{name}_out", **changes)
        self.stages.append(stage(name=name, inputs=(self.stream,), outputs=(out,), **fields))
        self.stream = out

    def _name(self, kind: str) -> str:
        count = self.counts.get(kind, 0)
        self.counts[kind] = count + 1
        return f"{kind}{count}"

    def sign(self) -> None:
        steps = np.zeros((self.stream.channels, 1))
        self._add(Threshold, self._name("threshold"), BIPOLAR, thresholds=steps)

    def dense(self, neurons: int) -> None:
        self._flatten()
        self._product("fc", (neurons,))

    def convolution(self, layer: Layer, channels: int) -> None:
        if any(layer.pad):
            rows, columns, depth = self.stream.shape
            shape = (rows + 2 * layer.pad[0], columns + 2 * layer.pad[1], depth)
            value = -1 if self.stream.kind is Kind.BIPOLAR else 0
            self._add(Pad, self._name("pad"), {"shape": shape}, before=layer.pad, after=layer.pad, value=value)
        grid = self._window(layer)
        self._product("conv", (*grid, channels))
        if max(layer.pool) > 1:
            shape = (grid[0] // layer.pool[0], grid[1] // layer.pool[1], channels)
            self._add(Pool, self._name("pool"), {"shape": shape}, kernel=layer.pool)

    def _window(self, layer: Layer) -> tuple[int, int]:
        rows, columns, depth = self.stream.shape
        grid = tuple(
            (side - (k - 1) * d - 1) // s + 1
            for side, k, d, s in zip((rows, columns), layer.kernel, layer.dilation, layer.stride, strict=True)
        )
        if layer.kernel != (1, 1) or layer.stride != (1, 1):
            changes = {"shape": (*grid, math.prod(layer.kernel) * depth)}
            geometry = {key: getattr(layer, key) for key in ("kernel", "stride", "dilation")}
            self._add(Window, self._name("window"), changes, **geometry)
        return grid[0], grid[1]

    def classes(self, count: int, *, label: bool) -> None:
        self._flatten()
        weights = self._weights(count)
        bare = Stream(name="sums", shape=(count,), bits=32, kind=Kind.SIGNED, lanes=1)
        probe = MatrixVector(name="probe", inputs=(self.stream,), outputs=(bare,), weights=weights)
        low, high = probe.accumulator_range
        kind, bits = integer_type(low, high)
        self._add(MatrixVector, self._name("fc"), {"shape": (count,), "bits": bits, "kind": kind}, weights=weights)
        if label and count > 1:
            bits = (count - 1).bit_length()
            self._add(LabelSelect, "label", {"shape": (1,), "bits": bits, "kind": Kind.UNSIGNED})

    def _product(self, name: str, shape: tuple[int, ...]) -> None:
        weights = self._weights(shape[-1])
        steps = np.zeros((shape[-1], 1))
        changes = {"shape": shape, **BIPOLAR}
        self._add(MatrixVector, self._name(name), changes, weights=weights, thresholds=steps)

    def _weights(self, rows: int) -> Ints:
        """Half -1 and half +1, roughly as in trained weights."""
        columns = self.stream.channels
        return np.where((np.arange(rows)[:, None] + np.arange(columns)) % 2, 1, -1)

    def _flatten(self) -> None:
        """Make the previous stage write its elements as a flat vector."""
        self.stream = dataclasses.replace(self.stream, shape=(self.stream.elements,))
        if self.stages:
            self.stages[-1] = dataclasses.replace(self.stages[-1], outputs=(self.stream,))
