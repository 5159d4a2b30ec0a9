# SPDX-License-Identifier: Apache-2.0
"""Matrix-vector products, with or without thresholds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.stages.accumulator import accumulators
from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Memory, Parameter
from adiabit.hw.stages.cost import (
    LOGIC_BEATS,
    Terms,
    bank_depth,
    bank_luts,
    bank_registers,
    beat_rom,
    ram_blocks,
    rom_blocks,
    rom_luts,
    summed,
)
from adiabit.hw.stages.integers import Array, Ints, divisors, signed_bits
from adiabit.hw.stages.matrix_vector_timing import Timing
from adiabit.hw.stages.memory_file import memory_file, rom, rom_words
from adiabit.hw.stages.modules import counters, credit_fifo, delay, index_bits, stream_ram
from adiabit.hw.stages.product import Product
from adiabit.hw.stages.schedule import Schedule
from adiabit.hw.stages.search import steps_latency
from adiabit.hw.stages.stream import Kind, Stream
from adiabit.hw.stages.sums import (
    popcount_latency,
    popcount_luts,
    popcount_registers,
    sum_bits,
    sum_latency,
    sum_registers,
)

SHALLOW = 32  # words per bit that a LUT6 holds together with the XNOR after them, as in bnn_mvu.sv
SIGNS = 3  # elements whose signs are chosen at once, as in bnn_signs.sv
HLS_ROMS = {Memory.BLOCK: "bram", Memory.LUT: "lutram"}  # in the words of Vitis HLS; hard-wired weights need none
MEMORIES = {Memory.LUT: "LUT ROM", Memory.BLOCK: "block RAM", Memory.HARDWIRED: "hard-wired"}


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixVector(Product):
    """The product of a matrix and each vector of the input's last axis, with or without thresholds.

    `weights`: (MH, MW), all -1 or +1 (*bipolar*), or small integers. The *accumulator* of a row is the popcount of
    agreeing bits, 0...MW, if input and weights are bipolar (dot product = 2 * popcount - MW), else the dot product.
    `thresholds` apply to the accumulator; with None the accumulator itself is the output.
    `block_bits`: of a word of weights whose `memory` is `Memory.AUTO`, how many bits lie in block RAM, and the rest in
    LUTs (:mod:`adiabit.hw.folding.memories` chooses them for a part); None: all or none, as the sizes say.
    """

    memory: Memory = Memory.AUTO
    block_bits: int | None = None
    arrays: ClassVar[tuple[str, ...]] = ("weights", "thresholds", "inverted")

    def check(self) -> None:
        """Check shapes, ranges and folding."""
        self._check_arity(min(max(len(self.inputs), 1), 2), 1)
        if self.weights.ndim != 2 or 0 in self.weights.shape:
            self.refuse(f"weights have shape {self.weights.shape}; (MH, MW) is needed")
        mh, mw = self.weights.shape
        if self.input.channels != mw:
            self.refuse(f"weights (MH, MW) = {(mh, mw)} do not fit {self.input.channels} inputs")
        self._check_output(self.output, *self.input.shape[:-1], mh)
        if self.memory is Memory.HARDWIRED and self.fold != 1:
            self.refuse(f"hard-wired weights need a fold of 1, not {self.fold}; use PE={mh} and SIMD={mw}")
        if self.block_bits is not None and not self._fits_blocks(self.block_bits):
            self.refuse(
                f"block_bits={self.block_bits} with memory {self.memory} and words of {self.word_bits} bits; "
                f"a multiple of {self.weight_bits} bits of the word, with memory auto and a fold above 1"
            )
        self._check_thresholds(mh)
        self._check_accumulators()

    def _fits_blocks(self, bits: int) -> bool:
        whole = 0 <= bits <= self.word_bits and bits % self.weight_bits == 0
        return whole and self.memory is Memory.AUTO and self.fold > 1

    @cached_property
    def bipolar_weights(self) -> bool:
        """Whether every weight is -1 or +1, which is stored as one bit."""
        return bool(np.all(np.abs(self.weights) == 1))

    @cached_property
    def weight_bits(self) -> int:
        """Bits of one weight: 1 if bipolar, else two's complement of at least 2, because one bit means -1 or +1."""
        return 1 if self.bipolar_weights else max(2, signed_bits(int(self.weights.min()), int(self.weights.max())))

    @property
    def pe(self) -> int:
        """Rows a cycle."""
        return self.output.lanes

    @property
    def simd(self) -> int:
        """Columns a cycle."""
        return self.input.lanes

    @property
    def vectors(self) -> int:
        """Matrix-vector products a frame."""
        return self.input.pixels

    @property
    def fold(self) -> int:
        """Cycles a vector: MH/PE * MW/SIMD."""
        return self._fold_at(self.folding)

    def _fold_at(self, folding: Folding) -> int:
        mh, mw = self.weights.shape
        return int((mh // folding.pe) * (mw // folding.simd))

    @property
    def word_bits(self) -> int:
        """Bits of a word of weights."""
        return self._word_bits(self.folding)

    def _word_bits(self, folding: Folding) -> int:
        return folding.pe * folding.simd * self.weight_bits

    def memory_at(self, folding: Folding) -> Memory:
        """Where the weights lie; `Memory.AUTO` is hard-wired at fold 1, else block RAM if that saves enough LUTs."""
        memory, fold = folding.memory or self.memory, self._fold_at(folding)
        if memory is not Memory.AUTO:
            return memory
        if fold == 1:
            return Memory.HARDWIRED
        if (bits := self._placed(folding)) is not None:
            return Memory.BLOCK if bits else Memory.LUT
        return self._rom(self._word_bits(folding), fold)

    def _placed(self, folding: Folding) -> int | None:
        """`block_bits`, which belong to the current folding."""
        return self.block_bits if (folding.pe, folding.simd) == (self.pe, self.simd) else None

    def _block_bits(self, folding: Folding) -> int:
        """Bits of a word in block RAM."""
        if self.memory_at(folding) is not Memory.BLOCK:
            return 0
        return self._placed(folding) or self._word_bits(folding)

    def _bank_depth(self, folding: Folding) -> int | None:
        """Words of a bank of block RAM, if there are several."""
        bits = self._block_bits(folding)
        return bank_depth(bits, self._fold_at(folding)) if bits else None

    def _banks(self, folding: Folding) -> int:
        """Banks of block RAM."""
        fold = self._fold_at(folding)
        return math.ceil(fold / (self._bank_depth(folding) or fold))

    @property
    def resolved_memory(self) -> Memory:
        """Where the weights lie at the current folding; never `Memory.AUTO`."""
        return self.memory_at(self.folding)

    def cycles_at(self, folding: Folding) -> int:
        """One fold for each vector."""
        return self._fold_at(folding) * self.vectors

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Accumulators, or the number of thresholds that they reach (F, ..., MH)."""
        acc = accumulators(self.weights, self.input, values[0], self.name)
        if self.thresholds is None:
            return (acc.astype(np.int32),)
        return (self._activate(acc, values[1] if self.selector else None),)

    def rtl(self) -> Instance:
        """`bnn_mvu`."""
        rows, columns = self.weights.shape
        words, name = self._encoded_rows().reshape(self.fold, -1), f"{self.name}_weights.mem"
        block = self._block_bits(self.folding) // self.weight_bits if self.resolved_memory is Memory.BLOCK else None
        banked = self._bank_depth(self.folding)
        memories = {name: memory_file(_banked(words[:, :block], banked), self.weight_bits)}
        parameters: dict[str, Parameter] = {
            "Columns": columns,
            "Rows": rows,
            "Simd": self.simd,
            "Pe": self.pe,
            "InWidth": self.input.bits,
            "InKind": self.input.kind.value,
            "WeightWidth": self.weight_bits,
            "AccWidth": self.accumulator_bits,
            "Levels": self.levels,
            "OutWidth": self.output.bits,
            "Memory": self.resolved_memory.value,
            "WeightFile": name,
        }
        if block is not None and block < words.shape[1]:
            more_words = f"{self.name}_weights_lut.mem"
            parameters |= {"BlockWidth": block * self.weight_bits, "LutFile": more_words}
            memories[more_words] = memory_file(words[:, block:], self.weight_bits)
        if banked is not None:
            parameters["BankDepth"] = banked
        if self.memory_register:
            parameters["MemoryRegister"] = 1
        if self.thresholds is not None:
            more, files = self._threshold_parameters("ThresholdFile")
            parameters |= more
            memories |= files
        sign = self._sign_tells(self.folding)
        if sign:
            del memories[str(parameters.pop("ThresholdFile"))]
        if sign or self._by_signs:
            starts = self._complements() - (self.threshold_rows if sign else 0)
            parameters["StartFile"] = f"{self.name}_starts.mem"
            memories[f"{self.name}_starts.mem"] = memory_file(starts, self.accumulator_bits + sign)
        return Instance(module="bnn_mvu", parameters=parameters, memories=memories)

    def hls(self) -> Call:
        """`mvu`."""
        arguments, constants = [f"{self.name}_weights"], [self._weight_constant()]
        if self.thresholds is not None:
            arguments.append(f"{self.name}_thresholds")
            constants.append(self._threshold_constant())
        rom_type = HLS_ROMS.get(self.resolved_memory)
        return Call(
            function="mvu",
            header="bnn_mvu.hpp",
            template=[self.vectors, f"ap_{'u' if self.xnor else ''}int<{self.accumulator_bits}>"],
            arguments=arguments,
            constants=tuple(constants),
            roms={f"{self.name}_weights.rom": rom_type} if rom_type else {},
        )

    def _weight_rows(self) -> Ints:
        """Weights in memory order (fold, PE, SIMD): entry n * MW/SIMD + s has columns s*SIMD... of rows n*PE...

        A bipolar weight is 1 for +1 and 0 for -1.
        """
        rows, columns = self.weights.shape
        codes = (self.weights > 0).astype(np.int64) if self.bipolar_weights else self.weights
        folded = codes.reshape(rows // self.pe, self.pe, columns // self.simd, self.simd)
        return folded.transpose(0, 2, 1, 3).reshape(self.fold, self.pe, self.simd)

    @property
    def _by_signs(self) -> bool:
        """Whether weights of one bit choose the signs of elements of several."""
        return self.weight_bits == 1 and not self.xnor

    def _encoded_rows(self) -> Ints:
        """Weights as `bnn_mvu` reads them: of three signs, the others say whether they equal the first."""
        rows = self._weight_rows()
        if not self._by_signs:
            return rows
        lanes = np.arange(self.simd)
        first = rows[..., lanes - lanes % SIGNS]
        return np.where(lanes % SIGNS == 0, rows, rows == first).astype(np.int64)

    def _complements(self) -> Ints:
        """Terms of a row that are complements, one less than the negative (MH/PE, PE)."""
        rows = self._weight_rows()[..., ::SIGNS]
        negative = (rows == 0).sum(axis=-1) if self._by_signs else np.zeros(rows.shape[:2], np.int64)
        counted: Ints = negative.reshape(-1, self.input.words, self.pe).sum(axis=1)
        return counted

    def _weight_constant(self) -> str:
        rows, columns = self.weights.shape
        element = "bnn::Bipolar" if self.bipolar_weights else f"bnn::Signed<{self.weight_bits}>"
        comment = f"// {rows}x{columns}: +1 is 1, -1 is 0\n" if self.bipolar_weights else f"// {rows}x{columns}\n"
        kind = f"bnn::Weights<{element}, {rows}, {columns}, {self.pe}, {self.simd}>"
        lines = (", ".join(rom_words(rows, self.weight_bits)) for rows in self._weight_rows())
        return comment + rom(f"{kind} {self.name}_weights", lines)

    def schedule(self) -> Schedule:
        """Reads the words of each vector once for every PE rows; a result follows each pass."""
        timing = Timing(
            words=self.input.words,
            passes=len(self.weights) // self.pe,
            vectors=self.vectors,
            latency=self._latency_at(self.folding),
        )
        return timing.schedule(selected=self.selector is not None)

    def _latency_at(self, folding: Folding) -> int:
        """Cycles from the last word of a vector to its result, as in bnn_mvu.sv."""
        total = self._sum_latency(folding) + int(self.weights.shape[1] > folding.simd or self._by_signs)
        return total + (0 if self._sign_tells(folding) else steps_latency(self.steps))

    def _sum_latency(self, folding: Folding) -> int:
        """Cycles from a word to the sum of its products."""
        read = self._read(folding)
        if self.xnor:
            return read + popcount_latency(folding.simd, weighted=read > 0, levels=self.levels)
        if self._by_signs:
            return max(read, 1) + sum_latency(*self._signs(folding), self.levels)
        return read + 1 + sum_latency(folding.simd, self.weight_bits + self.input.bits, self.levels)

    def _signs(self, folding: Folding) -> tuple[int, int]:
        """Terms of a row that are chosen among four sums, and their bits, as in bnn_pkg.sv."""
        width = self.input.bits + min(folding.simd, SIGNS) - (self.input.kind is Kind.SIGNED)
        return math.ceil(folding.simd / SIGNS), width

    def _sign_tells(self, folding: Folding) -> bool:
        """Whether accumulators start at minus the threshold, so that their sign is the answer."""
        starts = self.weights.shape[1] > folding.simd or self._by_signs
        return self.steps == 1 and self.selector is None and starts

    def _read(self, folding: Folding) -> int:
        """Cycles from an address to its weights; 0 where the XNOR is part of the memory."""
        memory = self.memory_at(folding)
        if memory is Memory.BLOCK:
            return self._block_latency(self._banks(folding))
        return int(memory is Memory.LUT and not self._shallow(folding))

    def _shallow(self, folding: Folding) -> bool:
        """Whether a LUT6 holds all words of a weight and its XNOR."""
        return self.xnor and self.memory_at(folding) is Memory.LUT and self._fold_at(folding) <= SHALLOW

    def terms(self, folding: Folding) -> Terms:
        """PE rows of SIMD synapses, each with accumulator and thresholds; the memories; the pipeline around them."""
        rows, columns = len(self.weights) // folding.pe, self.weights.shape[1] // folding.simd
        bits, sign = folding.pe * self.accumulator_bits, self._sign_tells(folding)
        starts = columns > 1 or self._by_signs
        total = bits + folding.pe * sign if starts else 0  # bits of the accumulators
        results = {} if sign else self._threshold_terms(folding.pe, self.accumulator_bits, rows, late=True)
        return summed(
            self._launch_terms(folding, rows, columns),
            self._memory_terms(folding),
            self._work_terms(folding),
            {"accumulate": total, "register": total + starts},
            beat_rom(total if sign or self._by_signs else 0, rows, late=True),
            results,
            self._moved(total if sign else folding.pe * self.steps * self.threshold_bits if self.steps else 0, rows),
            credit_fifo(folding.pe * self.output.bits, self._latency_at(folding), columns),
            delay(folding.pe * self.selector.bits, self._sum_latency(folding) + starts) if self.selector else {},
        )

    def _launch_terms(self, folding: Folding, rows: int, columns: int) -> Terms:
        """The word and its marks on their way to the sum, their counters, and `bnn_replay` before them."""
        width, latency = folding.simd * self.input.bits, self._sum_latency(folding)
        waits = max(0, self._read(folding) - self._by_signs)  # cycles of the word beside its weights
        several = columns > 1
        launch = summed(counters(columns, rows * columns if rows > 1 else 1), delay(width, waits), {
            "product": 1,
            "register": (3 if several else 2) * latency + 2 * several,
        })  # fmt: skip
        if rows == 1:
            return launch
        word, distance = index_bits(columns), (2 * columns).bit_length() + 1
        return summed(launch, stream_ram(*self._replay(folding)), counters(rows), {
            "distance": 2 * distance,
            "counter": 2 * (1 + word),
            "register": 2 * (distance + 1 + word) + 3 + several,
        })  # fmt: skip

    def _replay(self, folding: Folding) -> tuple[int, int]:
        """Bits and words of the buffer of `bnn_replay`: two vectors, each rounded up."""
        return folding.simd * self.input.bits, 2 << index_bits(self.weights.shape[1] // folding.simd)

    def _memory_terms(self, folding: Folding) -> Terms:
        """The ROM of the weights, as far as it is none with its XNOR, and the registers behind it."""
        blocks, banks, read = self._block_bits(folding), self._banks(folding), self._read(folding)
        in_luts = self._word_bits(folding) - blocks if read else 0
        behind = bank_registers(blocks, banks) or blocks * self.memory_register
        rom = rom_luts(in_luts, self._fold_at(folding))
        return {"rom": rom, "register": in_luts + behind, "bank": bank_luts(blocks, banks)}

    def _work_terms(self, folding: Folding) -> Terms:
        """Products and their sums."""
        pe, simd, weighted = folding.pe, folding.simd, self._read(folding) > 0
        if self.xnor:
            kind = "wired" if self.memory_at(folding) is Memory.HARDWIRED else "count"
            shared = 2 if 2 * self._fold_at(folding) <= SHALLOW else 1  # weights of a LUT
            return {
                kind: pe * popcount_luts(simd, weighted=weighted),
                "shallow": math.ceil(pe * simd / shared) if self._shallow(folding) else 0,
                "register": pe * popcount_registers(simd, weighted=weighted, levels=self.levels),
            }
        if self._by_signs:
            groups, width = self._signs(folding)
            constant = self.memory_at(folding) is Memory.HARDWIRED
            return {
                "triple": 4 * groups * width,
                "signs": 0 if constant else pe * groups * width,
                "sum": pe * sum_bits(groups, width),
                "register": 4 * groups * width + pe * sum_registers(groups, width, self.levels),
            }
        width = self.input.bits + self.weight_bits
        sums = simd * width + sum_registers(simd, width, self.levels)
        return {
            "multiply": pe * simd * self.input.bits * self.weight_bits,
            "register": pe * sums,
        }

    def _moved(self, bits: int, beats: int) -> Terms:
        """Registers of thresholds of few beats: mappers move the index behind the logic of an XNOR unit.

        There are no more than distinct bits of so many words.
        """
        return {"register": min(bits, 2**beats - 2) if self.xnor and 1 < beats <= LOGIC_BEATS else 0}

    def block_rams(self, folding: Folding) -> int:
        """Block RAMs of weights and thresholds, and those of a replay buffer that is too large for LUTs."""
        rows, bits = len(self.weights) // folding.pe, self._block_bits(folding)
        replayed = ram_blocks(*self._replay(folding)) if rows > 1 else 0
        weights = rom_blocks(bits, self._fold_at(folding)) if bits else 0
        return self._threshold_blocks(folding.pe, rows) + replayed + weights

    @property
    def folding(self) -> Folding:
        """PE, SIMD and memory, `Memory.AUTO` included."""
        return Folding(pe=self.pe, simd=self.simd, memory=self.memory)

    def foldings(self) -> Sequence[Folding]:
        """PE that divides the rows and SIMD that divides the columns; fold 1 alone if the weights are hard-wired."""
        mh, mw = self.weights.shape
        found = [Folding(pe=pe, simd=simd) for pe in divisors(mh) for simd in divisors(mw)]
        return found[-1:] if self.memory is Memory.HARDWIRED else found

    def lanes(self, folding: Folding) -> Lanes:
        """SIMD of the values; PE of the selector and the output."""
        return Lanes((folding.simd, *(folding.pe,) * (len(self.inputs) - 1)), (folding.pe,))

    def refolded(self, folding: Folding, inputs: tuple[Stream, ...], outputs: tuple[Stream, ...]) -> Self:
        """A copy at another folding, which keeps its memory unless the folding names one."""
        memory = folding.memory or self.memory
        return dataclasses.replace(self, inputs=inputs, outputs=outputs, memory=memory, block_bits=None)

    def check_folding(self, folding: Folding) -> None:
        """Refuse a PE that does not divide MH, a SIMD that does not divide MW, and folding hard-wired weights."""
        mh, mw = self.weights.shape
        for key, value, size in (("pe", folding.pe, mh), ("simd", folding.simd, mw)):
            self._check_divides(key, value, size, set(divisors(size)))
        if folding.memory is Memory.HARDWIRED and self._fold_at(folding) > 1:
            raise UserError(f"folding: {self.name}: hard-wired weights need a fold of 1; use pe={mh} and "
                            f"simd={mw}, or another memory")  # fmt: skip

    def caption(self) -> Caption:
        """Arithmetic, dimensions, PE and SIMD, and memory of the weights."""
        rows, columns = self.weights.shape
        arithmetic = (
            "XNOR" if self.xnor else "±1 weights" if self.bipolar_weights else f"{self.weight_bits}-bit weights"
        )
        lines = (f"{columns} → {rows}", f"PE {self.pe} · SIMD {self.simd}", MEMORIES[self.resolved_memory])
        return Caption(tag=arithmetic, lines=lines, width=178)


def _banked(words: Ints, depth: int | None) -> Ints:
    """Words of all banks of so many words side by side, the last bank filled up with zeros, as in bnn_rom.sv."""
    if depth is None:
        return words
    banks = -(-len(words) // depth)
    filled = np.zeros((banks * depth, words.shape[1]), words.dtype)
    filled[: len(words)] = words
    made: Ints = filled.reshape(banks, depth, -1).transpose(1, 0, 2).reshape(depth, -1)
    return made
