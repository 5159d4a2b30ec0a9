# SPDX-License-Identifier: Apache-2.0
"""Padding of images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.images import ImageStage, code_of, image, pair, raster
from adiabit.hw.stages.integers import Array, divisors
from adiabit.hw.stages.modules import counters, fifo
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind, Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(ImageStage):
    """Surrounds an image (H, W, C) with rows and columns of one value, or each of its pixels with channels of it."""

    before: tuple[int, int]  # rows above, columns on the left
    after: tuple[int, int]  # rows below, columns on the right
    value: int  # of each element
    channels: tuple[int, int] = (0, 0)  # before and after those of each pixel; then there are no rows and columns

    def check(self) -> None:
        """Check shapes and the value."""
        super().check()
        height, width, channels = self._image_shape()
        a, b = self.input, self.output
        if min(*self.before, *self.after, *self.channels) < 0 or (a.bits, a.kind, a.lanes) != (b.bits, b.kind, b.lanes):
            self.refuse(f"before {self.before}, after {self.after}, input {a}, output {b}: pads must not be negative, "
                         "and elements and lanes must be equal")  # fmt: skip
        (top, left), (bottom, right) = self.before, self.after
        if max(self.channels) and max(*self.before, *self.after):
            self.refuse(f"pads by {self.before}, {self.after} and channels {self.channels}; pad channels by a stage of "
                        "their own")  # fmt: skip
        front, back = self.channels
        self._check_output(b, top + height + bottom, left + width + right, front + channels + back)
        if any(n % a.lanes for n in self.channels):
            self.refuse(f"{a.lanes} lanes do not divide {self.channels} channels of padding")
        low, high = a.range
        if not low <= self.value <= high or (a.kind is Kind.BIPOLAR and self.value == 0):
            self.refuse(f"padding value {self.value} is not a value of {a}")

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The padded image."""
        (top, left), (bottom, right) = self.before, self.after
        around = ((0, 0), (top, bottom), (left, right), self.channels)
        return (np.pad(values[0], around, constant_values=self.value),)

    def rtl(self) -> Instance:
        """`bnn_pad`."""
        a = self._grid
        (top, left), (bottom, right) = self._sides
        return Instance(
            module="bnn_pad",
            parameters={
                **raster(a), "Width": a.width, "Lanes": a.lanes, "Top": top, "Left": left, "Bottom": bottom,
                "Right": right, "Value": code_of(self.value, a),
            },
        )  # fmt: skip

    @property
    def _grid(self) -> Stream:
        """The input; where channels are padded, as an image of one row a pixel, whose columns are the pixel's words."""
        a = self.input
        return dataclasses.replace(a, shape=(a.pixels, a.words, a.lanes)) if max(self.channels) else a

    @property
    def _sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns before and after `_grid`."""
        if not max(self.channels):
            return self.before, self.after
        front, back = (n // self.input.lanes for n in self.channels)
        return (0, front), (0, back)

    def foldings(self) -> Sequence[Folding]:
        """Lanes that divide the channels, and those of the padding."""
        return [Folding(pe=lanes) for lanes in divisors(self._common)]

    def check_folding(self, folding: Folding) -> None:
        """Refuse lanes that do not divide the channels, or those of the padding."""
        self._check_divides("pe", folding.pe, self._common, {f.pe for f in self.foldings()})

    @property
    def _common(self) -> int:
        """The largest number of lanes."""
        return math.gcd(self.input.channels, *self.channels)

    def hls(self) -> Call:
        """`pad`."""
        value = int(self.value > 0) if self.input.kind is Kind.BIPOLAR else self.value
        before, after = self._sides
        template = [image(self._grid), pair("Before", before), pair("After", after), value]
        return Call(function="pad", header="bnn_pad.hpp", template=template)

    def schedule(self) -> Schedule:
        """Sends a beat of the padded image a cycle; takes no input while it sends padding."""
        a, sides = self._grid, self._sides
        inside = np.pad(np.ones(a.shape[:2], np.int64), list(zip(*sides, strict=True)))
        given = np.repeat(inside.ravel(), a.words).cumsum()
        position = np.flatnonzero(np.repeat(inside.ravel(), a.words))
        intake = Intake(
            turns=a.beats, beats={0: np.arange(a.beats)}, room={0: Wait(position - 1, 1)}, made={0: Wait(position, 0)}
        )
        emission = Emission(needs={0: Wait(given, 1)}, room=Wait(np.arange(len(given)) - 1, 2))
        return Schedule(intakes=(intake,), emissions=(emission,))

    def terms(self, folding: Folding) -> Terms:
        """Counters and a skid buffer."""
        bits, (rows, columns, channels) = folding.pe * self.input.bits, self.output.shape
        raster = counters(channels // folding.pe, rows, columns)
        return summed(raster, fifo(bits), {"choice": bits})

    def caption(self) -> Caption:
        """Padding on each side and its value, and SIMD."""
        (top, left), (bottom, right) = self.before, self.after
        if max(self.channels):
            text = f"{self.channels[0]} + {self.channels[1]} channels of {self.value:+d}"
            return Caption(tag="pad", lines=(text, f"SIMD {self.input.lanes}"))
        return Caption(
            tag="pad", lines=(f"{top},{left} + {bottom},{right} of {self.value:+d}", f"SIMD {self.input.lanes}")
        )
