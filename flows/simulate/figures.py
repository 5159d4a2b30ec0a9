# SPDX-License-Identifier: Apache-2.0
"""`simulation.json`: how fast the RTL was, or the C++ as a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adiabit.flows import documents

FILE = "simulation.json"


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Of one stream, up to the last output beat."""

    beats: int
    valid_not_ready: int  # cycles that a beat waited
    ready_not_valid: int  # cycles that its reader waited for one


@dataclass(frozen=True, kw_only=True)
class Fill:
    """Of one FIFO, at full speed."""

    depth: int
    high_water: int  # the most beats that were in it


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What the RTL did, cycle by cycle. Cycles between frames are None where fewer than two frames came out."""

    frames: int
    first: int  # of the saved vectors
    seed: int
    random_stall_frames: int  # run again with gaps and stalls
    cycles_per_frame: int | None  # the median
    cycles_per_frame_min: int | None
    cycles_per_frame_max: int | None
    latency_cycles: int | None  # from a frame's first beat to its result
    total_cycles: int | None
    cycles_per_frame_expected: int  # the slowest stage's
    stalls: Mapping[str, Waits] = field(default_factory=dict)  # by stream
    fifos: Mapping[str, Fill] = field(default_factory=dict)  # by stage
    seconds_build: float
    seconds_run: float
    cycles_per_second: float


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What the HLS C++ took as a program."""

    frames: int
    first: int
    seconds_build: float
    seconds_run: float
    frames_per_second: float


def save(folder: Path, figures: Simulation | Execution) -> None:
    """Write the file into the stage's folder."""
    documents.write(folder / FILE, figures)


def load(folder: Path) -> Simulation:
    """Read what a simulation of RTL left; `UserError` where it is missing or damaged."""
    return documents.read(Simulation, folder / FILE)
