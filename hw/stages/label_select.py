# SPDX-License-Identifier: Apache-2.0
"""Class labels: the index of the largest element."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Unary
from adiabit.hw.stages.cost import Terms
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSelect(Unary):
    """Index of the largest element of the frame; the lowest index wins a tie. Output: one unsigned element."""

    labels: ClassVar[bool] = True

    def check(self) -> None:
        """Check that the output holds an index and that the input has an order."""
        super().check()
        need = max(1, (self.input.elements - 1).bit_length())
        if self.output.shape != (1,) or self.output.kind is not Kind.UNSIGNED or self.output.bits < need:
            self.refuse(f"output {self.output} must be one unsigned element of at least {need} bits")
        if self.input.kind is Kind.BIPOLAR:
            self.refuse("a bipolar input cannot rank classes; use accumulators")

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Labels (F, 1)."""
        labels: Array = values[0].reshape(len(values[0]), -1).argmax(axis=1)
        return (labels.astype(np.int32)[:, None],)

    def rtl(self) -> Instance:
        """`bnn_label_select`."""
        a = self.input
        return Instance(
            module="bnn_label_select",
            parameters={
                "Elements": a.elements,
                "Lanes": a.lanes,
                "InWidth": a.bits,
                "Signed": int(a.kind is Kind.SIGNED),
                "OutWidth": self.output.bits,
            },
        )

    def hls(self) -> Call:
        """`label_select`."""
        return Call(function="label_select", header="bnn_label_select.hpp", template=[self.input.elements])

    def schedule(self) -> Schedule:
        """A tree of comparisons; the first beat of a frame waits until there is room for its label."""
        beats, tree = self.input.beats, (self.input.lanes - 1).bit_length()
        depth = math.ceil((tree + 3) / beats) + 1
        room = Wait(np.full(beats, 1 - depth), 1)
        intake = Intake(turns=beats, beats={0: np.arange(beats)}, room={0: room})
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(np.array([beats]), tree + 2)}),))

    def terms(self, folding: Folding) -> Terms:
        """A tree of comparisons of value and index, and the largest element so far."""
        index = max(1, (self.input.elements - 1).bit_length())
        return {"label": folding.pe * (self.input.bits + index), "fifo": index, "stage": 1}

    def lanes(self, folding: Folding) -> Lanes:
        """One label out."""
        return Lanes((folding.pe,), (1,))

    def caption(self) -> Caption:
        """Number of elements."""
        return Caption(tag="arg max", lines=(f"of {self.input.elements}",))
