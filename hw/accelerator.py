# SPDX-License-Identifier: Apache-2.0
"""The accelerator as data: streams that join stages, integers only, nothing of ONNX, torch or tools.

Vocabulary (FINN's): a matrix has MW columns (inputs) and MH rows (outputs); SIMD columns and PE rows are
worked on in one cycle, so a vector takes MH/PE * MW/SIMD cycles, its *fold*. SIMD is the number of lanes of
a stage's input stream and PE that of its output stream: they are written nowhere else.

Bipolar elements are -1 and +1; in hardware bit 1 stands for +1 and bit 0 for -1.

Images are (H, W, C), sound is (1, W, C); elements travel in that order, the channel fastest, and no stage but
`Window` changes it. So a stage may write its elements in any shape that its reader wants, e.g. flat.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from adiabit.errors import UserError

Ints = npt.NDArray[np.int64]


class Kind(StrEnum):
    """How the bits of an element are read."""

    BIPOLAR = "bipolar"  # one bit: 0 is -1, 1 is +1
    UNSIGNED = "unsigned"
    SIGNED = "signed"  # two's complement


class Memory(StrEnum):
    """Where a stage keeps its weights."""

    AUTO = "auto"  # chosen by size, see :func:`adiabit.hw.memory.memory_of`
    LUT = "lut"  # LUT-ROM
    BLOCK = "block"  # block RAM
    HARDWIRED = "hardwired"  # constants in the logic; needs a fold of 1


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Elements of one frame (shape without the batch axis, channel last), `lanes` of them a beat."""

    name: str
    shape: tuple[int, ...]
    bits: int
    kind: Kind
    lanes: int

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"stream {self.name!r}: the name must be an identifier, it becomes a signal's name")
        if not self.shape or min(self.shape) < 1:
            raise UserError(f"stream {self.name}: shape {self.shape} is empty; each side must be at least 1")
        if not 1 <= self.bits <= 32 or (self.kind is Kind.BIPOLAR and self.bits != 1):
            raise UserError(f"stream {self.name}: {self.bits} bits {self.kind}; bipolar is 1 bit, others 1 to 32")
        if self.lanes < 1 or self.channels % self.lanes:
            raise UserError(
                f"stream {self.name}: lanes={self.lanes} does not divide its {self.channels} channels; "
                f"nearest that do: {nearest_divisors(self.channels, self.lanes)}"
            )

    @property
    def channels(self) -> int:
        """Elements of the last axis."""
        return self.shape[-1]

    @property
    def elements(self) -> int:
        """Elements of a frame."""
        return math.prod(self.shape)

    @property
    def beats(self) -> int:
        """Transfers of a frame."""
        return self.elements // self.lanes

    @property
    def width(self) -> int:
        """Bits of a beat."""
        return self.bits * self.lanes

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value of an element."""
        if self.kind is Kind.BIPOLAR:
            return -1, 1
        if self.kind is Kind.UNSIGNED:
            return 0, 2**self.bits - 1
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One box of the pipeline: reads its input streams and writes its output streams, beat by beat."""

    name: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    arrays: ClassVar[tuple[str, ...]] = ()  # the fields that are parameters, saved in params.npz

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"stage {self.name!r}: the name must be an identifier, it becomes an instance's name")
        for field in self.arrays:
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, self._integers(field, value))
        self.check()

    def check(self) -> None:
        """Raise `UserError` where the parameters do not fit the streams."""
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            self._refuse(f"{len(self.inputs)} inputs and {len(self.outputs)} outputs; this kind has one of each")

    @property
    def input(self) -> Stream:
        """The only input stream."""
        return self.inputs[0]

    @property
    def output(self) -> Stream:
        """The only output stream."""
        return self.outputs[0]

    @property
    def cycles(self) -> int:
        """Initiation interval: cycles from one frame to the next when nothing stalls."""
        return max(s.beats for s in (*self.inputs, *self.outputs))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(a, b) if f.name in self.arrays and a is not None and b is not None else a is b or a == b
            for f in dataclasses.fields(self)
            for a, b in [(getattr(self, f.name), getattr(other, f.name))]
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside

    def _refuse(self, why: str) -> NoReturn:
        raise UserError(f"stage {self.name}: {why}")

    def _integers(self, field: str, value: Any) -> Ints:
        """A read-only copy; nothing is rounded to get it."""
        given = np.asarray(value)
        if given.dtype.kind not in "biuf" or not np.array_equal(given, np.rint(given)) or np.any(abs(given) >= 2.0**53):
            self._refuse(f"{field} are of {given.dtype}; integers below 2**53 are needed")
        made = given.astype(np.int64)
        made.setflags(write=False)
        return made

    def _same_elements(self) -> None:
        a, b = self.input, self.output
        if (a.elements, a.bits, a.kind) != (b.elements, b.bits, b.kind):
            self._refuse(f"input {a} and output {b} must differ in lanes and shape alone")

    def _reads_image(self) -> tuple[int, int, int]:
        if len(self.input.shape) != 3:
            self._refuse(f"input {self.input} must have the shape (H, W, C)")
        height, width, channels = self.input.shape
        return height, width, channels

    def _writes(self, *shape: int) -> None:
        """Check that the output holds the elements of `shape`, in lanes that divide its last axis."""
        out = self.output
        if out.elements != math.prod(shape) or shape[-1] % out.lanes:
            self._refuse(f"output {out} must hold {shape} elements in lanes that divide {shape[-1]}")

    def _check_queue(self, queue: int) -> None:
        if queue < 0 or queue == 1:
            self._refuse(f"queue={queue}: none is 0, else it holds at least 2")

    def _check_thresholds(self, thresholds: Ints, rows: int) -> None:
        out = self.output
        steps = 1 if out.kind is Kind.BIPOLAR else 2**out.bits - 1
        if out.kind is Kind.SIGNED:
            self._refuse("thresholds count steps, so the output is bipolar or unsigned, not signed")
        if thresholds.shape != (rows, steps):
            self._refuse(f"thresholds have shape {thresholds.shape}; {out.bits}-bit {out.kind} needs {(rows, steps)}")
        if np.any(np.diff(thresholds, axis=1) < 0):
            self._refuse("thresholds of a channel must not decrease")


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold(Stage):
    """y = number of thresholds that x reaches (T <= x); one threshold and a bipolar output make sign(x - T).

    `thresholds`: (channels, steps), steps = 2**bits - 1 (1 if bipolar), non-decreasing along a row.
    """

    thresholds: Ints
    arrays: ClassVar[tuple[str, ...]] = ("thresholds",)

    def check(self) -> None:
        """Check shapes and ranges."""
        super().check()
        if self.input.elements != self.output.elements or self.input.lanes != self.output.lanes:
            self._refuse(f"input {self.input} and output {self.output} must have equal elements and lanes")
        self._check_thresholds(self.thresholds, self.input.channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixVector(Stage):
    """One matrix-vector product a vector of the last axis, with or without thresholds.

    `weights`: (MH, MW), all of them -1 or +1 (XNOR where the input is bipolar too), or small integers.
    `thresholds`: (MH, steps) on the *accumulator*, or None: then the accumulator itself is the output.
    The accumulator is the popcount of agreeing bits, 0...MW, where input and weights are bipolar
    (dot product = 2 * popcount - MW), else the dot product.
    """

    weights: Ints
    thresholds: Ints | None = None
    memory: Memory = Memory.AUTO
    arrays: ClassVar[tuple[str, ...]] = ("weights", "thresholds")

    def check(self) -> None:
        """Check shapes, ranges and folding."""
        super().check()
        if self.weights.ndim != 2 or 0 in self.weights.shape:
            self._refuse(f"weights have shape {self.weights.shape}; (MH, MW) is needed")
        mh, mw = self.weights.shape
        if self.input.channels != mw:
            self._refuse(f"weights (MH, MW) = {(mh, mw)} do not fit {self.input.channels} inputs")
        self._writes(*self.input.shape[:-1], mh)
        if self.memory is Memory.HARDWIRED and self.fold != 1:
            self._refuse(f"hard-wired weights need a fold of 1, this one is {self.fold}; use PE={mh} and SIMD={mw}")
        if self.thresholds is not None:
            self._check_thresholds(self.thresholds, mh)
        else:
            low, high = self.accumulator_range
            if not self.output.range[0] <= low <= high <= self.output.range[1] or self.output.kind is Kind.BIPOLAR:
                self._refuse(f"accumulators from {low} to {high} do not fit the output {self.output}")

    @property
    def bipolar_weights(self) -> bool:
        """Whether a weight is one bit: -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))

    @property
    def xnor(self) -> bool:
        """Whether the product is XNOR and popcount."""
        return self.input.kind is Kind.BIPOLAR and self.bipolar_weights

    @property
    def weight_bits(self) -> int:
        """Bits of one weight: 1 if bipolar, else two's complement of at least 2, for one bit is read as -1 or +1."""
        return 1 if self.bipolar_weights else max(2, signed_bits(int(self.weights.min()), int(self.weights.max())))

    @property
    def accumulator_range(self) -> tuple[int, int]:
        """Smallest and largest accumulator that any input can make; 0...MW for a popcount."""
        if self.xnor:
            return 0, self.weights.shape[1]
        low, high = self.input.range
        products = np.stack([self.weights * low, self.weights * high])
        return int(products.min(axis=0).sum(axis=1).min()), int(products.max(axis=0).sum(axis=1).max())

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
        return math.prod(self.input.shape[:-1])

    @property
    def fold(self) -> int:
        """Cycles a vector: MH/PE * MW/SIMD."""
        mh, mw = self.weights.shape
        return int((mh // self.pe) * (mw // self.simd))

    @property
    def cycles(self) -> int:
        """Initiation interval of a frame."""
        return self.fold * self.vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthConverter(Stage):
    """Regroups the lanes of a stream; the element order stays. Any two lane counts of which one divides the other."""

    def check(self) -> None:
        """Check that nothing but the lanes, and maybe the shape, changes."""
        super().check()
        self._same_elements()
        wide, narrow = max(self.input.lanes, self.output.lanes), min(self.input.lanes, self.output.lanes)
        if wide % narrow:
            self._refuse(
                f"{self.input.lanes} to {self.output.lanes} lanes: one must divide the other; use two converters"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Fifo(Stage):
    """Holds up to `depth` beats."""

    depth: int

    def check(self) -> None:
        """Check depth and equal streams."""
        super().check()
        self._same_elements()
        if self.depth < 2 or self.input.lanes != self.output.lanes:
            self._refuse(f"depth {self.depth} and {self.input.lanes} to {self.output.lanes} lanes; "
                         "a FIFO holds at least 2 beats and keeps the lanes")  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Window(Stage):
    """Sliding window of an image (H, W, C): a vector (KH, KW, C) for each output pixel, rows first.

    With KH * KW * C lanes out and C in, a window a cycle; else the lanes are equal and divide C, and a window is
    sent piece by piece. The output is (OH, OW, KH * KW * C), or in another shape the same.
    """

    kernel: tuple[int, int]  # (KH, KW) pixels
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    queue: int = 0  # whole windows that may wait behind it, see :mod:`adiabit.hw.queues`

    def check(self) -> None:
        """Check that windows lie inside the image, and the lanes."""
        super().check()
        _, _, channels = self._reads_image()
        if min(*self.kernel, *self.stride, *self.dilation) < 1 or min(self.grid) < 1:
            self._refuse(
                f"kernel {self.kernel}, stride {self.stride}, dilation {self.dilation}: no window of "
                f"{self.span[0]} x {self.span[1]} pixels lies in the image {self.input.shape}; pad it"
            )
        a, b = self.input, self.output
        if (a.bits, a.kind) != (b.bits, b.kind):
            self._refuse(f"input {a} and output {b} must have equal elements")
        self._writes(*self.grid, math.prod(self.kernel) * channels)
        if not (self.parallel or (a.lanes == b.lanes and channels % b.lanes == 0)):
            self._refuse(
                f"{a.lanes} lanes to {b.lanes}: equal lanes that divide the {channels} channels, or {channels} to "
                f"{math.prod(self.kernel) * channels}, are needed"
            )
        self._check_queue(self.queue)
        if self.queue and not self.parallel:
            self._refuse(f"queue={self.queue}: windows that are sent piece by piece wait in the ring; use 0")

    @property
    def span(self) -> tuple[int, int]:
        """Rows and columns from a window's first pixel to its last."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return rows, columns

    @property
    def grid(self) -> tuple[int, int]:
        """Windows (OH, OW)."""
        rows, columns = (
            (side - span) // stride + 1
            for side, span, stride in zip(self.input.shape, self.span, self.stride, strict=False)
        )
        return rows, columns

    @property
    def parallel(self) -> bool:
        """Whether a whole window leaves in a cycle."""
        channels = self.input.channels
        return self.input.lanes == channels and self.output.lanes == math.prod(self.kernel) * channels


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Stage):
    """An image (H, W, C) with rows and columns of one value around it."""

    before: tuple[int, int]  # rows above, columns on the left
    after: tuple[int, int]  # rows below, columns on the right
    value: int  # of each element
    queue: int = 0  # beats that may wait before it, see :mod:`adiabit.hw.queues`

    def check(self) -> None:
        """Check shapes and the value."""
        super().check()
        height, width, channels = self._reads_image()
        a, b = self.input, self.output
        if min(*self.before, *self.after) < 0 or (a.bits, a.kind, a.lanes) != (b.bits, b.kind, b.lanes):
            self._refuse(f"before {self.before}, after {self.after}, input {a}, output {b}: pads are not negative, "
                         "and the elements and lanes stay")  # fmt: skip
        (top, left), (bottom, right) = self.before, self.after
        self._writes(top + height + bottom, left + width + right, channels)
        low, high = a.range
        if not low <= self.value <= high or (a.kind is Kind.BIPOLAR and self.value == 0):
            self._refuse(f"pads with {self.value}, which {a} cannot carry")
        self._check_queue(self.queue)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Stage):
    """Largest element of each KH x KW block of an image (H, W, C); of -1 and +1 it is OR. Blocks do not overlap.

    Rows and columns that fill no block are dropped. Overlapping windows: a `Window` that writes
    (OH, OW * KH * KW, C), then a `Pool` of (1, KH * KW).
    """

    kernel: tuple[int, int]

    def check(self) -> None:
        """Check shapes and lanes."""
        super().check()
        _, _, channels = self._reads_image()
        a, b = self.input, self.output
        if min(self.kernel) < 1 or min(self.grid) < 1 or (a.bits, a.kind, a.lanes) != (b.bits, b.kind, b.lanes):
            self._refuse(f"kernel {self.kernel}, input {a}, output {b}: a block must lie in the image, and the "
                         "elements and lanes stay")  # fmt: skip
        self._writes(*self.grid, channels)

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks (OH, OW)."""
        return self.input.shape[0] // self.kernel[0], self.input.shape[1] // self.kernel[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalSum(Stage):
    """Sum of each channel over an image (H, W, C), (C,) out; of bipolar elements, how many are +1.

    It is the global average pool without its division, which the next layer's thresholds take in.
    """

    def check(self) -> None:
        """Check shapes, lanes and that the sums fit."""
        super().check()
        _, _, channels = self._reads_image()
        a, b = self.input, self.output
        low, high = self.sums
        if a.lanes != b.lanes or b.kind is Kind.BIPOLAR or not b.range[0] <= low <= high <= b.range[1]:
            self._refuse(f"sums from {low} to {high} of {a} do not fit {b} at equal lanes")
        self._writes(channels)

    @property
    def sums(self) -> tuple[int, int]:
        """Smallest and largest sum."""
        pixels = self.input.elements // self.input.channels
        low, high = (0, 1) if self.input.kind is Kind.BIPOLAR else self.input.range
        return pixels * low, pixels * high


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSelect(Stage):
    """Index of the largest element of the frame; the lowest index wins a tie. Output: one unsigned element."""

    def check(self) -> None:
        """Check that the index fits."""
        super().check()
        need = max(1, (self.input.elements - 1).bit_length())
        if self.output.shape != (1,) or self.output.kind is not Kind.UNSIGNED or self.output.bits < need:
            self._refuse(f"output {self.output} must be one unsigned element of at least {need} bits")
        if self.input.kind is Kind.BIPOLAR:
            self._refuse("bipolar input has no order worth selecting by; feed accumulators")


STAGE_KINDS: dict[str, type[Stage]] = {
    cls.__name__: cls
    for cls in (Threshold, MatrixVector, Window, Pad, Pool, GlobalSum, WidthConverter, Fifo, LabelSelect)
}


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """Stages in topological order, joined by streams of equal name and definition."""

    name: str
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"accelerator {self.name!r}: the name must be an identifier, it becomes a module's name")
        if not self.stages:
            raise UserError(f"accelerator {self.name}: has no stages; at least one is needed")
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise UserError(f"accelerator {self.name}: two stages bear one name in {names}")
        made: dict[str, Stream] = {}
        used: set[str] = set()
        for stage in self.stages:
            for stream in stage.inputs:
                if stream.name in used:
                    raise UserError(f"stage {stage.name}: stream {stream.name} is read twice; use a fork")
                used.add(stream.name)
                if made.get(stream.name, stream) != stream:
                    raise UserError(f"stage {stage.name}: reads {stream}, but it was written as {made[stream.name]}")
            for stream in stage.outputs:
                if stream.name in made or stream.name in used:
                    raise UserError(f"stage {stage.name}: stream {stream.name} is written twice, or before it is read")
                made[stream.name] = stream
        sources = [s for stage in self.stages for s in stage.inputs if s.name not in made]
        sinks = [s for s in made.values() if s.name not in used]
        if len(sources) != 1 or len(sinks) != 1:
            raise UserError(
                f"accelerator {self.name}: open inputs {[s.name for s in sources]} and outputs "
                f"{[s.name for s in sinks]}; exactly one of each is needed"
            )

    @property
    def input(self) -> Stream:
        """The stream from the host."""
        return self.stages[0].inputs[0]

    @property
    def output(self) -> Stream:
        """The stream to the host."""
        return self.stages[-1].outputs[0]

    @property
    def streams(self) -> Iterator[Stream]:
        """Each stream once: the host's, then each stage's outputs."""
        yield self.input
        for stage in self.stages:
            yield from stage.outputs

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state: the fold of the slowest stage."""
        return max(stage.cycles for stage in self.stages)


def signed_bits(low: int, high: int) -> int:
    """Bits of the two's complement that holds low...high."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def integer_type(low: int, high: int) -> tuple[Kind, int]:
    """Kind and bits of the narrowest integer that holds low...high."""
    return (Kind.UNSIGNED, max(1, high.bit_length())) if low >= 0 else (Kind.SIGNED, signed_bits(low, high))


def divisors(n: int) -> list[int]:
    """All divisors of n, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


def nearest_divisors(n: int, wanted: int, count: int = 3) -> list[int]:
    """The `count` divisors of n that are closest to `wanted`, ascending: the remedy in an error message."""
    return sorted(sorted(divisors(n), key=lambda d: (abs(d - wanted), d))[:count])


def stage_fields(stage: Stage) -> dict[str, Any]:
    """The scalar fields of a stage beside its name, streams and arrays."""
    common = {"name", "inputs", "outputs", *stage.arrays}
    return {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage) if f.name not in common}
