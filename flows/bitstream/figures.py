# SPDX-License-Identifier: Apache-2.0
"""`bitstream.json`: the whole chip after place and route. `board.json`: the driver's measurements on a board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.resources import Resources

BITSTREAM, BOARD = "bitstream.json", "board.json"


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """The whole chip: the accelerator and the system around it."""

    tool: str  # Vivado or nextpnr
    clock_mhz: float
    total: Resources
    capacity: Resources | None = None  # if the tool reports it
    fmax_mhz: float | None = None  # reported by nextpnr
    slack_ns: float | None = None  # reported by Vivado


@dataclass(frozen=True, kw_only=True)
class OnBoard:
    """The driver's measurements, None where it made none; all but the cycles include DMA and host."""

    frames_per_second: float | None = None
    latency_seconds: float | None = None
    cycles_per_frame: float | None = None


def save(folder: Path, figures: Bitstream) -> None:
    """Write `bitstream.json` into the stage's folder."""
    documents.write(folder / BITSTREAM, figures)


def load(folder: Path) -> Bitstream:
    """Read the figures of place and route; `UserError` where the file is missing or damaged."""
    return documents.read(Bitstream, folder / BITSTREAM)


def save_board(folder: Path, measured: OnBoard) -> None:
    """Write `board.json` into the stage's folder."""
    documents.write(folder / BOARD, measured)


def load_board(folder: Path) -> OnBoard:
    """Read the measurements on a board; `UserError` where the file is missing or damaged."""
    return documents.read(OnBoard, folder / BOARD)
