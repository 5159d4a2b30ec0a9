# SPDX-License-Identifier: Apache-2.0
"""`estimate.json`: what the folded accelerator is expected to take."""

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
    """One stage; cycles a frame, and cycles from its first beat to its first result."""

    name: str
    cycles: int
    latency: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Every stage, and the whole."""

    cycles: int  # a frame, of the slowest stage
    latency: int  # from the first beat of a frame to its result in an idle circuit
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
    """Read what the compiler left; `UserError` where it is missing or damaged."""
    return documents.read(Estimate, folder / FILE)
