# SPDX-License-Identifier: Apache-2.0
"""`bitstream.json`, the whole chip after place and route, and `board.json`, what the driver measured on a board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adiabit.flows import documents
from adiabit.flows.resources import Resources

BITSTREAM, BOARD = "bitstream.json", "board.json"


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """The chip, with the system around the accelerator."""

    tool: str  # Vivado or nextpnr
    clock_mhz: float
    total: Resources
    capacity: Resources | None = None  # where the tool tells it
    fmax_mhz: float | None = None  # nextpnr tells this one,
    slack_ns: float | None = None  # Vivado that one


@dataclass(frozen=True, kw_only=True)
class OnBoard:
    """What the driver measured, DMA and host included but for the cycles; None where it did not."""

    frames_per_second: float | None = None
    latency_seconds: float | None = None
    cycles_per_frame: float | None = None


def save(folder: Path, figures: Bitstream) -> None:
    """Write `bitstream.json` into the stage's folder."""
    documents.write(folder / BITSTREAM, figures)


def load(folder: Path) -> Bitstream:
    """Read what place and route left; `UserError` where it is missing or damaged."""
    return documents.read(Bitstream, folder / BITSTREAM)


def save_board(folder: Path, measured: OnBoard) -> None:
    """Write `board.json` into the stage's folder."""
    documents.write(folder / BOARD, measured)


def load_board(folder: Path) -> OnBoard:
    """Read what a board measured; `UserError` where it is missing or damaged."""
    return documents.read(OnBoard, folder / BOARD)
