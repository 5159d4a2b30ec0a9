# SPDX-License-Identifier: Apache-2.0
"""`simulation.json`: the speed of the RTL in cycles, or of the C++ in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adiabit.flows import documents

FILE = "simulation.json"


@dataclass(frozen=True, kw_only=True)
class Waits:
    """The traffic of one stream, up to the last output beat of the frames that are counted."""

    beats: int
    valid_not_ready: int  # cycles in which a beat waited for its reader
    ready_not_valid: int  # cycles in which the reader waited for a beat


@dataclass(frozen=True, kw_only=True)
class Fill:
    """The fill of one FIFO at full speed, in beats."""

    depth: int
    high_water: int  # the highest fill


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Timing of the RTL. Cycles per frame are None if fewer than two frames came out."""

    frames: int
    first: int  # its number among the saved vectors
    seed: int
    random_stall_frames: int  # run again with random gaps and stalls
    counted_frames: int | None = None  # those over which stalls are counted: of several slices the first
    cycles_per_frame: int | None  # the median
    cycles_per_frame_min: int | None
    cycles_per_frame_max: int | None
    latency_cycles: int | None  # from a frame's first beat to its result
    total_cycles: int | None  # from the first frame's first beat to the last result, all back to back
    cycles_per_frame_expected: int  # the slowest stage's
    stalls: Mapping[str, Waits] = field(default_factory=dict)  # by stream
    fifos: Mapping[str, Fill] = field(default_factory=dict)  # by stage
    toggles_per_frame: float | None = None  # of all nets, where asked; a proxy of energy
    seconds_build: float
    seconds_run: float  # with the comparison
    cycles_per_second: float  # of one process


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Run time of the HLS C++ as a program, in one process."""

    frames: int
    first: int
    seconds_build: float
    seconds_run: float
    frames_per_second: float


def save(folder: Path, figures: Simulation | Execution) -> None:
    """Write the file into the stage's folder."""
    documents.write(folder / FILE, figures)


def load(folder: Path) -> Simulation:
    """Read the figures of an RTL simulation; `UserError` where the file is missing or damaged."""
    return documents.read(Simulation, folder / FILE)
