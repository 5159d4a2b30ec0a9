# SPDX-License-Identifier: Apache-2.0
"""`estimate.json`: the estimated cycles and resources of the folded accelerator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.resources import Resources
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import estimate
from adiabit.hw.stages.cost import Resources as Counted

FILE = "estimate.json"


@dataclass(frozen=True, kw_only=True)
class Row(Resources):
    """One stage: its resources, its cycles per frame, and its latency in cycles from first beat to first result."""

    name: str
    cycles: int
    latency: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Every stage, and the whole accelerator."""

    cycles: int  # per frame, of the slowest stage
    latency: int  # cycles from a frame's first beat to its result in an idle circuit
    total: Resources
    stages: tuple[Row, ...]


def estimated(accelerator: Accelerator) -> Estimate:
    """The estimate of an accelerator."""
    found = estimate(accelerator)
    rows = (Row(name=s.name, cycles=s.cycles, latency=s.latency, **_counts(s.resources)) for s in found.stages)
    total = Resources(**_counts(found.resources))
    return Estimate(cycles=found.cycles, latency=found.latency, total=total, stages=tuple(rows))


def _counts(found: Counted) -> dict[str, int]:
    return {"lut": found.luts, "ff": found.ffs, "bram18": found.bram18, "dsp": found.dsps}


def save(folder: Path, figures: Estimate) -> None:
    """Write the file into the stage's folder."""
    documents.write(folder / FILE, figures)


def load(folder: Path) -> Estimate:
    """Read the compiler's estimate; `UserError` where the file is missing or damaged."""
    return documents.read(Estimate, folder / FILE)
