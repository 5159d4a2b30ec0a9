# SPDX-License-Identifier: Apache-2.0
"""`synthesis.json`: the resources of the RTL after synthesis with Yosys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.resources import Resources

FILE = "synthesis.json"


@dataclass(frozen=True, kw_only=True)
class Cells(Resources):
    """Mapped cells as resources, counted by :func:`adiabit.flows.synthesize.cells.resources`."""

    lut: int
    ff: int
    bram18: int
    dsp: int
    carry: int  # carry cells
    lutram: int  # the LUTs in `lut` that are memory
    lc: int  # LUTs after small ones are packed together


@dataclass(frozen=True, kw_only=True)
class Row(Cells):
    """One stage of the accelerator, or `top` for the logic outside the stages."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Each stage, mapped by itself, and their sum."""

    part: str
    family: str
    tool: str  # with its version
    stages: tuple[Row, ...]
    total: Cells
    capacity: Resources  # of the part
    logic_delay_ns: float | None  # of the longest combinational path, without routing; None if unknown
    timing_note: str  # what that figure means, or why there is none
    seconds: float


def save(folder: Path, figures: Synthesis) -> None:
    """Write the file into the stage's folder."""
    documents.write(folder / FILE, figures)


def load(folder: Path) -> Synthesis:
    """Read the figures of a synthesis; `UserError` where the file is missing or damaged."""
    return documents.read(Synthesis, folder / FILE)
