# SPDX-License-Identifier: Apache-2.0
"""Registers behind block RAMs, moved into them.

The block RAMs of an ECP5 (FPGA-TN-02204) and of Xilinx parts (UG473, UG573) have output registers. Without them the
outputs of an ECP5's come 5.6 ns after the clock, which is the slowest path of most networks. Yosys leaves the registers
in the fabric; Vivado moves them, as is done here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]  # of Yosys' JSON netlist
Output = tuple[str, int]  # a port, and a bit of it
ENABLED: list[int | str] = ["1"]
WIDE = 36  # bits of an ECP5's read port that takes the outputs of both ports
_XILINX = re.compile(r"RAMB(18|36)E[12]")
_STORED = {"TRELLIS_FF": "DI", "FDRE": "D"}  # the input of a register


@dataclass(frozen=True)
class _Read:
    """Outputs of a block RAM that have registers or have none, together."""

    outputs: tuple[Output, ...]
    clock: list[int | str]
    parameters: dict[str, str]  # those with registers
    connections: dict[str, list[int | str]]


def absorbed(module: dict[str, Any]) -> dict[str, Any]:
    """A module of Yosys' JSON netlist in which block RAMs have the registers behind them; equal in every cycle."""
    cells = dict(module["cells"])
    readers = Counter(bit for port in module["ports"].values() for bit in port["bits"])
    registers: dict[int, str] = {}  # by the wire that they store
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                readers.update(bits)
                if _STORED.get(cell["type"]) == port:
                    registers |= dict.fromkeys(bits, name)
    for name, cell in module["cells"].items():
        for read in _reads(cell):
            found = _registers(cell, read, cells, readers, registers)
            for register in found.values():
                del cells[register]
            if found:
                stored = {output: module["cells"][register]["connections"]["Q"] for output, register in found.items()}
                cells[name] = _registered(cells[name], read, stored)
    return {**module, "cells": cells}


def _reads(cell: Cell) -> list[_Read]:
    """The reads of a block RAM, if they are always enabled; none of any other cell."""
    wires, parameters = cell["connections"], cell["parameters"]
    if cell["type"] == "DP16KD":
        found = []
        for sides in ("AB",) if int(parameters["DATA_WIDTH_B"], 2) == WIDE else ("A", "B"):
            if wires[f"CE{sides[-1]}"] == ["1"]:
                outputs = tuple((f"DO{side}{n}", 0) for side in sides for n in range(18))
                modes = {f"REGMODE_{side}": "OUTREG" for side in sides}
                enables = {f"OCE{side}": ENABLED for side in sides}
                found.append(_Read(outputs, wires[f"CLK{sides[-1]}"], modes, enables))
        return found
    if _XILINX.fullmatch(cell["type"]) and int(parameters["READ_WIDTH_B"], 2) == 0 and wires["ENARDEN"] == ["1"]:
        ports = [p for p in wires if cell["port_directions"][p] == "output" and p.startswith("DO")]
        outputs = tuple((port, n) for port in ports for n in range(len(wires[port])))
        modes = {f"DO{side}_REG": f"{1:032b}" for side in "AB"}
        return [_Read(outputs, wires["CLKARDCLK"], modes, {"REGCEAREGCE": ENABLED, "REGCEB": ENABLED})]
    return []


def _registers(
    ram: Cell, read: _Read, cells: dict[str, Cell], readers: Counter[int], registers: dict[int, str]
) -> dict[Output, str]:
    """By output, the register behind it; empty unless each output that is read has one, and nothing else reads it."""
    found = {}
    for port, n in read.outputs:
        bit = ram["connections"].get(port, ["x"])[n]
        if not readers[bit]:
            continue
        if readers[bit] > 1 or bit not in registers or not _plain(cells[registers[bit]], read.clock):
            return {}
        found[port, n] = registers[bit]
    return found


def _plain(register: Cell, clock: list[int | str]) -> bool:
    """Whether a register stores at each edge of this clock, without enable or reset, and starts at no 1."""
    wires, parameters = register["connections"], register["parameters"]
    if register["type"] == "FDRE":
        inverted = any(parameters.get(f"IS_{port}_INVERTED", "0").endswith("1") for port in "CDR")
        inputs = wires["C"], wires["CE"], wires["R"]
        return inputs == (clock, ["1"], ["0"]) and parameters.get("INIT", "x") != "1" and not inverted
    at_once = "CE" not in wires or wires["CE"] == ["1"]
    return bool(
        wires["CLK"] == clock
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and (at_once or parameters.get("CEMUX", "").strip() == "1")
        and wires.get("LSR", ["0"]) == ["0"]
    )


def _registered(ram: Cell, read: _Read, stored: dict[Output, list[int]]) -> Cell:
    """The block RAM with output registers, which drive these wires."""
    wires = {**ram["connections"], **read.connections}
    for (port, n), (bit,) in stored.items():
        wires[port] = [bit if place == n else wire for place, wire in enumerate(wires[port])]
    return {**ram, "parameters": {**ram["parameters"], **read.parameters}, "connections": wires}
