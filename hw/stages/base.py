# SPDX-License-Identifier: Apache-2.0
"""What a kind of stage is: one module with its parameters, their check, and all that is made of it.

A kind is a frozen dataclass that implements what is abstract here. Nothing else has to know it: kinds register
themselves by their class name, by which a saved accelerator names them.

Vocabulary (FINN's): a matrix has MW columns (inputs) and MH rows (outputs); SIMD columns and PE rows are worked on in
one cycle, so a vector takes MH/PE * MW/SIMD cycles, its *fold*. SIMD is the number of lanes of a stage's input
stream and PE that of its output stream: they are written nowhere else.
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

KINDS: dict[str, type[Stage]] = {}  # kinds by class name


class Memory(StrEnum):
    """Where a stage keeps its weights."""

    AUTO = "auto"  # chosen by size
    LUT = "lut"  # LUT-ROM
    BLOCK = "block"  # block RAM
    HARDWIRED = "hardwired"  # constants in the logic; needs a fold of 1


@dataclass(frozen=True, kw_only=True, order=True)
class Folding:
    """Parallelism of one stage; PE and SIMD as in FINN. A stage that is no product has `pe` lanes."""

    pe: int = 1  # rows a cycle; divides MH
    simd: int = 1  # columns a cycle; divides MW
    memory: Memory | None = None  # of the weights; None: as it is


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
    library: Path = RTL  # folder of the module's file; those that it instantiates lie there or in hw/rtl


@dataclass(frozen=True, kw_only=True)
class Call:
    """A stage as a call of a function template in namespace `bnn`: `function<template>(streams, arguments)`."""

    function: str
    header: str  # the file that has the function
    template: Sequence[object] = ()
    streams: tuple[Stream, ...] = ()  # in the order of the function's arguments; empty: inputs, then outputs
    arguments: Sequence[str] = ()  # behind the streams
    constants: tuple[str, ...] = ()  # their definitions
    roms: dict[str, str] = field(default_factory=dict)  # variable -> implementation, e.g. "bram"
    library: Path = HLS  # folder of the header


@dataclass(frozen=True, kw_only=True)
class Caption:
    """What the drawing of an accelerator says of a stage."""

    tag: str
    lines: tuple[str, ...] = ()  # at most three: dimensions, lanes, memory
    width: int = 132  # of the box, in pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(ABC):
    """One box of the dataflow: reads its input streams and writes its output streams, beat by beat."""

    name: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    arrays: ClassVar[tuple[str, ...]] = ()  # the fields that are parameters, saved in params.npz
    plumbing: ClassVar[bool] = False  # placed by the folding, and by nobody else
    labels: ClassVar[bool] = False  # the output is the label of a class

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            KINDS[cls.__name__] = cls

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"stage {self.name!r}: the name must be an identifier, it becomes an instance's name")
        for array in self.arrays:
            value = getattr(self, array)
            if value is not None:
                object.__setattr__(self, array, self._integers(array, value))
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise `UserError` where the parameters do not fit the streams."""

    @abstractmethod
    def golden(self, *values: Array) -> tuple[Array, ...]:
        """What each output carries, (F, ...) of its elements in any shape, for `values` (F, *shape) of each input."""

    @abstractmethod
    def rtl(self) -> Instance:
        """The module that does it, with its parameters and memory files."""

    @abstractmethod
    def hls(self) -> Call:
        """The C++ function that does it."""

    @abstractmethod
    def schedule(self) -> Schedule:
        """When the RTL takes and gives its beats."""

    @cached_property
    def actor(self) -> Schedule:
        """The schedule, made once."""
        return self.schedule()

    @abstractmethod
    def terms(self, folding: Folding) -> Terms:
        """What it has of each thing that costs something, at a folding."""

    @abstractmethod
    def caption(self) -> Caption:
        """What the drawing says of it."""

    @property
    def folding(self) -> Folding:
        """The folding as it is."""
        return Folding(pe=self.inputs[0].lanes)

    def foldings(self) -> Sequence[Folding]:
        """All foldings that it can have: lanes that divide the channels of each input."""
        return [Folding(pe=lanes) for lanes in divisors(math.gcd(*(s.channels for s in self.inputs)))]

    def lanes(self, folding: Folding) -> Lanes:
        """Lanes of its streams at a folding: the same on all."""
        return Lanes((folding.pe,) * len(self.inputs), (folding.pe,) * len(self.outputs))

    def block_rams(self, folding: Folding) -> int:  # noqa: ARG002  # kinds with memories use it
        """18 Kbit block RAMs at a folding."""
        return 0

    def cost(self, folding: Folding | None = None) -> Resources:
        """Estimated resources, as it is or at another folding."""
        folding = folding or self.folding
        return resources(self.terms(folding), bram18=self.block_rams(folding))

    def cycles_at(self, folding: Folding) -> int:
        """Cycles a frame at a folding, when nothing stalls."""
        lanes = self.lanes(folding)
        return max(s.elements // n for s, n in zip(self.streams, lanes.inputs + lanes.outputs, strict=True))

    @property
    def cycles(self) -> int:
        """Initiation interval: cycles from one frame to the next when nothing stalls."""
        return self.cycles_at(self.folding)

    @property
    def places(self) -> int:
        """Beats that may wait in it, of a kind that is there for that."""
        return 0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Inputs, then outputs."""
        return *self.inputs, *self.outputs

    def memory_at(self, folding: Folding) -> Memory | None:  # noqa: ARG002  # kinds with weights use it
        """Where the weights lie at a folding; None of a kind without."""
        return None

    def refolded(
        self,
        folding: Folding,  # noqa: ARG002  # kinds that keep more of it than their streams do use it
        inputs: tuple[Stream, ...],
        outputs: tuple[Stream, ...],
    ) -> Self:
        """The same at another folding, with streams that have its lanes."""
        return dataclasses.replace(self, inputs=inputs, outputs=outputs)

    def check_folding(self, folding: Folding) -> None:
        """`UserError` where it cannot have this folding."""
        channels = math.gcd(*(s.channels for s in self.inputs))
        self._check_divides("pe", folding.pe, channels, {f.pe for f in self.foldings()})

    def fields(self) -> dict[str, Any]:
        """The scalar fields beside name, streams and arrays."""
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

    __hash__ = None  # type: ignore[assignment]  # arrays inside

    def refuse(self, why: str) -> NoReturn:
        """Raise `UserError` with the stage's name."""
        raise UserError(f"stage {self.name}: {why}")

    def _check_ends(self, inputs: int, outputs: int) -> None:
        if (len(self.inputs), len(self.outputs)) != (inputs, outputs):
            each = "one of each" if inputs == outputs == 1 else f"{inputs} and {outputs}"
            self.refuse(f"{len(self.inputs)} inputs and {len(self.outputs)} outputs; this kind has {each}")

    def _check_holds(self, output: Stream, *shape: int) -> None:
        """Check that an output holds the elements of `shape`, in lanes that divide its last axis."""
        if output.elements != math.prod(shape) or shape[-1] % output.lanes:
            self.refuse(f"output {output} must hold {shape} elements in lanes that divide {shape[-1]}")

    def _check_divides(self, key: str, value: int, size: int, choices: set[int]) -> None:
        if value not in choices:
            raise UserError(
                f"folding: {self.name}: {key}={value} does not divide {size}; "
                f"nearest that do: {nearest_divisors(size, value)}"
            )

    def _integers(self, array: str, value: Any) -> Ints:
        """A read-only copy; nothing is rounded to get it."""
        given = np.asarray(value)
        if given.dtype.kind not in "biuf" or not np.array_equal(given, np.rint(given)) or np.any(abs(given) >= 2.0**53):
            self.refuse(f"{array} are of {given.dtype}; integers below 2**53 are needed")
        made = given.astype(np.int64)
        made.setflags(write=False)
        return made


@dataclass(frozen=True, kw_only=True, eq=False)
class Unary(Stage):
    """One stream in and one out."""

    def check(self) -> None:
        """Check that it has one stream in and one out."""
        self._check_ends(1, 1)

    @property
    def input(self) -> Stream:
        """The only input stream."""
        return self.inputs[0]

    @property
    def output(self) -> Stream:
        """The only output stream."""
        return self.outputs[0]
