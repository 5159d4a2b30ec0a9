# SPDX-License-Identifier: Apache-2.0
"""Registers behind the block RAMs of an ECP5, moved into them.

A block RAM of an ECP5 has output registers (FPGA-TN-02204). Without them its outputs come 5.6 ns after the clock, which
is the slowest path of most networks; Yosys leaves the registers that follow in the fabric.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

Cell = dict[str, Any]  # of Yosys' JSON netlist
WIDE = 36  # bits of a read port that takes the outputs of both ports


def absorbed(module: dict[str, Any]) -> dict[str, Any]:
    """A module of Yosys' JSON netlist in which block RAMs have the registers behind them; equal in every cycle."""
    cells = dict(module["cells"])
    readers = Counter(bit for port in module["ports"].values() for bit in port["bits"])
    registers: dict[int, str] = {}  # by the wire that they store
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                readers.update(bits)
                if cell["type"] == "TRELLIS_FF" and port == "DI":
                    registers |= dict.fromkeys(bits, name)
    for name, cell in module["cells"].items():
        if cell["type"] == "DP16KD":
            for sides in ("AB",) if int(cell["parameters"]["DATA_WIDTH_B"], 2) == WIDE else ("A", "B"):
                found = _registers(cells[name], sides, cells, readers, registers)
                for register in found.values():
                    del cells[register]
                if found:
                    cells[name] = _registered(cells[name], sides, {
                        port: module["cells"][register]["connections"]["Q"] for port, register in found.items()
                    })  # fmt: skip
    return {**module, "cells": cells}


def _registers(
    ram: Cell, sides: str, cells: dict[str, Cell], readers: Counter[int], registers: dict[int, str]
) -> dict[str, str]:
    """By output, the register behind it; empty unless each output that is read has one, and nothing else reads it."""
    wires, clock = ram["connections"], ram["connections"][f"CLK{sides[-1]}"]
    if wires[f"CE{sides[-1]}"] != ["1"]:
        return {}
    found = {}
    for side in sides:
        for n in range(18):
            port = f"DO{side}{n}"
            (bit,) = wires.get(port, ["x"])
            if not readers[bit]:
                continue
            if readers[bit] > 1 or bit not in registers or not _plain(cells[registers[bit]], clock):
                return {}
            found[port] = registers[bit]
    return found


def _plain(register: Cell, clock: list[int]) -> bool:
    """Whether a register stores at each edge of this clock, without enable or reset."""
    wires, parameters = register["connections"], register["parameters"]
    at_once = "CE" not in wires or wires["CE"] == ["1"]
    return bool(
        wires["CLK"] == clock
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and (at_once or parameters.get("CEMUX", "").strip() == "1")
        and wires.get("LSR", ["0"]) == ["0"]
    )


def _registered(ram: Cell, sides: str, outputs: dict[str, list[int]]) -> Cell:
    """The block RAM with output registers, which drive these wires."""
    return {
        **ram,
        "parameters": {**ram["parameters"], **{f"REGMODE_{side}": "OUTREG" for side in sides}},
        "connections": {**ram["connections"], **{f"OCE{side}": ["1"] for side in sides}, **outputs},
    }
