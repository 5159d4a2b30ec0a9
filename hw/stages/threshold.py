# SPDX-License-Identifier: Apache-2.0
"""Thresholds as a stage of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.integers import Array, Ints
from adiabit.hw.stages.modules import credit_fifo
from adiabit.hw.stages.schedule import Schedule, joining, passing
from adiabit.hw.stages.search import COMPARATORS, steps_latency
from adiabit.hw.stages.stream import Kind
from adiabit.hw.stages.thresholds import Thresholding

QUANTIZER_BITS = 32  # of an element, at most, as in bnn_quantizer.sv


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold(Thresholding):
    """Counts the thresholds that each element reaches (T <= x), one beat a cycle."""

    thresholds: Ints
    arrays: ClassVar[tuple[str, ...]] = ("thresholds", "inverted")

    def check(self) -> None:
        """Check shapes and ranges."""
        self._check_arity(min(max(len(self.inputs), 1), 2), 1)
        if self.input.elements != self.output.elements or self.input.lanes != self.output.lanes:
            self.refuse(f"input {self.input} and output {self.output} must have equal elements and lanes")
        self._check_thresholds(self.input.channels)

    @property
    def value_range(self) -> tuple[int, int]:
        """The input's range."""
        return self.input.range

    @property
    def _signed(self) -> bool:
        return self.input.range[0] < 0

    @property
    def _uniform(self) -> bool:
        """Whether all channels have the same thresholds, like those of an input quantizer."""
        return self.inverted is None and not np.ptp(self.thresholds, axis=0).any()

    @property
    def _quantizer(self) -> bool:
        """Whether `bnn_quantizer` does it: one threshold for all channels, or those that the top bits count."""
        if not self._uniform or self.selector or self.input.bits > QUANTIZER_BITS:
            return False
        spacing = 2 ** max(0, self.input.bits - self.output.bits)
        equal = self.input.range[0] + spacing * np.arange(1, self.steps + 1)
        top = self.input.kind is not Kind.BIPOLAR and self.output.bits <= self.input.bits
        return self.steps == 1 or (top and bool(np.array_equal(self.thresholds[0], equal)))

    @property
    def threshold_rows(self) -> Ints:
        """One row if it is the same for all beats."""
        return super().threshold_rows[: 1 if self._uniform else None]

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Number of thresholds reached (F, *shape)."""
        return (self._activate(values[0], values[1] if self.selector else None),)

    def rtl(self) -> Instance:
        """`bnn_threshold`, or `bnn_quantizer`."""
        a, b = self.input, self.output
        if self._quantizer:
            shape = {"Lanes": a.lanes, "InWidth": a.bits, "InKind": a.kind.value}
            out = {"OutWidth": b.bits, "OutKind": b.kind.value, "Threshold": int(self.threshold_rows[0, 0])}
            return Instance(module="bnn_quantizer", parameters={**shape, **out})
        parameters, memories = self._threshold_parameters("File")
        return Instance(
            module="bnn_threshold",
            parameters={
                "Lanes": a.lanes,
                "Beats": len(self.threshold_rows),
                "InWidth": a.bits,
                "InKind": a.kind.value,
                **parameters,
                "OutWidth": b.bits,
            },
            memories=memories,
        )

    def hls(self) -> Call:
        """`threshold`."""
        return Call(
            function="threshold",
            header="bnn_threshold.hpp",
            template=[self.input.elements],
            arguments=[f"{self.name}_thresholds"],
            constants=(self._threshold_constant(),),
        )

    def schedule(self) -> Schedule:
        """A pipeline that never stalls, or one register."""
        if self._quantizer:
            return passing(self.input.beats, depth=1, latency=1, reuse=0)
        latency = steps_latency(self.steps)
        if self.selector is None:
            return passing(self.input.beats, depth=latency + 3, latency=latency + 1)
        turns = dict.fromkeys(range(2), np.arange(self.input.beats))
        return joining(turns, self.input.beats, depth=latency + 3, latency=latency + 1)

    def terms(self, folding: Folding) -> Terms:
        """Comparisons in each lane, with a ROM if the thresholds differ by channel; few constants cost little."""
        lanes = folding.pe
        if self._quantizer:
            return {"register": lanes * self.output.bits + 1, "gate": 1 + lanes * self._compared}
        rest = credit_fifo(lanes * self.output.bits, steps_latency(self.steps))
        if self._uniform and not self.selector and self.steps <= COMPARATORS:
            return rest
        return summed(self._threshold_terms(lanes, self.input.bits, self._words(lanes), late=False), rest)

    @property
    def _compared(self) -> int:
        """LUTs that compare an element with one threshold for all; none for the top bits."""
        threshold = int(self.threshold_rows[0, 0]) - self.input.range[0]
        odd = (threshold & -threshold).bit_length() - 1  # bits below do not matter
        return math.ceil((self.input.bits - odd - 1) / 5) if self.steps == 1 and threshold else 0

    def block_rams(self, folding: Folding) -> int:
        """Block RAMs of the thresholds."""
        return self._threshold_blocks(folding.pe, self._words(folding.pe))

    def _words(self, lanes: int) -> int:
        """Beats of the thresholds."""
        return 1 if self._uniform else self.input.channels // lanes

    def caption(self) -> Caption:
        """Channels and PE."""
        selected = f", 1 of {self.codes}" if self.selector else ""
        return Caption(tag="threshold", lines=(f"{self.input.channels} channels{selected}", f"PE {self.input.lanes}"))
