# SPDX-License-Identifier: Apache-2.0
"""A factor and an addend for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Unary
from adiabit.hw.stages.cost import Terms, beat_rom, summed
from adiabit.hw.stages.integers import Array, Ints, signed_bits
from adiabit.hw.stages.memory_file import memory_file, rom
from adiabit.hw.stages.modules import credit_fifo
from adiabit.hw.stages.schedule import Schedule, passing

LATENCY = 2  # a product, and a sum


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(Unary):
    """y = factors * x + addends, each of them (C,); a bipolar x counts as -1 or +1. One beat a cycle.

    A factor that is the same power of two for all channels is a shift.
    """

    factors: Ints
    addends: Ints
    arrays: ClassVar[tuple[str, ...]] = ("factors", "addends")

    def check(self) -> None:
        """Check shapes, and that every result fits."""
        super().check()
        a, b = self.input, self.output
        if (a.elements, a.channels, a.lanes) != (b.elements, b.channels, b.lanes):
            self.refuse(f"input {a} and output {b} must have equal elements, channels and lanes")
        for name in self.arrays:
            if getattr(self, name).shape != (a.channels,):
                self.refuse(f"{name} have shape {getattr(self, name).shape}; ({a.channels},) is needed")
        low, high = self.results
        if not b.holds(low, high):
            self.refuse(f"results from {low} to {high} do not fit the output {b}")

    @property
    def results(self) -> tuple[int, int]:
        """Smallest and largest result."""
        ends = np.stack([self.factors * end + self.addends for end in self.input.range])
        return int(ends.min()), int(ends.max())

    @property
    def shift(self) -> int | None:
        """The power of two by which every channel is multiplied, if there is one."""
        first = int(self.factors[0])
        power = not np.ptp(self.factors) and first > 0 and first & (first - 1) == 0
        return first.bit_length() - 1 if power else None

    @property
    def factor_bits(self) -> int:
        """Bits of a factor in two's complement; 0 for a shift."""
        return 0 if self.shift is not None else signed_bits(int(self.factors.min()), int(self.factors.max()))

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The results (F, *shape)."""
        return (values[0].astype(np.int64) * self.factors + self.addends,)

    def rtl(self) -> Instance:
        """`bnn_affine`."""
        a, words = self.input, f"{self.name}_constants.mem"
        return Instance(
            module="bnn_affine",
            parameters={
                "Lanes": a.lanes,
                "Beats": a.words,
                "InWidth": a.bits,
                "InKind": a.kind.value,
                "FactorWidth": self.factor_bits,
                "Shift": self.shift or 0,
                "OutWidth": self.output.bits,
                "File": words,
            },
            memories={words: self._memory()},
        )

    def _memory(self) -> str:
        """A line for each beat: of each lane, the addend above the factor."""
        bits, mask = self.output.bits, (1 << self.factor_bits) - 1
        words = [
            (int(addend) & ((1 << bits) - 1)) << self.factor_bits | int(factor) & mask
            for factor, addend in zip(self.factors, self.addends, strict=True)
        ]
        return memory_file(np.array(words, object).reshape(-1, self.input.lanes), bits + self.factor_bits)

    def hls(self) -> Call:
        """`affine`."""
        pairs = np.stack([self.factors, self.addends], axis=1).reshape(self.input.words, -1)
        lines = (", ".join(str(int(n)) for n in row) for row in pairs)
        name = f"{self.name}_constants"
        widths = f"{max(1, signed_bits(int(self.factors.min()), int(self.factors.max())))}, {self._addend_bits}"
        kind = f"bnn::Affines<{widths}, {self.input.words}, {self.input.lanes}>"
        return Call(
            function="affine",
            header="bnn_affine.hpp",
            template=[self.input.elements],
            arguments=[name],
            constants=("// factor and addend of each lane\n" + rom(f"{kind} {name}", lines),),
        )

    @property
    def _addend_bits(self) -> int:
        return signed_bits(int(self.addends.min()), int(self.addends.max()))

    def schedule(self) -> Schedule:
        """A pipeline that never stalls."""
        return passing(self.input.beats, depth=LATENCY + 3, latency=LATENCY + 1)

    def terms(self, folding: Folding) -> Terms:
        """A product and a sum in each lane, and the constants of the beats."""
        lanes, out = folding.pe, self.output.bits
        constants = beat_rom(lanes * (out + self.factor_bits), self.input.channels // lanes, late=False)
        return summed(constants, credit_fifo(lanes * out, LATENCY), {
            "multiply": lanes * self.input.bits * self.factor_bits,
            "accumulate": lanes * out,
            "register": 3 * lanes * out + LATENCY,
        })  # fmt: skip

    def caption(self) -> Caption:
        """Channels, PE, and the bits of a factor."""
        what = f"shift by {self.shift}" if self.shift is not None else f"factors of {self.factor_bits} bits"
        return Caption(tag="affine", lines=(f"{self.input.channels} channels", f"PE {self.input.lanes}", what))
