# SPDX-License-Identifier: Apache-2.0
"""Forks: one stream for several readers."""

from __future__ import annotations

from dataclasses import dataclass

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Stage
from adiabit.hw.stages.cost import Terms
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.schedule import Schedule, passing
from adiabit.hw.stages.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Fork(Stage):
    """Copies each beat to every output. A reader may run one beat ahead of the others, further with a `Fifo` after."""

    def check(self) -> None:
        """Check that the outputs carry the input's elements."""
        if len(self.inputs) != 1 or len(self.outputs) < 2:
            self.refuse(f"{len(self.inputs)} inputs and {len(self.outputs)} outputs; a fork has one input and at least "
                        "two outputs")  # fmt: skip
        a = self.input
        for b in self.outputs:
            if (a.elements, a.bits, a.kind, a.lanes) != (b.elements, b.bits, b.kind, b.lanes):
                self.refuse(f"input {a} and output {b} must have equal elements and lanes")

    @property
    def input(self) -> Stream:
        """The input stream."""
        return self.inputs[0]

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The input, for each output."""
        return values * len(self.outputs)

    def rtl(self) -> Instance:
        """`bnn_fork`."""
        return Instance(module="bnn_fork", parameters={"Width": self.input.width, "Outputs": len(self.outputs)})

    def hls(self) -> Call:
        """`fork`."""
        return Call(function="fork", header="bnn_fork.hpp", template=[self.input.elements])

    def schedule(self) -> Schedule:
        """One register, which takes the next beat in the cycle in which the last reader takes this one."""
        return passing(self.input.beats, depth=1, latency=1, outputs=len(self.outputs), reuse=0)

    def terms(self, folding: Folding) -> Terms:
        """The register, and a valid bit for each reader."""
        readers = len(self.outputs)
        return {"register": folding.pe * self.input.bits + readers, "gate": 1 + readers}

    def caption(self) -> Caption:
        """Number of readers."""
        return Caption(tag="fork", lines=(f"to {len(self.outputs)}",), width=112)
