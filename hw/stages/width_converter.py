# SPDX-License-Identifier: Apache-2.0
"""Width converters, which change the number of lanes of a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Unary
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.fifo import check_same_elements
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.modules import fifo, index_bits
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait

ENABLED = 3  # bits of an index that a LUT5 decodes together with a handshake


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthConverter(Unary):
    """Regroups the elements of a stream into more or fewer lanes, in order; one lane count must divide the other."""

    plumbing: ClassVar[bool] = True

    def check(self) -> None:
        """Check that only lanes and shape change, and the ratio."""
        super().check()
        check_same_elements(self)
        if self._wide % self._narrow:
            self.refuse(
                f"{self.input.lanes} to {self.output.lanes} lanes: one must divide the other; use two converters"
            )

    @property
    def _wide(self) -> int:
        return max(self.input.lanes, self.output.lanes)

    @property
    def _narrow(self) -> int:
        return min(self.input.lanes, self.output.lanes)

    @property
    def _ratio(self) -> int:
        return self._wide // self._narrow

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The input."""
        return values

    def rtl(self) -> Instance:
        """`bnn_width_converter`."""
        up = int(self.output.lanes >= self.input.lanes)
        narrow = self._narrow * self.input.bits
        return Instance(module="bnn_width_converter", parameters={"Narrow": narrow, "Ratio": self._ratio, "Up": up})

    def hls(self) -> Call:
        """`width_converter`."""
        return Call(function="width_converter", header="bnn_width_converter.hpp", template=[self.input.elements])

    def schedule(self) -> Schedule:
        """A register as wide as a wide beat, and a skid buffer of two beats on the narrow side."""
        ratio, taken, given = self._ratio, np.arange(self.input.beats), np.arange(self.output.beats)
        if self.output.lanes >= self.input.lanes:
            # While a wide beat waits no narrow one moves: the next beat's first does in the cycle in which it leaves.
            room, made = Wait((taken - 2) // ratio, 1 + (taken - 2) % ratio), {}
            needs, leave = Wait((given + 1) * ratio, 2), Wait(given, ratio)
        else:
            room, made = Wait(taken * ratio - 2, 1), {0: Wait(taken * ratio, -1)}
            needs, leave = Wait(given // ratio + 1, 2), Wait(given - 1, 2)
        intake = Intake(turns=len(taken), beats={0: taken}, room={0: room}, made=made)
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: needs}, room=leave),))

    def terms(self, folding: Folding) -> Terms:  # noqa: ARG002  # its lanes are its neighbours'
        """A register on the wide side, and a skid buffer on the narrow side."""
        return conversion_terms(self.input.bits, self.input.lanes, self.output.lanes)

    def lanes(self, folding: Folding) -> Lanes:  # noqa: ARG002
        """The current lanes."""
        return Lanes((self.input.lanes,), (self.output.lanes,))

    def caption(self) -> Caption:
        """The lanes."""
        return Caption(tag="width", lines=(f"{self.input.lanes} → {self.output.lanes} lanes",), width=112)


def conversion_terms(bits: int, source: int, target: int) -> Terms:
    """Cost terms of a converter from `source` to `target` lanes of `bits` each."""
    wide, narrow = bits * max(source, target), bits * min(source, target)
    ratio, part = wide // narrow, index_bits(wide // narrow)
    # Each narrow beat of a wide one has an enable, of which a LUT makes two if part and handshake are its five inputs.
    enables = ratio if part > ENABLED else math.ceil(ratio / 2)
    return summed(fifo(narrow), {
        "convert": 1,
        "choice": wide - narrow if source > target else enables,
        "register": wide + part + 1,
    })  # fmt: skip
