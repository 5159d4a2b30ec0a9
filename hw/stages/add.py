# SPDX-License-Identifier: Apache-2.0
"""The sum of two streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Stage
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.modules import fifo
from adiabit.hw.stages.schedule import Schedule, joining
from adiabit.hw.stages.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Stage):
    """a + b, element by element; a bipolar element counts as -1 or +1. The output must be wide enough for every sum."""

    def check(self) -> None:
        """Check that elements and lanes are equal and that the sums fit."""
        self._check_arity(2, 1)
        for a in self.inputs:
            if (a.elements, a.channels, a.lanes) != (self.output.elements, self.inputs[0].channels, self.output.lanes):
                self.refuse(f"input {a} and output {self.output} must have equal elements and lanes")
        low, high = self.sums
        if not self.output.holds(low, high):
            self.refuse(f"sums from {low} to {high} do not fit the output {self.output}")

    @property
    def output(self) -> Stream:
        """The output stream."""
        return self.outputs[0]

    @property
    def sums(self) -> tuple[int, int]:
        """Smallest and largest sum."""
        (low, high), (least, most) = (s.range for s in self.inputs)
        return low + least, high + most

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The sums (F, *shape)."""
        a, b = (v.reshape(len(v), -1).astype(np.int32) for v in values)
        return (a + b,)

    def rtl(self) -> Instance:
        """`bnn_add`."""
        a, b = self.inputs
        return Instance(
            module="bnn_add",
            parameters={
                "Lanes": a.lanes,
                "AWidth": a.bits,
                "AKind": a.kind.value,
                "BWidth": b.bits,
                "BKind": b.kind.value,
                "OutWidth": self.output.bits,
            },
        )

    def hls(self) -> Call:
        """`add`."""
        return Call(function="add", header="bnn_add.hpp", template=[self.output.elements])

    def schedule(self) -> Schedule:
        """Takes a beat of both inputs at once; a skid buffer follows."""
        beats = self.output.beats
        return joining(dict.fromkeys(range(2), np.arange(beats)), beats, depth=2, latency=1)

    def terms(self, folding: Folding) -> Terms:
        """An adder in each lane, and a skid buffer."""
        lanes, bits = folding.pe, self.output.bits
        return summed(fifo(lanes * bits), {"accumulate": lanes * (bits - 1)})

    def caption(self) -> Caption:
        """Channels and PE."""
        return Caption(tag="add", lines=(f"{self.output.channels} channels", f"PE {self.output.lanes}"))
