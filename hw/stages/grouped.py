# SPDX-License-Identifier: Apache-2.0
"""Products of grouped and depthwise convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Memory, Parameter
from adiabit.hw.stages.cost import Terms, block_rams, rom_luts, summed
from adiabit.hw.stages.integers import Array, Ints, divisors, signed_bits
from adiabit.hw.stages.memory_file import memory_file, rom, rom_words
from adiabit.hw.stages.modules import counters, credit_fifo, index_bits, lut_ram
from adiabit.hw.stages.product import Product
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.search import steps_latency
from adiabit.hw.stages.sums import (
    popcount_latency,
    popcount_luts,
    popcount_registers,
    sum_latency,
    sum_registers,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedMatrixVector(Product):
    """Products of each group of channels with its own small matrix, with or without thresholds.

    `weights`: (MH, K * I) for windows of K pixels (`kernel`), whose `groups` have I channels each; the O = MH / groups
    rows of a group follow each other. Depthwise: I = 1. The input's last axis is (K, groups, I). Accumulators are
    popcounts or dot products, as of a :class:`MatrixVector`.

    Each input beat meets all rows of its groups at once and is not kept: a memory holds the sums of all rows meanwhile.
    A beat has whole groups (SIMD = q * I, then PE = q * O), or a part of one (SIMD divides I, PE divides O).
    """

    groups: int
    kernel: int  # K
    arrays: ClassVar[tuple[str, ...]] = ("weights", "thresholds", "inverted")

    def check(self) -> None:
        """Check shapes, ranges and folding."""
        self._check_arity(1, 1)
        if self.weights.ndim != 2 or 0 in self.weights.shape or len(self.weights) % self.groups:
            self.refuse(f"weights have shape {self.weights.shape}; (MH, MW) with MH a multiple of {self.groups} groups")
        mh, mw = self.weights.shape
        if self.input.channels != mw * self.groups or mw % self.kernel:
            self.refuse(
                f"{self.groups} groups of weights (MH, MW) = {(mh, mw)} do not fit {self.input.channels} inputs"
            )
        self._check_output(self.output, *self.input.shape[:-1], mh)
        if (self.output.lanes, self.input.lanes) not in {(f.pe, f.simd) for f in self.foldings()}:
            self.refuse(f"PE {self.output.lanes} and SIMD {self.input.lanes} do not fit {self.groups} groups of "
                        f"{self.inputs_of_group} inputs and {self.rows_of_group} rows")  # fmt: skip
        self._check_thresholds(mh)
        self._check_accumulators()

    @property
    def inputs_of_group(self) -> int:
        """Channels of a group, I."""
        return int(self.weights.shape[1]) // self.kernel

    @property
    def rows_of_group(self) -> int:
        """Rows of a group, O."""
        return len(self.weights) // self.groups

    @cached_property
    def weight_bits(self) -> int:
        """Bits of one weight: 1 if the product is XNOR, else two's complement of at least 2."""
        return 1 if self.xnor else max(2, signed_bits(int(self.weights.min()), int(self.weights.max())))

    @property
    def folding(self) -> Folding:
        """PE and SIMD."""
        return Folding(pe=self.output.lanes, simd=self.input.lanes)

    def foldings(self) -> Sequence[Folding]:
        """Whole groups a beat, or parts of one."""
        inputs, rows = self.inputs_of_group, self.rows_of_group
        parts = [Folding(pe=pe, simd=simd) for pe in divisors(rows) for simd in divisors(inputs)]
        return [*parts, *(Folding(pe=q * rows, simd=q * inputs) for q in divisors(self.groups) if q > 1)]

    def lanes(self, folding: Folding) -> Lanes:
        """SIMD of the values, PE of the output."""
        return Lanes((folding.simd,), (folding.pe,))

    def check_folding(self, folding: Folding) -> None:
        """Refuse a folding that is none of those."""
        found = {(f.pe, f.simd) for f in self.foldings()}
        if (folding.pe, folding.simd) not in found:
            self.refuse(f"folding: pe={folding.pe}, simd={folding.simd}; one of {sorted(found)} is needed")

    def cycles_at(self, folding: Folding) -> int:
        """A cycle for each beat and PE rows of its groups."""
        return self.input.pixels * self._fold_at(folding)

    def _fold_at(self, folding: Folding) -> int:
        """Cycles a window."""
        return self.input.channels // folding.simd * self._passes(folding)

    def _passes(self, folding: Folding) -> int:
        """Cycles that a beat is held."""
        return max(1, self.rows_of_group // folding.pe)

    def memory_at(self, folding: Folding) -> Memory:
        """Where the weights lie: in block RAM if that saves enough LUTs."""
        return self._rom(self._word_bits(folding), self._fold_at(folding))

    def _word_bits(self, folding: Folding) -> int:
        """Bits of a word of weights."""
        return folding.pe * min(folding.simd, self.inputs_of_group) * self.weight_bits

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Accumulators, or the number of thresholds that they reach (F, ..., MH)."""
        real: Any = np.float64 if max(-self.value_range[0], self.value_range[1]) >= 2**24 else np.float32
        shape = (*values[0].shape[:-1], self.kernel, self.groups, self.inputs_of_group)
        x: Array = values[0].reshape(shape).astype(real)
        matrix: Array = self.weights.reshape(self.groups, self.rows_of_group, self.kernel, -1).astype(real)
        acc: Array = np.einsum("...kgi,goki->...go", x, matrix, optimize=True)
        acc = acc.reshape(*values[0].shape[:-1], len(self.weights))
        if self.xnor:
            acc = (acc + self.weights.shape[1]) / 2
        return (acc.astype(np.int32),) if self.thresholds is None else (self._activate(acc, None),)

    def _weight_rows(self) -> Ints:
        """Weights in the order of the cycles (fold, PE, weights of a lane); a bipolar weight is 1 for +1, 0 for -1."""
        codes = (self.weights > 0).astype(np.int64) if self.xnor else self.weights
        simd, pe, inputs, rows = self.input.lanes, self.output.lanes, self.inputs_of_group, self.rows_of_group
        whole = max(1, simd // inputs)  # groups of a beat
        share, passes = simd // whole, max(1, rows // pe)
        codes = codes.reshape(self.groups // whole, whole, passes, -1, self.kernel, inputs // share, share)
        # to (pixel, groups, part of the group's channels, pass; group of the beat, row of the pass; channel)
        ordered: Ints = codes.transpose(4, 0, 5, 2, 1, 3, 6).reshape(-1, pe, share)
        return ordered

    def rtl(self) -> Instance:
        """`bnn_grouped`."""
        weights, rows = f"{self.name}_weights.mem", self._weight_rows()
        memories = {weights: memory_file(rows.reshape(len(rows), -1), self.weight_bits)}
        parameters: dict[str, Parameter] = {
            "Pixels": self.kernel,
            "Groups": self.groups,
            "Inputs": self.inputs_of_group,
            "Outputs": self.rows_of_group,
            "Simd": self.input.lanes,
            "Pe": self.output.lanes,
            "InWidth": self.input.bits,
            "InKind": self.input.kind.value,
            "WeightWidth": self.weight_bits,
            "AccWidth": self.accumulator_bits,
            "Levels": self.levels,
            "OutWidth": self.output.bits,
            "Memory": self.memory_at(self.folding).value,
            "WeightFile": weights,
        }
        if self.memory_register:
            parameters["MemoryRegister"] = 1
        if self.thresholds is not None:
            more, files = self._threshold_parameters("ThresholdFile")
            parameters |= more
            memories |= files
        return Instance(module="bnn_grouped", parameters=parameters, memories=memories)

    def hls(self) -> Call:
        """`grouped`."""
        rows, name = self._weight_rows(), f"{self.name}_weights"
        fold, pe, share = rows.shape
        element = "bnn::Bipolar" if self.xnor else f"bnn::Signed<{self.weight_bits}>"
        kind = f"bnn::Weights<{element}, {pe}, {fold * share}, {pe}, {share}>"
        lines = (", ".join(rom_words(row, self.weight_bits)) for row in rows)
        arguments, constants = [name], [f"// {self.groups} groups\n" + rom(f"{kind} {name}", lines)]
        if self.thresholds is not None:
            arguments.append(f"{self.name}_thresholds")
            constants.append(self._threshold_constant())
        sizes = [self.input.pixels, self.kernel, self.groups, self.inputs_of_group, self.rows_of_group]
        return Call(
            function="grouped",
            header="bnn_grouped.hpp",
            template=[*sizes, f"ap_{'u' if self.xnor else ''}int<{self.accumulator_bits}>"],
            arguments=arguments,
            constants=tuple(constants),
            roms={f"{name}.rom": "bram"} if self.memory_at(self.folding) is Memory.BLOCK else {},
        )

    def _latency_at(self, folding: Folding) -> int:
        """Cycles from the last beat of a window to a result, as in bnn_grouped.sv."""
        return self._sum_latency(folding) + 1 + (steps_latency(self.steps) if self.thresholds is not None else 0)

    def _sum_latency(self, folding: Folding) -> int:
        """Cycles from a beat to the sum of its products."""
        read, share = self._read(folding), min(folding.simd, self.inputs_of_group)
        if self.xnor:
            return read + popcount_latency(share, weighted=True, levels=self.levels)
        return read + 1 + sum_latency(share, self.weight_bits + self.input.bits, self.levels)

    def _read(self, folding: Folding) -> int:
        """Cycles from an address to its weights."""
        return self._block_latency() if self.memory_at(folding) is Memory.BLOCK else 1

    def schedule(self) -> Schedule:
        """A beat is taken with the first of its cycles; the last cycles of a window give its results."""
        passes, parts = self._passes(self.folding), max(1, self.inputs_of_group // self.input.lanes)
        beats, latency = np.arange(self.input.beats), self._latency_at(self.folding)
        window = self.input.words
        last = (beats % window >= window - window // self.kernel) & (beats % parts == parts - 1)
        ends = np.repeat(last, passes)  # by cycle: whether it gives a result
        begun = np.cumsum(ends)
        room = Wait(begun - (latency + 3), 1)
        intake = Intake(turns=len(ends), beats={0: beats * passes}, room={0: room})
        needs = Wait(np.flatnonzero(ends) + 1, latency + 1)
        return Schedule(intakes=(intake,), emissions=(Emission(needs={0: needs}),))

    def terms(self, folding: Folding) -> Terms:
        """Products and sums of PE rows, the memory of the sums, and the ROM of the weights."""
        pe, bits = folding.pe, self.accumulator_bits
        share, sums = min(folding.simd, self.inputs_of_group), len(self.weights) // pe
        if self.xnor:
            work = {"count": pe * popcount_luts(share, weighted=True)}
            registers = popcount_registers(share, weighted=True, levels=self.levels)
        else:
            term = self.input.bits + self.weight_bits
            work = {
                "multiply": pe * share * self.input.bits * self.weight_bits,
            }
            registers = share * term + sum_registers(share, term, self.levels)
        return summed(
            self._threshold_terms(pe, bits, sums, late=True),
            {**work, "register": pe * registers},
            {"accumulate": pe * bits, "register": pe * bits},
            lut_ram(pe * bits, sums),
            self._memory_terms(folding),
            self._launch_terms(folding, sums),
            credit_fifo(pe * self.output.bits, self._latency_at(folding)),
        )

    def _memory_terms(self, folding: Folding) -> Terms:
        """The ROM of the weights, and a register behind it."""
        width, depth = self._word_bits(folding), self._fold_at(folding)
        if self.memory_at(folding) is Memory.LUT:
            return {"rom": rom_luts(width, depth), "register": width}
        return {"register": width * self.memory_register}

    def _launch_terms(self, folding: Folding, sums: int) -> Terms:
        """The beat, its marks and the places of its sums on their way, and their counters."""
        passes, parts = self._passes(folding), max(1, self.inputs_of_group // folding.simd)
        held = int(passes > 1) + self._read(folding)
        place, folds = index_bits(sums), max(1, sums // passes)
        launch = counters(self._fold_at(folding), passes, parts, folds, self.kernel)
        way = (3 + place) * self._sum_latency(folding)
        held_bits = held * folding.simd * self.input.bits
        return summed(launch, {"product": 1, "counter": 2 * place, "register": 2 * place + way + held_bits})

    def block_rams(self, folding: Folding) -> int:
        """Block RAMs of weights and thresholds."""
        thresholds = self._threshold_blocks(folding.pe, len(self.weights) // folding.pe)
        if self.memory_at(folding) is not Memory.BLOCK:
            return thresholds
        return thresholds + block_rams(self._word_bits(folding), self._fold_at(folding))

    def caption(self) -> Caption:
        """Groups and their sizes, PE and SIMD."""
        sizes = f"{self.groups} groups {self.rows_of_group} x {self.weights.shape[1]}"
        return Caption(tag="XNOR" if self.xnor else "product", lines=(sizes, f"PE {self.output.lanes}, SIMD "
                                                                     f"{self.input.lanes}"))  # fmt: skip
