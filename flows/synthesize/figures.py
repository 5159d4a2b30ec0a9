# SPDX-License-Identifier: Apache-2.0
"""`synthesis.json`: what Yosys made of the RTL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.resources import Resources

FILE = "synthesis.json"


@dataclass(frozen=True, kw_only=True)
class Cells(Resources):
    """What was mapped, see :func:`adiabit.flows.synthesize.cells.resources`."""

    lut: int
    ff: int
    bram18: int
    dsp: int
    carry: int  # carry cells
    lutram: int  # the memory LUTs among `lut`
    lc: int  # LUTs once small ones share one


@dataclass(frozen=True, kw_only=True)
class Row(Cells):
    """One stage of the accelerator, or `top` for what belongs to none."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Each stage by itself, and their sum."""

    part: str
    family: str
    tool: str  # and its version
    stages: tuple[Row, ...]
    total: Cells
    capacity: Resources  # of the part
    logic_delay_ns: float | None  # the longest chain of logic, without routing; None where it is not known
    timing_note: str  # what that figure is, or why there is none
    seconds: float


def save(folder: Path, figures: Synthesis) -> None:
    """Write the file into the stage's folder."""
    documents.write(folder / FILE, figures)


def load(folder: Path) -> Synthesis:
    """Read what a synthesis left; `UserError` where it is missing or damaged."""
    return documents.read(Synthesis, folder / FILE)
