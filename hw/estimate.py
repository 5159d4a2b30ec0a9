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
from dataclasses import dataclass
from typing import Any

from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    LabelSelect,
    MatrixVector,
    Memory,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
)
from adiabit.hw.memory import choose


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


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """Fitted by `benchmarks/estimate.py` against Yosys (synth_xilinx, xc7) on our own RTL."""

    synapse: float = 1.77  # LUTs a synapse bit and cycle: XNOR and its share of the popcount, weights from memory
    synapse_wired: float = 1.57  # the same with constant weights
    add: float = 1.1  # LUTs a bit of an adder
    compare: float = 0.55  # LUTs a bit of a comparison with a threshold
    rom: float = 1.0  # LUTs for 64 words of a bit
    product_control: float = 30.0
    convert: float = 1.0  # LUTs a bit of a width converter's wide side
    control: float = 12.0
    ff_synapse: float = 0.0
    ff_control: float = 30.0


FITTED = Coefficients()


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
            first, last = first + depth, max(last, pace) + depth
        ends.append(last)
    return [b - a for a, b in itertools.pairwise(ends)]


def _depth(stage: Stage) -> int:
    """Registers between a stage's input and its output."""
    if isinstance(stage, MatrixVector):
        return 6 + math.ceil(math.log(max(stage.simd, 2), 6))
    return 3


def resources(stage: Stage) -> Resources:
    """What a stage takes, by its kind."""
    if isinstance(stage, MatrixVector):
        return product(Product.of(stage), stage.pe, stage.simd)
    if isinstance(stage, Threshold):
        return threshold(stage.input, stage.thresholds.shape[1], stage.output.bits, stage.input.lanes)
    if isinstance(stage, WidthConverter):
        return converter(stage.input.bits, stage.input.lanes, stage.output.lanes)
    if isinstance(stage, Fifo):
        return fifo(stage.input.width, stage.depth)
    if isinstance(stage, LabelSelect):
        return label_select(stage.input, stage.input.lanes)
    raise TypeError(f"no estimate for {type(stage).__name__}")


def product(dims: Product, pe: int, simd: int, c: Coefficients = FITTED) -> Resources:
    """PE rows of SIMD synapses, an accumulator and thresholds each, the weights' memory, the input kept for all rows.

    LUT = synapses * bits + PE * (accumulate + compare) + thresholds' ROM + weights' ROM + input buffer + control.
    """
    memory, synapses = dims.resolved(pe, simd), pe * simd
    rows, columns = dims.mh // pe, dims.mw // simd
    if dims.xnor:
        work = synapses * (c.synapse_wired if memory is Memory.HARDWIRED else c.synapse)
    else:  # an adder a synapse, one a further bit of the weight
        work = synapses * c.add * (dims.input_bits + 1) * max(1, dims.weight_bits - 1)
    keep = pe * dims.accumulator_bits * (c.add if columns > 1 else 0)
    steps = pe * dims.steps * dims.accumulator_bits
    luts = work + keep + steps * c.compare + c.product_control
    luts += steps * c.rom * math.ceil(rows / 64) if rows > 1 else 0
    buffer = simd * dims.input_bits if rows > 1 else 0
    luts += buffer * math.ceil(columns / 64) if columns > 1 else 0
    word = synapses * dims.weight_bits
    luts += word * c.rom * math.ceil(rows * columns / 64) if memory is Memory.LUT else 0
    ffs = (
        pe * (dims.accumulator_bits + dims.output_bits * max(1, dims.steps > 0))
        + buffer
        + c.ff_synapse * word
        + c.ff_control
    )
    blocks = block_rams(word, rows * columns) if memory is Memory.BLOCK else 0
    return Resources(luts=round(luts), ffs=round(ffs), bram18=blocks)


def threshold(stream: Stream, steps: int, output_bits: int, lanes: int, c: Coefficients = FITTED) -> Resources:
    """One comparator a step and lane, and the thresholds' ROM where a lane serves several channels."""
    bits, depth = lanes * steps * stream.bits, stream.channels // lanes
    rom = bits * c.rom * math.ceil(depth / 64) if depth > 1 else 0
    return Resources(luts=round(bits * c.compare + rom + c.control), ffs=lanes * output_bits + math.ceil(c.control))


def converter(bits: int, source: int, target: int, c: Coefficients = FITTED) -> Resources:
    """A register of the wide side, loaded or read a narrow beat at a time."""
    wide = bits * max(source, target)
    return Resources(luts=round(wide * c.convert + c.control), ffs=wide + math.ceil(c.control))


def fifo(width: int, depth: int, c: Coefficients = FITTED) -> Resources:
    """LUT-RAM: a LUT holds 64 words of a bit (RAM64M), three quarters of them usable."""
    return Resources(luts=round(width * math.ceil(depth / 64) * 4 / 3 + c.control), ffs=width + math.ceil(c.control))


def label_select(stream: Stream, lanes: int, c: Coefficients = FITTED) -> Resources:
    """A tree of comparisons of value and index, and the best so far."""
    index = max(1, (stream.elements - 1).bit_length())
    luts = lanes * (stream.bits * (c.compare + 1) + index) + c.control
    return Resources(luts=round(luts), ffs=stream.bits + 2 * index + math.ceil(c.control))


ASPECTS = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))  # of an 18 Kbit block RAM


def block_rams(width: int, depth: int) -> int:
    """18 Kbit block RAMs for `depth` words of `width` bits, in the best of the aspects that the block has."""
    return min(math.ceil(width / w) * math.ceil(depth / d) for w, d in ASPECTS)
