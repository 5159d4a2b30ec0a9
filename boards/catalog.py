# SPDX-License-Identifier: Apache-2.0
"""The boards: one folder each, described by its `board.toml`."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adiabit.errors import UserError

FOLDER = Path(__file__).parent
DEFAULT = "pynq-z2"
_LUTS_OF_SLICE = {"xc7": 4, "xcup": 8}  # beside one carry cell


@dataclass(frozen=True, kw_only=True)
class Uart:
    """A board with an open toolchain and the accelerator on a serial line."""

    baud: int
    leds: int  # at most 8
    lit: int  # the level that turns them on
    place_and_route: tuple[str, ...]  # nextpnr's options for the part
    pack: tuple[str, ...] = ()  # the packer's options


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board, its part and the resources of the part, from the vendor's data sheet."""

    name: str
    title: str
    part: str  # as Vivado names it
    family: str  # Yosys' name: xc7, xcup (UltraScale+), ecp5 or gw2a
    clock_mhz: float  # the default clock of an accelerator on it
    shell: str  # the system around an accelerator: zynq7000, zynqmp, or uart for parts with an open toolchain
    board_part: str = ""  # Vivado's name of the board, for the processor's settings; optional
    luts: int
    lut_inputs: int = 6  # of a LUT
    level_ns: float  # delay of a level of counters or adders with its routing
    memory_ns: float  # delay from a block RAM's output register to a level, with its routing
    ffs: int
    bram18: int
    dsps: int
    uart: Uart | None = None  # if that is the shell

    @property
    def carries(self) -> int | None:
        """Carry cells of a Xilinx part: one for each slice (UG474) or CLB (UG574); elsewhere they count as LUTs."""
        luts = _LUTS_OF_SLICE.get(self.family)
        return self.luts // luts if luts else None

    def pins(self, name: str) -> Path:
        """The constraint file of a board with the shell uart; `name` is the one that nextpnr expects."""
        return FOLDER / self.name / name


def names() -> list[str]:
    """All boards, alphabetically."""
    return sorted(path.parent.name for path in FOLDER.glob("*/board.toml"))


def load(name: str) -> Board:
    """The board of that name; for an unknown one, `UserError` gives the nearest."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0) or names()
        raise UserError(f"board {name!r}: no such board; nearest: {near[0]!r}; there are {names()}")
    document: dict[str, Any] = tomllib.loads((FOLDER / name / "board.toml").read_text())
    if (table := document.pop("uart", None)) is not None:
        lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
        table = Uart(**(table | lists))
    return Board(name=name, uart=table, **document)
