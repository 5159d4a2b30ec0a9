# SPDX-License-Identifier: Apache-2.0
"""Pooling: each block of an image becomes one pixel, the largest element of each channel or their sum."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.images import ImageStage, image, pair, raster, sides
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.modules import counters, fifo, index_bits, lut_ram
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduction(ImageStage):
    """Reduces each block of pixels to one, channel by channel. Rows and columns that fill no block are dropped."""

    @property
    @abstractmethod
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block."""

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks (OH, OW)."""
        return self.input.shape[0] // self.block[0], self.input.shape[1] // self.block[1]

    def _blocks(self, x: Array) -> Array:
        """Blocks (F, OH, KH, OW, KW, C) of an image."""
        (rows, columns), (height, width) = self.grid, self.block
        return x[:, : rows * height, : columns * width].reshape(len(x), rows, height, columns, width, -1)

    def _instance(self, operation: str) -> Instance:
        """`bnn_reduce` with an operation, "max" or "sum"."""
        a = self.input
        return Instance(
            module="bnn_reduce",
            parameters={
                **raster(a), "Lanes": a.lanes, "InWidth": a.bits, "InKind": a.kind.value, "OutWidth": self.output.bits,
                "Operation": operation, "KernelRows": self.block[0], "KernelColumns": self.block[1],
            },
        )  # fmt: skip

    def schedule(self) -> Schedule:
        """Takes a beat a cycle; the last pixel of a block puts its result into a skid buffer."""
        (rows, columns), (down, across), (height, width, _) = self.block, self.grid, self.input.shape
        last = np.zeros((height, width), np.int64)
        last[rows - 1 : down * rows : rows, columns - 1 : across * columns : columns] = 1
        ends = np.repeat(last.ravel(), self.input.words)
        before = ends.cumsum() - ends
        taken = np.arange(len(ends))
        intake = Intake(turns=len(ends), beats={0: taken}, room={0: Wait(before - 1, 1)})
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(np.flatnonzero(ends) + 1, 1)}),))

    @abstractmethod
    def _lane_terms(self, bits: int) -> Terms:
        """The operation on results of so many bits."""

    def terms(self, folding: Folding) -> Terms:
        """A row of partial results in LUT-RAM, the operation and a skid buffer of each lane, and counters."""
        bits, words = folding.pe * self.output.bits, self.input.channels // folding.pe
        places = self.grid[1] * words
        raster = counters(words, *self.input.shape[:2], *self.block, term="raster")
        # A bit of the memory is chosen, or that of the beat before.
        return summed(lut_ram(bits, places), raster, fifo(bits), self._lane_terms(bits), {
            "choice": bits,
            "raster": 2 * index_bits(places),
            "register": bits + (3 + (words > 1)) * index_bits(places) + 4,
        })  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Reduction):
    """Largest element of each KH x KW block of an image (H, W, C), which for -1 and +1 is OR. Blocks do not overlap.

    Rows and columns that fill no block are dropped. For overlapping blocks, a `Window` writes (OH, OW * KH * KW, C) and
    a `Pool` of (1, KH * KW) follows.
    """

    kernel: tuple[int, int]

    @property
    def block(self) -> tuple[int, int]:
        """The kernel."""
        return self.kernel

    def check(self) -> None:
        """Check shapes and lanes."""
        super().check()
        _, _, channels = self._image_shape()
        a, b = self.input, self.output
        if min(self.kernel) < 1 or min(self.grid) < 1 or (a.bits, a.kind, a.lanes) != (b.bits, b.kind, b.lanes):
            self.refuse(f"kernel {self.kernel}, input {a}, output {b}: a block must lie in the image, and elements and "
                         "lanes must be equal")  # fmt: skip
        self._check_output(b, *self.grid, channels)

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Largest element of each block (F, OH, OW, C)."""
        return (self._blocks(values[0]).max(axis=(2, 4)),)

    def _lane_terms(self, bits: int) -> Terms:
        return {"choice": bits, "compare": bits if self.output.bits > 1 else 0}

    def rtl(self) -> Instance:
        """`bnn_reduce`."""
        return self._instance("max")

    def hls(self) -> Call:
        """`pool`."""
        template = [image(self.input), pair("Kernel", self.kernel)]
        return Call(function="pool", header="bnn_reduce.hpp", template=template)

    def caption(self) -> Caption:
        """Kernel and PE."""
        return Caption(tag="max pool", lines=(sides(self.kernel), f"PE {self.input.lanes}"))


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool(Reduction):
    """Sum of each KH x KW block of an image (H, W, C); for bipolar elements, the number of +1. Blocks do not overlap.

    This is an average pool without the division, which the next thresholds absorb. The sum of a whole image may be a
    vector (C,).
    """

    kernel: tuple[int, int]

    @property
    def block(self) -> tuple[int, int]:
        """The kernel."""
        return self.kernel

    def check(self) -> None:
        """Check shapes and lanes, and that the sums fit."""
        super().check()
        _, _, channels = self._image_shape()
        a, b = self.input, self.output
        if min(self.kernel) < 1 or min(self.grid) < 1:
            self.refuse(f"kernel {self.kernel}, input {a}: a block must lie in the image")
        low, high = self.sums
        if a.lanes != b.lanes or not b.holds(low, high):
            self.refuse(f"sums from {low} to {high} of {a} do not fit {b} at equal lanes")
        self._check_output(b, *self.grid, channels)

    @property
    def sums(self) -> tuple[int, int]:
        """Smallest and largest sum."""
        low, high = (0, 1) if self.input.kind is Kind.BIPOLAR else self.input.range
        pixels = math.prod(self.kernel)
        return pixels * low, pixels * high

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Sums (F, OH, OW, C)."""
        ones = values[0] > 0 if self.input.kind is Kind.BIPOLAR else values[0]
        return (self._blocks(ones).sum(axis=(2, 4), dtype=np.int32),)

    def _lane_terms(self, bits: int) -> Terms:  # noqa: ARG002  # an adder's LUTs choose, too
        return {}

    def rtl(self) -> Instance:
        """`bnn_reduce`."""
        return self._instance("sum")

    def hls(self) -> Call:
        """`sum_pool`."""
        template = [image(self.input), pair("Kernel", self.kernel)]
        return Call(function="sum_pool", header="bnn_reduce.hpp", template=template)

    def caption(self) -> Caption:
        """Kernel, and PE."""
        return Caption(tag="sum pool", lines=(sides(self.kernel), f"PE {self.input.lanes}"))
