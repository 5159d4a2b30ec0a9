# SPDX-License-Identifier: Apache-2.0
"""Padding of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance
from adiabit.hw.stages.cost import Terms
from adiabit.hw.stages.images import ImageStage, code_of, image, pair, raster
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(ImageStage):
    """Surrounds an image (H, W, C) with rows and columns of one value."""

    before: tuple[int, int]  # rows above, columns on the left
    after: tuple[int, int]  # rows below, columns on the right
    value: int  # of each element

    def check(self) -> None:
        """Check shapes and the value."""
        super().check()
        height, width, channels = self._image_shape()
        a, b = self.input, self.output
        if min(*self.before, *self.after) < 0 or (a.bits, a.kind, a.lanes) != (b.bits, b.kind, b.lanes):
            self.refuse(f"before {self.before}, after {self.after}, input {a}, output {b}: pads must not be negative, "
                         "and elements and lanes must be equal")  # fmt: skip
        (top, left), (bottom, right) = self.before, self.after
        self._check_output(b, top + height + bottom, left + width + right, channels)
        low, high = a.range
        if not low <= self.value <= high or (a.kind is Kind.BIPOLAR and self.value == 0):
            self.refuse(f"padding value {self.value} is not a value of {a}")

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The padded image."""
        (top, left), (bottom, right) = self.before, self.after
        around = ((0, 0), (top, bottom), (left, right), (0, 0))
        return (np.pad(values[0], around, constant_values=self.value),)

    def rtl(self) -> Instance:
        """`bnn_pad`."""
        a = self.input
        (top, left), (bottom, right) = self.before, self.after
        return Instance(
            module="bnn_pad",
            parameters={
                **raster(a), "Width": a.width, "Lanes": a.lanes, "Top": top, "Left": left, "Bottom": bottom,
                "Right": right, "Value": code_of(self.value, a),
            },
        )  # fmt: skip

    def hls(self) -> Call:
        """`pad`."""
        value = int(self.value > 0) if self.input.kind is Kind.BIPOLAR else self.value
        template = [image(self.input), pair("Before", self.before), pair("After", self.after), value]
        return Call(function="pad", header="bnn_pad.hpp", template=template)

    def schedule(self) -> Schedule:
        """Sends a beat of the padded image a cycle; takes no input while it sends padding."""
        a = self.input
        inside = np.pad(np.ones(a.shape[:2], np.int64), [(b, c) for b, c in zip(self.before, self.after, strict=True)])
        given = np.repeat(inside.ravel(), a.words).cumsum()
        position = np.flatnonzero(np.repeat(inside.ravel(), a.words))
        intake = Intake(
            turns=a.beats, beats={0: np.arange(a.beats)}, room={0: Wait(position - 1, 1)}, made={0: Wait(position, 0)}
        )
        emission = Emission(needs={0: Wait(given, 1)}, room=Wait(np.arange(len(given)) - 1, 2))
        return Schedule(intakes=(intake,), emissions=(emission,))

    def terms(self, folding: Folding) -> Terms:
        """Counters and a skid buffer."""
        return {"fifo": folding.pe * self.input.bits, "raster": 1}

    def caption(self) -> Caption:
        """Padding on each side and its value, and SIMD."""
        (top, left), (bottom, right) = self.before, self.after
        return Caption(
            tag="pad", lines=(f"{top},{left} + {bottom},{right} of {self.value:+d}", f"SIMD {self.input.lanes}")
        )
