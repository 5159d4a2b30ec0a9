# SPDX-License-Identifier: Apache-2.0
"""Matrix-vector products, with or without thresholds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Memory, Parameter
from adiabit.hw.stages.cost import Terms, block_rams, rom_luts
from adiabit.hw.stages.integers import Array, Ints, divisors, signed_bits
from adiabit.hw.stages.memory_file import memory_file, pack_words, rom
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait
from adiabit.hw.stages.stream import Kind, Stream
from adiabit.hw.stages.thresholds import Thresholding

BLOCK_DEPTH = 128  # words: a LUT6 holds 64 bits, so from here on a LUT-ROM costs 2 LUTs a bit of the word
BLOCK_BITS = 16 * 1024  # and a RAMB18 holds 18 Kbit: below, most of the block would lie idle
WORD = 64  # bits of a word of a ROM in C++ at most, as in bnn_mvu.hpp
SHALLOW = 32  # words that a LUT6 holds with the XNOR behind them
LEAF, RADIX = 6, 3  # terms that a node of the sum adds, as in bnn_pkg.sv
ROMS = {Memory.BLOCK: "bram", Memory.LUT: "lutram"}
MEMORIES = {Memory.LUT: "LUT ROM", Memory.BLOCK: "block RAM", Memory.HARDWIRED: "hard-wired"}


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixVector(Thresholding):
    """One matrix-vector product a vector of the last axis, with or without thresholds.

    `weights`: (MH, MW), all of them -1 or +1 (XNOR where the input is bipolar too), or small integers.
    `thresholds` on the *accumulator*, see :class:`Thresholding`, or None: then the accumulator itself is the output.
    The accumulator is the popcount of agreeing bits, 0...MW, where input and weights are bipolar
    (dot product = 2 * popcount - MW), else the dot product.
    """

    weights: Ints
    thresholds: Ints | None = None
    memory: Memory = Memory.AUTO
    arrays: ClassVar[tuple[str, ...]] = ("weights", "thresholds")

    def check(self) -> None:
        """Check shapes, ranges and folding."""
        self._check_ends(min(max(len(self.inputs), 1), 2), 1)
        if self.weights.ndim != 2 or 0 in self.weights.shape:
            self.refuse(f"weights have shape {self.weights.shape}; (MH, MW) is needed")
        mh, mw = self.weights.shape
        if self.input.channels != mw:
            self.refuse(f"weights (MH, MW) = {(mh, mw)} do not fit {self.input.channels} inputs")
        self._check_holds(self.output, *self.input.shape[:-1], mh)
        if self.memory is Memory.HARDWIRED and self.fold != 1:
            self.refuse(f"hard-wired weights need a fold of 1, this one is {self.fold}; use PE={mh} and SIMD={mw}")
        self._check_steps(mh)
        low, high = self.accumulator_range
        if self.thresholds is None and not self.output.holds(low, high):
            self.refuse(f"accumulators from {low} to {high} do not fit the output {self.output}")

    @property
    def steps(self) -> Ints | None:
        """The thresholds."""
        return self.thresholds

    @property
    def compared(self) -> tuple[int, int]:
        """The accumulator's range."""
        return self.accumulator_range

    @property
    def _signed(self) -> bool:
        return not self.xnor

    @cached_property
    def bipolar_weights(self) -> bool:
        """Whether a weight is one bit: -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))

    @property
    def xnor(self) -> bool:
        """Whether the product is XNOR and popcount."""
        return self.input.kind is Kind.BIPOLAR and self.bipolar_weights

    @cached_property
    def weight_bits(self) -> int:
        """Bits of one weight: 1 if bipolar, else two's complement of at least 2, for one bit is read as -1 or +1."""
        return 1 if self.bipolar_weights else max(2, signed_bits(int(self.weights.min()), int(self.weights.max())))

    @cached_property
    def accumulator_range(self) -> tuple[int, int]:
        """Smallest and largest accumulator that any input can make; 0...MW for a popcount."""
        return accumulator_range(self.weights, self.input)

    @property
    def accumulator_bits(self) -> int:
        """ceil(log2(MW + 1)) for a popcount; two's complement otherwise."""
        low, high = self.accumulator_range
        return max(1, high.bit_length()) if self.xnor else signed_bits(low, high)

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
        return self._fold(self.folding)

    def _fold(self, folding: Folding) -> int:
        mh, mw = self.weights.shape
        return int((mh // folding.pe) * (mw // folding.simd))

    def memory_at(self, folding: Folding) -> Memory:
        """Where the weights lie at a folding: hard-wired at fold 1, block RAM where deep and large, else LUT-ROM."""
        memory = folding.memory or self.memory
        if memory is not Memory.AUTO:
            return memory
        fold = self._fold(folding)
        if fold == 1:
            return Memory.HARDWIRED
        large = fold >= BLOCK_DEPTH and self.weights.size * self.weight_bits >= BLOCK_BITS
        return Memory.BLOCK if large else Memory.LUT

    @property
    def resolved_memory(self) -> Memory:
        """Where the weights lie."""
        return self.memory_at(self.folding)

    def cycles_at(self, folding: Folding) -> int:
        """A fold for each vector."""
        return self._fold(folding) * self.vectors

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Products (F, ..., MH)."""
        acc = accumulators(self.weights, self.input, values[0], self.name)
        if self.thresholds is None:
            return (acc.astype(np.int32),)
        return (self._activate(acc, values[1] if self.selector else None),)

    def rtl(self) -> Instance:
        """`bnn_mvu`."""
        rows, columns = self.weights.shape
        weights, thresholds = f"{self.name}_weights.mem", f"{self.name}_thresholds.mem"
        memories = {weights: memory_file(self._weight_rows().reshape(self.fold, -1), self.weight_bits)}
        parameters: dict[str, Parameter] = {
            "Columns": columns,
            "Rows": rows,
            "Simd": self.simd,
            "Pe": self.pe,
            "InWidth": self.input.bits,
            "InKind": self.input.kind.value,
            "WeightWidth": self.weight_bits,
            "AccWidth": self.accumulator_bits,
            "OutWidth": self.output.bits,
            "Memory": self.resolved_memory.value,
            "WeightFile": weights,
        }
        if self.thresholds is not None:
            steps, text = self._step_parameters()
            parameters |= {**steps, "ThresholdFile": thresholds}
            memories[thresholds] = text
        return Instance(module="bnn_mvu", parameters=parameters, memories=memories)

    def hls(self) -> Call:
        """`mvu`."""
        arguments, constants = [f"{self.name}_weights"], [self._weight_constant()]
        if self.thresholds is not None:
            arguments.append(f"{self.name}_thresholds")
            constants.append(self._step_constant())
        where = ROMS.get(self.resolved_memory)  # constants of a fold of 1 need no memory
        return Call(
            function="mvu",
            header="bnn_mvu.hpp",
            template=[self.vectors, f"ap_{'u' if self.xnor else ''}int<{self.accumulator_bits}>"],
            arguments=arguments,
            constants=tuple(constants),
            roms={f"{self.name}_weights.rom": where} if where else {},
        )

    def _weight_rows(self) -> Ints:
        """Codes (fold, PE, SIMD): row n * SF + s has columns s * SIMD... of rows n * PE...; 1 for a bipolar +1."""
        rows, columns = self.weights.shape
        codes = (self.weights > 0).astype(np.int64) if self.bipolar_weights else self.weights
        folded = codes.reshape(rows // self.pe, self.pe, columns // self.simd, self.simd)
        return folded.transpose(0, 2, 1, 3).reshape(self.fold, self.pe, self.simd)

    def _weight_constant(self) -> str:
        rows, columns = self.weights.shape
        element = "bnn::Bipolar" if self.bipolar_weights else f"bnn::Signed<{self.weight_bits}>"
        comment = f"// {rows}x{columns}: +1 is 1, -1 is 0\n" if self.bipolar_weights else f"// {rows}x{columns}\n"
        kind = f"bnn::Weights<{element}, {rows}, {columns}, {self.pe}, {self.simd}>"
        lines = (", ".join(_words(fold, self.weight_bits)) for fold in self._weight_rows())
        return comment + rom(f"{kind} {self.name}_weights", lines)

    def schedule(self) -> Schedule:
        """A pass over a vector's words for each PE rows; two vectors fit into the memory that replays them."""
        words, passes, vectors = self.input.words, len(self.weights) // self.pe, self.vectors
        latency = self._latency()
        depth = math.ceil((latency + 2) / words) + 1
        replayed = passes > 1
        given = np.arange(vectors * passes)
        taken = np.arange(vectors * words)
        vector, word = taken // words, taken % words
        delay = latency + (3 if replayed else 1)
        needs = {0: Wait((given // passes + 1) * words, delay)}
        leave = Wait(given + 1 - depth, latency + 1 + words)
        if replayed:  # a word's place is free when the last pass over the vector two before has read it
            last = (vector - 2) * passes + passes - 1
            room = Wait(last + (word > 0) - depth, 1)
            made = {0: Wait(last + 1, word - words - latency)}
        else:
            room, made = Wait(vector + 1 - depth, 1), {}
        intake = Intake(turns=len(taken), beats={0: taken}, room={0: room}, made=made)
        if self.selector is None:
            return Schedule(intakes=(intake,), emissions=(Emission(needs=needs, interval=words, room=leave),))
        if not replayed:  # the selector's beat is taken with a vector's last word
            intake = dataclasses.replace(intake, beats={0: taken, 1: (given + 1) * words - 1})
            return Schedule(intakes=(intake,), emissions=(Emission(needs=needs, interval=words, room=leave),))
        intake = dataclasses.replace(intake, after={1: Wait(last, 1)})
        select = Intake(
            turns=len(given),
            beats={1: given},
            room={0: Wait(given + 1 - depth, words)},
            after={0: Wait((given // passes + 1) * words, 2)},
            made={0: Wait(given, words - latency - 1)},
        )
        needs[1] = Wait(given + 1, latency + 1)
        return Schedule(intakes=(intake, select), emissions=(Emission(needs=needs, interval=words, room=leave),))

    def _latency(self) -> int:
        """Cycles from a vector's last word to its result, as in bnn_mvu.sv."""
        memory, wide = self.resolved_memory, self.weight_bits > 1
        shallow = self.xnor and memory is Memory.LUT and self.fold <= SHALLOW
        read = 2 if memory is Memory.BLOCK else int(memory is Memory.LUT and not shallow)
        masked = self.weight_bits == 1 and self.input.kind is not Kind.BIPOLAR
        width = self.weight_bits + self.input.bits if wide else self.input.bits
        total = read + int(wide or shallow) + _sum_latency(self.simd, width)
        total += int(self.input.words > 1) + int(masked)
        steps = 0 if self.thresholds is None else self.thresholds.shape[-1]
        return total + (0 if steps == 0 else 1 if steps == 1 else 2)

    def terms(self, folding: Folding) -> Terms:
        """PE rows of SIMD synapses, with accumulators and thresholds; the memories; the input kept for all rows."""
        memory, synapses = self.memory_at(folding), folding.pe * folding.simd
        rows, columns = len(self.weights) // folding.pe, self.weights.shape[1] // folding.simd
        if self.xnor:
            work = {"wired" if memory is Memory.HARDWIRED else "xnor": synapses}
        elif self.weight_bits == 1:
            work = {"mask": synapses * self.input.bits}
        else:
            work = {"multiply": synapses * self.input.bits * self.weight_bits}
        steps = 0 if self.thresholds is None else self.thresholds.shape[-1]
        thresholds = folding.pe * steps * self.accumulator_bits
        stored = rom_luts(synapses * self.weight_bits, rows * columns) if memory is Memory.LUT else 0
        if self.selector:
            work["mask"] = work.get("mask", 0) + thresholds // 2
        return {
            **work,
            "accumulate": folding.pe * self.accumulator_bits if columns > 1 else 0,
            "compare": thresholds,
            "rom": stored + rom_luts(thresholds, rows * self.codes),  # the selector is part of the address
            "buffer": folding.simd * self.input.bits * math.ceil(columns / 32) if rows > 1 else 0,
            "fifo": folding.pe * self.output.bits,
            "product": 1,
        }

    def block_rams(self, folding: Folding) -> int:
        """Those of the weights."""
        if self.memory_at(folding) is not Memory.BLOCK:
            return 0
        return block_rams(folding.pe * folding.simd * self.weight_bits, self._fold(folding))

    @property
    def folding(self) -> Folding:
        """PE, SIMD and memory."""
        return Folding(pe=self.pe, simd=self.simd, memory=self.memory)

    def foldings(self) -> Sequence[Folding]:
        """PE that divides the rows, SIMD that divides the columns; the whole where the weights are hard-wired."""
        mh, mw = self.weights.shape
        found = [Folding(pe=pe, simd=simd) for pe in divisors(mh) for simd in divisors(mw)]
        return found[-1:] if self.memory is Memory.HARDWIRED else found

    def lanes(self, folding: Folding) -> Lanes:
        """SIMD in; PE out, and of the selector."""
        return Lanes((folding.simd, *(folding.pe,) * (len(self.inputs) - 1)), (folding.pe,))

    def refolded(self, folding: Folding, inputs: tuple[Stream, ...], outputs: tuple[Stream, ...]) -> Self:
        """The same at another folding, with its memory where it names one."""
        return dataclasses.replace(self, inputs=inputs, outputs=outputs, memory=folding.memory or self.memory)

    def check_folding(self, folding: Folding) -> None:
        """`UserError` where PE does not divide MH or SIMD does not divide MW, or hard-wired weights are folded."""
        mh, mw = self.weights.shape
        for key, value, size in (("pe", folding.pe, mh), ("simd", folding.simd, mw)):
            self._check_divides(key, value, size, set(divisors(size)))
        if folding.memory is Memory.HARDWIRED and self._fold(folding) > 1:
            raise UserError(f"folding: {self.name}: hard-wired weights need a fold of 1; use pe={mh} and "
                            f"simd={mw}, or another memory")  # fmt: skip

    def caption(self) -> Caption:
        """Arithmetic, dimensions, PE and SIMD, and where the weights lie."""
        rows, columns = self.weights.shape
        arithmetic = (
            "XNOR" if self.xnor else "±1 weights" if self.bipolar_weights else f"{self.weight_bits}-bit weights"
        )
        lines = (f"{columns} → {rows}", f"PE {self.pe} · SIMD {self.simd}", MEMORIES[self.resolved_memory])
        return Caption(tag=arithmetic, lines=lines, width=178)


def _is_xnor(weights: Ints, stream: Stream) -> bool:
    """Whether products of these weights (MH, MW) and the stream's elements are XNOR and popcount."""
    return stream.kind is Kind.BIPOLAR and bool(np.all(np.abs(weights) == 1))


def accumulator_range(weights: Ints, stream: Stream) -> tuple[int, int]:
    """Smallest and largest accumulator of weights (MH, MW) and any elements of a stream; 0...MW for a popcount."""
    if _is_xnor(weights, stream):
        return 0, weights.shape[1]
    low, high = stream.range
    products = np.stack([weights * low, weights * high])
    return int(products.min(axis=0).sum(axis=1).min()), int(products.max(axis=0).sum(axis=1).max())


def accumulators(weights: Ints, stream: Stream, x: Array, name: str = "") -> Array:
    """Popcounts (XNOR) or dot products of x (F, ..., MW) with each row: (F, ..., MH), before thresholds.

    They are float32 where every partial sum is an exact integer (below 2**24), which uses all cores, or float64
    (2**53); `UserError` beyond.
    """
    low, high = accumulator_range(weights, stream)
    bound = max(-low, high)
    if bound >= 2**53:
        raise UserError(f"stage {name}: accumulators reach {bound}; the golden model is exact below 2**53")
    real = np.float32 if bound < 2**24 else np.float64
    dot: Array = x.astype(real) @ weights.T.astype(real)
    if _is_xnor(weights, stream):  # popcount = (dot + MW) / 2, exact: dot and MW have equal parity
        dot += real(weights.shape[1])
        dot *= real(0.5)
    return dot


def _words(rows: Ints, bits: int) -> Iterator[str]:
    """The rows (PE, SIMD) of one fold, each in as few equal words as hold it."""
    width = rows.shape[1] * bits
    count = -(-width // WORD)
    word = -(-width // count)
    for row in pack_words(rows, bits):
        for i in range(count):
            yield f"{row >> (i * word) & ((1 << word) - 1):#x}"


def _sum_latency(terms: int, width: int) -> int:
    """Registered levels of a sum, as in bnn_pkg.sv."""
    levels = 0
    while terms > 1:
        terms = -(-terms // (LEAF if width == 1 and levels == 0 else RADIX))
        levels += 1
    return levels
