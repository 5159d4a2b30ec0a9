# SPDX-License-Identifier: Apache-2.0
"""A kind of stage outside the package: one Python file, one `.sv`, one `.hpp`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.hw.stages import Array, Call, Caption, Folding, Instance, Kind, Unary
from adiabit.hw.stages.cost import Terms
from adiabit.hw.stages.modules import fifo
from adiabit.hw.stages.schedule import Schedule, passing

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, eq=False)
class Negate(Unary):
    """-1 for +1 and +1 for -1."""

    def check(self) -> None:
        """Check that the elements are bipolar and stay so."""
        super().check()
        a, b = self.input, self.output
        if {a.kind, b.kind} != {Kind.BIPOLAR} or (a.elements, a.lanes) != (b.elements, b.lanes):
            self.refuse(f"input {a} and output {b} must have equal bipolar elements and lanes")

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The opposite of each element."""
        return (-values[0],)

    def rtl(self) -> Instance:
        """`toy_negate`."""
        return Instance(module="toy_negate", parameters={"Width": self.input.width}, library=HERE)

    def hls(self) -> Call:
        """`negate`."""
        return Call(function="negate", header="toy_negate.hpp", template=[self.input.elements], library=HERE)

    def schedule(self) -> Schedule:
        """A skid buffer."""
        return passing(self.input.beats, depth=2, latency=1)

    def terms(self, folding: Folding) -> Terms:
        """The skid buffer; the inverters are free."""
        return fifo(folding.pe)

    def caption(self) -> Caption:
        """The channels."""
        return Caption(tag="negate", lines=(f"{self.input.channels} channels",))
