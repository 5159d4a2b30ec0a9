# SPDX-License-Identifier: Apache-2.0
"""Class labels: the index of the largest element of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Unary
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.integers import Array
from adiabit.hw.stages.modules import counters, credit_fifo, index_bits
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSelect(Unary):
    """Index of the largest channel of each pixel; the lowest index wins a tie. Output: one unsigned element a pixel."""

    labels: ClassVar[bool] = True

    def check(self) -> None:
        """Check that the output holds an index of each pixel."""
        super().check()
        a, b = self.input, self.output
        need = max(1, (a.channels - 1).bit_length())
        if b.channels != 1 or b.elements != a.pixels or b.kind is not Kind.UNSIGNED or b.bits < need:
            self.refuse(
                f"output {b} must be one unsigned element of at least {need} bits for each of {a.pixels} pixels"
            )

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Labels (F, pixels)."""
        labels: Array = values[0].reshape(len(values[0]), self.input.pixels, -1).argmax(axis=2)
        return (labels.astype(np.int32),)

    def rtl(self) -> Instance:
        """`bnn_label_select`."""
        a = self.input
        return Instance(
            module="bnn_label_select",
            parameters={
                "Elements": a.channels,
                "Lanes": a.lanes,
                "InWidth": a.bits,
                "Signed": int(a.kind is Kind.SIGNED),
                "OutWidth": self.output.bits,
            },
        )

    def hls(self) -> Call:
        """`label_select`."""
        return Call(
            function="label_select", header="bnn_label_select.hpp", template=[self.input.pixels, self.input.channels]
        )

    def schedule(self) -> Schedule:
        """A tree of comparisons; the first beat of a pixel waits until there is room for its label."""
        beats, words, tree = self.input.beats, self.input.words, (self.input.lanes - 1).bit_length()
        depth, turns = math.ceil((tree + 3) / words) + 1, np.arange(beats)
        intake = Intake(turns=beats, beats={0: turns}, room={0: Wait(turns // words + 1 - depth, 1)})
        labelled = words * np.arange(1, self.input.pixels + 1)
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(labelled, tree + 2)}),))

    def terms(self, folding: Folding) -> Terms:
        """A tree of comparisons of value and index, and the largest element so far."""
        lanes, index, beats = folding.pe, self.output.bits, self.input.channels // folding.pe
        word, depth = self.input.bits + index, index_bits(lanes)
        nodes = sum(math.ceil(lanes / 2**level) for level in range(1, depth + 1))
        return summed(counters(beats), credit_fifo(index, depth + 1, beats), {
            "label": 1,
            "compare": lanes * self.input.bits,
            "choice": (lanes - 1) * word,
            "counter": index if beats > 1 else 0,
            "register": (nodes + 1) * word + 3 * depth + 1 + (index if beats > 1 else 0),
        })  # fmt: skip

    def lanes(self, folding: Folding) -> Lanes:
        """One label of a pixel out."""
        return Lanes((folding.pe,), (1,))

    def caption(self) -> Caption:
        """Number of elements."""
        return Caption(tag="arg max", lines=(f"of {self.input.channels}",))
