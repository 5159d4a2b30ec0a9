# SPDX-License-Identifier: Apache-2.0
"""FIFO buffers, and a check that they share with width converters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from adiabit.hw.stages import modules
from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Unary
from adiabit.hw.stages.cost import Terms, ram_blocks
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.schedule import Schedule, passing


@dataclass(frozen=True, kw_only=True, eq=False)
class Fifo(Unary):
    """A first-in first-out buffer of `depth` beats, at least 2."""

    depth: int
    plumbing: ClassVar[bool] = True

    def check(self) -> None:
        """Check the depth, and that the streams are equal."""
        super().check()
        check_same_elements(self)
        if self.depth < 2 or self.input.lanes != self.output.lanes:
            self.refuse(f"depth {self.depth} and {self.input.lanes} to {self.output.lanes} lanes; "
                         "a FIFO holds at least 2 beats and keeps the lanes")  # fmt: skip

    @property
    def capacity(self) -> int:
        """The depth."""
        return self.depth

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The input."""
        return values

    def rtl(self) -> Instance:
        """`bnn_fifo`."""
        return Instance(module="bnn_fifo", parameters={"Width": self.input.width, "Depth": self.depth})

    def hls(self) -> Call:
        """`fifo`; its depth is set on the stream that it reads."""
        return Call(function="fifo", header="bnn_fifo.hpp", template=[self.input.elements])

    def schedule(self) -> Schedule:
        """One cycle of latency when empty."""
        return passing(self.input.beats, depth=self.depth, latency=1)

    def terms(self, folding: Folding) -> Terms:
        """The module's."""
        return modules.fifo(self.input.bits * folding.pe, self.depth)

    def block_rams(self, folding: Folding) -> int:
        """Those of a RAM too large for LUTs."""
        return ram_blocks(self.input.bits * folding.pe, self.depth - 1)

    def caption(self) -> Caption:
        """The depth."""
        return Caption(tag="FIFO", lines=(f"{self.depth:,} beats",), width=112)


def check_same_elements(stage: Unary) -> None:
    """Refuse a stage whose output elements differ from its input elements."""
    a, b = stage.input, stage.output
    if (a.elements, a.bits, a.kind) != (b.elements, b.bits, b.kind):
        stage.refuse(f"input {a} and output {b} may differ only in lanes and shape")
