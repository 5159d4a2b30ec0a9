# SPDX-License-Identifier: Apache-2.0
"""What an accelerator will cost and how fast it will be, before anything is synthesized.

Cycles are exact (they are what the RTL is measured to take); LUT, FF and block RAM are fitted: the coefficients
come from `benchmarks/estimate.py`, which synthesizes our own RTL with Yosys for a grid of shapes and refits them.
Words of this module: MW and MH are a layer's inputs and outputs, SIMD and PE those worked on in one cycle.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    GlobalSum,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
    Window,
)
from adiabit.hw.memory import choose

RING_IN_LUTS = 2048  # bits that Yosys keeps in LUT-RAM; a larger ring goes to block RAM
Terms = Mapping[str, int]  # amounts by term, see LUTS and FFS


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a stage takes on the FPGA: 6-input LUTs, flip-flops, 18 Kbit block RAMs, DSP slices."""

    luts: int = 0
    ffs: int = 0
    bram18: int = 0
    dsps: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True, kw_only=True)
class Product:
    """The dimensions of a matrix-vector stage, apart from its parallelism."""

    mh: int
    mw: int
    vectors: int
    input_bits: int
    weight_bits: int
    accumulator_bits: int
    steps: int  # thresholds a channel; 0: the accumulator is the output
    output_bits: int
    xnor: bool
    memory: Memory = Memory.AUTO

    @classmethod
    def of(cls, stage: MatrixVector) -> Product:
        """The dimensions of a stage."""
        return cls(
            mh=stage.weights.shape[0],
            mw=stage.weights.shape[1],
            vectors=stage.vectors,
            input_bits=stage.input.bits,
            weight_bits=stage.weight_bits,
            accumulator_bits=stage.accumulator_bits,
            steps=0 if stage.thresholds is None else stage.thresholds.shape[1],
            output_bits=stage.output.bits,
            xnor=stage.xnor,
            memory=stage.memory,
        )

    def resolved(self, pe: int, simd: int) -> Memory:
        """Where the weights lie at this parallelism."""
        fold = (self.mh // pe) * (self.mw // simd)
        return choose(fold, self.mh * self.mw * self.weight_bits) if self.memory is Memory.AUTO else self.memory


LUTS = {  # 6-input LUTs for one of each term; fitted by benchmarks/estimate.py against Yosys (xc7) on our own RTL
    "xnor": 1.682,  # a synapse: XNOR and its share of the popcount
    "wired": 0.712,  # the same with constant weights
    "mask": 1.181,  # a bit of an element, times a 1-bit weight
    "multiply": 2.057,  # a bit by a bit of a product
    "accumulate": 0.155,  # a bit of an accumulator
    "compare": 0.486,  # a bit of a comparison with a threshold
    "rom": 0.689,  # 64 bits of a ROM in LUTs
    "buffer": 2.307,  # a bit of the input kept for further rows, 32 words deep
    "fifo": 1.636,  # a bit of a stage's output buffer
    "shift": 0.549,  # a bit of the wide side of a converter to fewer lanes
    "ring": 0.324,  # 64 bits of a RAM in LUTs
    "raster": 32.642,  # control of a pad, pool, sum or window a cycle
    "window": 82.932,  # control of a window sent piece by piece
    "label": 1.269,  # a bit of value or index in a comparison of two classes
    "product": 60.856,  # control of a matrix-vector stage
    "stage": 25.309,  # control of any other stage
}
FFS = {  # flip-flops for one of each term; fitted likewise
    "xnor": 1.815,
    "wired": 0.786,
    "mask": 0.527,
    "multiply": 1.827,
    "accumulate": 2.109,
    "compare": 0.091,
    "buffer": 3.902,
    "fifo": 1.614,
    "wide": 0.856,  # a bit of the wide side of a converter
    "ring": 0.367,
    "raster": 20.691,
    "window": 59.325,
    "label": 1.145,
    "product": 52.598,
    "stage": 23.584,
}


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One stage's row."""

    name: str
    kind: str
    cycles: int  # from one frame to the next
    latency: int  # cycles that the stage adds on a frame's way
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Every stage's row, and the whole."""

    stages: tuple[StageEstimate, ...]

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state: the slowest stage's."""
        return max(s.cycles for s in self.stages)

    @property
    def latency(self) -> int:
        """Cycles from the first beat of a frame to its result in an idle circuit, see :func:`latencies`."""
        return sum(s.latency for s in self.stages)

    @property
    def resources(self) -> Resources:
        """All stages together."""
        return sum((s.resources for s in self.stages), Resources())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the totals, then a row a stage."""
        rows = [
            {
                "name": s.name,
                "kind": s.kind,
                "cycles": s.cycles,
                "latency": s.latency,
                **dataclasses.asdict(s.resources),
            }
            for s in self.stages
        ]
        return {"cycles": self.cycles, "latency": self.latency, **dataclasses.asdict(self.resources), "stages": rows}


def estimate(accelerator: Accelerator) -> Estimate:
    """Cycles, latency and resources of each stage and of the whole."""
    return Estimate(
        stages=tuple(
            StageEstimate(name=s.name, kind=type(s).__name__, cycles=s.cycles, latency=late, resources=resources(s))
            for s, late in zip(accelerator.stages, latencies(accelerator), strict=True)
        )
    )


def latencies(accelerator: Accelerator) -> list[int]:
    """Cycles that each stage adds until a frame's last beat is out, in an idle circuit; the first has the input's too.

    A product works on its first rows while its input comes in, on the others afterwards; what only passes beats on
    is late by its registers, or by its own pace where that is slower.
    """
    first, last, ends = 0, accelerator.input.beats, [0]  # when the first and the last beat are on the wire
    for stage in accelerator.stages:
        depth, pace = _depth(stage), first + stage.cycles
        if isinstance(stage, MatrixVector) and stage.vectors == 1:
            first, last = last + depth, max(last + stage.cycles - stage.input.beats, pace) + depth
        elif isinstance(stage, LabelSelect):
            first = last = last + depth
        else:
            awaited = round(_awaited(stage) * (last - first))
            first, last = first + awaited + depth, max(last, pace) + depth
        ends.append(last)
    return [b - a for a, b in itertools.pairwise(ends)]


def _awaited(stage: Stage) -> float:
    """Share of a frame that comes in before the first result can be there."""
    if isinstance(stage, GlobalSum):
        return 1.0
    if isinstance(stage, Window | Pool):
        rows, columns = stage.span if isinstance(stage, Window) else stage.kernel
        height, width, _ = stage.input.shape
        return ((rows - 1) * width + columns) / (height * width)
    return 0.0


def _depth(stage: Stage) -> int:
    """Registers between a stage's input and its output."""
    if isinstance(stage, MatrixVector):
        return 6 + math.ceil(math.log(max(stage.simd, 2), 6))
    return 3


def resources(stage: Stage) -> Resources:
    """What a stage takes, by its kind."""
    if isinstance(stage, MatrixVector):
        return product(Product.of(stage), stage.pe, stage.simd)
    blocks = 0
    if isinstance(stage, Window) and not stage.parallel:
        width, depth = stage.output.width, ring_depth(stage, stage.output.lanes)
        blocks = block_rams(width, depth) if width * depth > RING_IN_LUTS else 0
    return Resources(**_weighed(terms(stage)), bram18=blocks)


def terms(stage: Stage) -> Terms:
    """How much of each thing that costs something a stage has."""
    if isinstance(stage, MatrixVector):
        return product_terms(Product.of(stage), stage.pe, stage.simd)
    if isinstance(stage, Threshold):
        uniform = not np.ptp(stage.thresholds, axis=0).any()
        return threshold_terms(stage.input, stage.thresholds.shape[1], stage.output.bits, stage.input.lanes, uniform)
    if isinstance(stage, Window):
        return window_terms(stage, stage.output.lanes)
    if isinstance(stage, Pad):
        return pad_terms(stage.input, stage.input.lanes, stage.queue)
    if isinstance(stage, Pool | GlobalSum):
        return reduce_terms(stage, stage.input.lanes)
    if isinstance(stage, WidthConverter):
        return converter_terms(stage.input.bits, stage.input.lanes, stage.output.lanes)
    if isinstance(stage, Fifo):
        return {"fifo": _queue(stage.input.width, stage.depth), "stage": 1}
    if isinstance(stage, LabelSelect):
        return label_terms(stage.input, stage.input.lanes)
    raise TypeError(f"no estimate for {type(stage).__name__}")


def luts(quantities: Terms) -> int:
    """LUTs of these quantities."""
    return _weighed(quantities)["luts"]


def _weighed(quantities: Terms) -> dict[str, int]:
    return {
        name: math.ceil(sum(cost.get(term, 0.0) * amount for term, amount in quantities.items()))
        for name, cost in (("luts", LUTS), ("ffs", FFS))
    }


def product(dims: Product, pe: int, simd: int) -> Resources:
    """LUTs, flip-flops and the weights' block RAMs of a matrix-vector stage."""
    block = dims.resolved(pe, simd) is Memory.BLOCK
    fold = (dims.mh // pe) * (dims.mw // simd)
    blocks = block_rams(pe * simd * dims.weight_bits, fold) if block else 0
    return Resources(**_weighed(product_terms(dims, pe, simd)), bram18=blocks)


def product_terms(dims: Product, pe: int, simd: int) -> Terms:
    """PE rows of SIMD synapses, each with an accumulator and thresholds, the memories, the input kept for all rows."""
    memory, synapses = dims.resolved(pe, simd), pe * simd
    rows, columns = dims.mh // pe, dims.mw // simd
    if dims.xnor:
        work = {"wired" if memory is Memory.HARDWIRED else "xnor": synapses}
    elif dims.weight_bits == 1:
        work = {"mask": synapses * dims.input_bits}
    else:
        work = {"multiply": synapses * dims.input_bits * dims.weight_bits}
    thresholds = pe * dims.steps * dims.accumulator_bits
    rom = _rom(synapses * dims.weight_bits, rows * columns) if memory is Memory.LUT else 0
    return {
        **work,
        "accumulate": pe * dims.accumulator_bits if columns > 1 else 0,
        "compare": thresholds,
        "rom": rom + _rom(thresholds, rows),
        "buffer": simd * dims.input_bits * math.ceil(columns / 32) if rows > 1 else 0,
        "fifo": pe * dims.output_bits,
        "product": 1,
    }


def threshold_terms(stream: Stream, steps: int, output_bits: int, lanes: int, uniform: bool) -> Terms:
    """One comparator a step and lane; where thresholds differ by channel and a lane serves several, their ROM."""
    bits = lanes * steps * stream.bits
    if uniform:
        return {"fifo": lanes * output_bits, "stage": 1}
    return {
        "compare": bits,
        "rom": _rom(bits, stream.channels // lanes),
        "fifo": lanes * output_bits,
        "stage": 1,
    }


def converter_terms(bits: int, source: int, target: int) -> Terms:
    """A register of the wide side, loaded or read a narrow beat at a time, and a skid buffer of the narrow side."""
    wide = bits * max(source, target)
    return {"wide": wide, "shift": wide if source > target else 0, "fifo": bits * min(source, target), "stage": 1}


def window_terms(stage: Window, lanes: int) -> Terms:
    """Counters of the window and the grid; a window a cycle: the rows above in LUTs, a register for each pixel."""
    stream, (rows, columns) = stage.input, stage.span
    whole = math.prod(stage.kernel) * stream.channels
    if lanes == whole:
        pixel = stream.channels * stream.bits
        ring = (rows - 1) * pixel * math.ceil(stream.shape[1] / 64)
        waiting = _queue(whole * stream.bits, stage.queue)
        return {"ring": ring, "wide": rows * columns * pixel, "fifo": pixel + waiting, "raster": 1}
    width, depth = lanes * stream.bits, ring_depth(stage, lanes)
    return {"ring": 0 if width * depth > RING_IN_LUTS else width * math.ceil(depth / 64), "window": 1}


def ring_depth(stage: Window, lanes: int) -> int:
    """Beats in the ring of a window that is sent piece by piece: to the next one's end, to the next power of two."""
    (rows, columns), (down, across), (step_y, step_x) = stage.span, stage.grid, stage.stride
    height, width, channels = stage.input.shape
    row = (across - 1) * step_x  # pixels from a row's first window to its last
    ahead = max(
        step_x if across > 1 else 0,
        step_y * width - row if down > 1 else 0,
        (height - (down - 1) * step_y) * width - row,
    )
    return 1 << (((rows - 1) * width + columns + ahead) * (channels // lanes) - 1).bit_length()


def pad_terms(stream: Stream, lanes: int, queue: int = 0) -> Terms:
    """Counters, a skid buffer, and beats that wait."""
    return {"fifo": lanes * stream.bits + _queue(lanes * stream.bits, queue), "raster": 1}


def reduce_terms(stage: Pool | GlobalSum, lanes: int) -> Terms:
    """A row of results in LUTs, an operation and a skid buffer a lane, and counters."""
    across = stage.grid[1] if isinstance(stage, Pool) else 1
    bits = lanes * stage.output.bits
    ring = bits * math.ceil(across * stage.input.channels / lanes / 64)
    work = bits if stage.output.bits > 1 else 0
    return {"ring": ring, "compare": work, "fifo": bits, "raster": 1}


def label_terms(stream: Stream, lanes: int) -> Terms:
    """A tree of comparisons of value and index, and the best so far."""
    index = max(1, (stream.elements - 1).bit_length())
    return {"label": lanes * (stream.bits + index), "fifo": index, "stage": 1}


def _queue(width: int, depth: int) -> int:
    """Bits of a FIFO as the term "fifo" counts them: each 32 words deep."""
    return width * math.ceil(depth / 32)


def _rom(width: int, depth: int) -> int:
    """LUTs that hold `depth` words of `width` bits, 64 bits each; a single word is constants."""
    return width * math.ceil(depth / 64) if depth > 1 else 0


ASPECTS = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))  # of an 18 Kbit block RAM


def block_rams(width: int, depth: int) -> int:
    """18 Kbit block RAMs for `depth` words of `width` bits, in the best of the aspects that the block has."""
    return min(math.ceil(width / w) * math.ceil(depth / d) for w, d in ASPECTS)
