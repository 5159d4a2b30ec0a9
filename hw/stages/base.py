# SPDX-License-Identifier: Apache-2.0
"""The interface of a stage kind: a frozen dataclass that implements the abstract methods of :class:`Stage`.

Each kind is one module. It registers itself under its class name, by which a saved accelerator refers to it; no other
code lists the kinds.

Vocabulary (FINN's): a matrix has MW columns (inputs) and MH rows (outputs). Each cycle processes SIMD columns of PE
rows, so a vector takes MH/PE * MW/SIMD cycles, its *fold*. SIMD is the number of lanes of a stage's input stream, PE
that of its output stream; neither is stored anywhere else.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.stages.cost import Resources, Terms, resources
from adiabit.hw.stages.integers import Array, Ints, divisors, nearest_divisors
from adiabit.hw.stages.schedule import Schedule
from adiabit.hw.stages.stream import Stream

RTL = Path(__file__).parent.parent / "rtl"
HLS = Path(__file__).parent.parent / "hls"

KINDS: dict[str, type[Stage]] = {}  # by class name


class Memory(StrEnum):
    """Where a stage keeps its weights."""

    AUTO = "auto"  # chosen by size
    LUT = "lut"  # LUT-ROM
    BLOCK = "block"  # block RAM
    HARDWIRED = "hardwired"  # constants in the logic; needs a fold of 1


@dataclass(frozen=True, kw_only=True, order=True)
class Folding:
    """Parallelism of one stage; PE and SIMD as in FINN. For kinds other than a product, `pe` is the number of lanes."""

    pe: int = 1  # rows a cycle; divides MH
    simd: int = 1  # columns a cycle; divides MW
    memory: Memory | None = None  # of the weights; None keeps the stage's own


@dataclass(frozen=True)
class Lanes:
    """Lanes of each input and output stream."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


Parameter = int | str | list[int]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A stage as an instance of a SystemVerilog module.

    The module has ports `clk_i`, `rst_ni`; `valid_i`, `ready_o`, `data_i` of the inputs; `valid_o`, `ready_i`,
    `data_o` of the outputs. Several streams are concatenated, the first in the least significant bits.
    """

    module: str
    parameters: dict[str, Parameter]
    memories: dict[str, str] = field(default_factory=dict)  # file name -> text
    library: Path = RTL  # folder of the module's file; its submodules lie there or in hw/rtl


@dataclass(frozen=True, kw_only=True)
class Call:
    """A stage as a call of a function template in namespace `bnn`: `function<template>(streams, arguments)`."""

    function: str
    header: str  # file that defines the function
    template: Sequence[object] = ()
    streams: tuple[Stream, ...] = ()  # in the order of the function's arguments; empty: inputs, then outputs
    arguments: Sequence[str] = ()  # after the streams
    constants: tuple[str, ...] = ()  # definitions of the arguments
    roms: dict[str, str] = field(default_factory=dict)  # variable -> implementation in Vitis HLS, e.g. "bram"
    library: Path = HLS  # folder of the header


@dataclass(frozen=True, kw_only=True)
class Caption:
    """The label of a stage in the drawing of an accelerator."""

    tag: str
    lines: tuple[str, ...] = ()  # at most three: dimensions, lanes, memory
    width: int = 132  # of the box, in pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(ABC):
    """One node of the dataflow graph: reads its input streams and writes its output streams, beat by beat."""

    name: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    arrays: ClassVar[tuple[str, ...]] = ()  # fields that hold parameters, saved in params.npz
    plumbing: ClassVar[bool] = False  # whether only the folding inserts it
    labels: ClassVar[bool] = False  # whether the output is a class label

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            KINDS[cls.__name__] = cls

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"stage {self.name!r}: the name must be an identifier, because it names an instance")
        for array in self.arrays:
            value = getattr(self, array)
            if value is not None:
                object.__setattr__(self, array, self._integers(array, value))
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise `UserError` if the parameters do not fit the streams."""

    @abstractmethod
    def golden(self, *values: Array) -> tuple[Array, ...]:
        """Values (F, ...) of each output, in stream order but any shape, for values (F, *shape) of each input."""

    @abstractmethod
    def rtl(self) -> Instance:
        """The SystemVerilog module that implements the stage, with its parameters and memory files."""

    @abstractmethod
    def hls(self) -> Call:
        """The C++ function that implements the stage."""

    @abstractmethod
    def schedule(self) -> Schedule:
        """When the RTL accepts and produces its beats."""

    @cached_property
    def actor(self) -> Schedule:
        """The schedule, computed once."""
        return self.schedule()

    @abstractmethod
    def terms(self, folding: Folding) -> Terms:
        """Cost terms at a folding, as :mod:`adiabit.hw.stages.cost` defines them."""

    @abstractmethod
    def caption(self) -> Caption:
        """The stage's label in the drawing."""

    @property
    def folding(self) -> Folding:
        """The current folding."""
        return Folding(pe=self.inputs[0].lanes)

    def foldings(self) -> Sequence[Folding]:
        """All foldings that the stage supports; by default, lanes that divide the channels of each input."""
        return [Folding(pe=lanes) for lanes in divisors(math.gcd(*(s.channels for s in self.inputs)))]

    def lanes(self, folding: Folding) -> Lanes:
        """Lanes of the streams at a folding; by default, the same on all."""
        return Lanes((folding.pe,) * len(self.inputs), (folding.pe,) * len(self.outputs))

    def block_rams(self, folding: Folding) -> int:  # noqa: ARG002  # kinds with memories use it
        """18 Kbit block RAMs at a folding."""
        return 0

    def cost(self, folding: Folding | None = None) -> Resources:
        """Estimated resources at a folding, by default the current one."""
        folding = folding or self.folding
        return resources(self.terms(folding), bram18=self.block_rams(folding))

    def cycles_at(self, folding: Folding) -> int:
        """Cycles a frame at a folding, without stalls."""
        lanes = self.lanes(folding)
        return max(s.elements // n for s, n in zip(self.streams, lanes.inputs + lanes.outputs, strict=True))

    @property
    def cycles(self) -> int:
        """Initiation interval: cycles from one frame to the next, without stalls."""
        return self.cycles_at(self.folding)

    @property
    def capacity(self) -> int:
        """Beats that the stage buffers; 0 unless it is a FIFO."""
        return 0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Inputs, then outputs."""
        return *self.inputs, *self.outputs

    def memory_at(self, folding: Folding) -> Memory | None:  # noqa: ARG002  # kinds with weights use it
        """Where the weights lie at a folding; None if the kind has none."""
        return None

    def refolded(
        self,
        folding: Folding,  # noqa: ARG002  # kinds whose folding is more than lanes use it
        inputs: tuple[Stream, ...],
        outputs: tuple[Stream, ...],
    ) -> Self:
        """A copy at another folding, on streams that have its lanes."""
        return dataclasses.replace(self, inputs=inputs, outputs=outputs)

    def check_folding(self, folding: Folding) -> None:
        """Raise `UserError` if the stage does not support a folding."""
        channels = math.gcd(*(s.channels for s in self.inputs))
        self._check_divides("pe", folding.pe, channels, {f.pe for f in self.foldings()})

    def fields(self) -> dict[str, Any]:
        """All fields but name, streams and arrays, by name."""
        common = {"name", "inputs", "outputs", *self.arrays}
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in common}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(a, b) if f.name in self.arrays and a is not None and b is not None else a is b or a == b
            for f in dataclasses.fields(self)
            for a, b in [(getattr(self, f.name), getattr(other, f.name))]
        )

    __hash__ = None  # type: ignore[assignment]  # fields may be arrays

    def refuse(self, why: str) -> NoReturn:
        """Raise a `UserError` that names the stage."""
        raise UserError(f"stage {self.name}: {why}")

    def _check_arity(self, inputs: int, outputs: int) -> None:
        if (len(self.inputs), len(self.outputs)) != (inputs, outputs):
            each = "one of each" if inputs == outputs == 1 else f"{inputs} and {outputs}"
            self.refuse(f"{len(self.inputs)} inputs and {len(self.outputs)} outputs; this kind has {each}")

    def _check_output(self, output: Stream, *shape: int) -> None:
        """Check that an output has the elements of `shape`, in lanes that divide the last axis."""
        if output.elements != math.prod(shape) or shape[-1] % output.lanes:
            self.refuse(f"output {output} must have {shape} elements, in lanes that divide {shape[-1]}")

    def _check_divides(self, key: str, value: int, size: int, choices: set[int]) -> None:
        if value not in choices:
            raise UserError(
                f"folding: {self.name}: {key}={value} does not divide {size}; "
                f"nearest that do: {nearest_divisors(size, value)}"
            )

    def _integers(self, array: str, value: Any) -> Ints:
        """A read-only copy as int64; refuses fractions rather than rounding them."""
        given = np.asarray(value)
        if given.dtype.kind not in "biuf" or not np.array_equal(given, np.rint(given)) or np.any(abs(given) >= 2.0**53):
            self.refuse(f"{array} are of {given.dtype}; integers below 2**53 are needed")
        integers = given.astype(np.int64)
        integers.setflags(write=False)
        return integers


@dataclass(frozen=True, kw_only=True, eq=False)
class Unary(Stage):
    """A stage with one input stream and one output stream."""

    def check(self) -> None:
        """Check the number of streams."""
        self._check_arity(1, 1)

    @property
    def input(self) -> Stream:
        """The input stream."""
        return self.inputs[0]

    @property
    def output(self) -> Stream:
        """The output stream."""
        return self.outputs[0]
