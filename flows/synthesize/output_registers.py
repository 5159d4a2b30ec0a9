# SPDX-License-Identifier: Apache-2.0
"""Registers behind block RAMs, moved into them.

The block RAMs of an ECP5 (FPGA-TN-02204) and of Xilinx parts (UG473, UG573) have output registers, with an enable of
their own. Without them the outputs of an ECP5's come 5.6 ns after the clock, which is the slowest path of most
networks. Yosys leaves the registers in the fabric; Vivado moves them, as is done here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]  # of Yosys' JSON netlist
Output = tuple[str, int]  # a port, and a bit of it
Wires = list[int | str]
ALWAYS: Wires = ["1"]
WIDE = 36  # bits of an ECP5's read port that takes the outputs of both ports
_XILINX = re.compile(r"RAMB(18|36)E[12]")
_STORED = {"TRELLIS_FF": "DI", "FDRE": "D"}  # the input of a register


@dataclass(frozen=True)
class _Read:
    """Outputs of a block RAM that have registers or have none, together."""

    outputs: tuple[Output, ...]
    clock: Wires
    parameters: dict[str, str]  # those with registers
    enables: tuple[str, ...]  # ports: of the registers


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
            behind = _registers(cell, read, cells, readers, registers)
            found = {output: cells.pop(register) for output, register in behind}
            if found:
                cells[name] = _registered(cells[name], read, found)
    return {**module, "cells": cells}


def _reads(cell: Cell) -> list[_Read]:
    """The reads of a block RAM; none of any other cell."""
    wires, parameters = cell["connections"], cell["parameters"]
    if cell["type"] == "DP16KD":
        found = []
        for sides in ("AB",) if int(parameters["DATA_WIDTH_B"], 2) == WIDE else ("A", "B"):
            outputs = tuple((f"DO{side}{n}", 0) for side in sides for n in range(18))
            modes = {f"REGMODE_{side}": "OUTREG" for side in sides}
            enables = tuple(f"OCE{side}" for side in sides)
            found.append(_Read(outputs, wires[f"CLK{sides[-1]}"], modes, enables))
        return found
    if _XILINX.fullmatch(cell["type"]) and int(parameters["READ_WIDTH_B"], 2) == 0:
        ports = [p for p in wires if cell["port_directions"][p] == "output" and p.startswith("DO")]
        outputs = tuple((port, n) for port in ports for n in range(len(wires[port])))
        modes = {f"DO{side}_REG": f"{1:032b}" for side in "AB"}
        return [_Read(outputs, wires["CLKARDCLK"], modes, ("REGCEAREGCE", "REGCEB"))]
    return []


def _registers(
    ram: Cell, read: _Read, cells: dict[str, Cell], readers: Counter[int], registers: dict[int, str]
) -> list[tuple[Output, str]]:
    """Outputs and the registers behind them; none unless each output that is read has one, which alone reads it.

    The registers have one enable.
    """
    found, enables = list[tuple[Output, str]](), []
    for port, n in read.outputs:
        bit = ram["connections"].get(port, ["x"])[n]
        if not readers[bit]:
            continue
        if readers[bit] > 1 or bit not in registers or not _plain(cells[registers[bit]], read.clock):
            return []
        found.append(((port, n), registers[bit]))
        enables.append(_enable(cells[registers[bit]]))
    return found if all(enable == enables[0] for enable in enables) else []


def _enable(register: Cell) -> Wires:
    """The wire with which a register stores."""
    always = register["parameters"].get("CEMUX", "CE").strip() == "1"
    wires: Wires = ALWAYS if always else register["connections"].get("CE", ALWAYS)
    return wires


def _plain(register: Cell, clock: Wires) -> bool:
    """Whether a register stores at edges of this clock, without reset, and starts at no 1."""
    wires, parameters = register["connections"], register["parameters"]
    if register["type"] == "FDRE":
        inverted = any(parameters.get(f"IS_{port}_INVERTED", "0").endswith("1") for port in "CDR")
        return (wires["C"], wires["R"]) == (clock, ["0"]) and parameters.get("INIT", "x") != "1" and not inverted
    return bool(
        wires["CLK"] == clock
        and parameters.get("CLKMUX", "CLK") == "CLK"
        and parameters.get("CEMUX", "CE").strip() in ("1", "CE")
        and wires.get("LSR", ["0"]) == ["0"]
    )


def _registered(ram: Cell, read: _Read, registers: dict[Output, Cell]) -> Cell:
    """The block RAM with output registers in place of these."""
    enable = _enable(next(iter(registers.values())))
    wires = {**ram["connections"], **dict.fromkeys(read.enables, enable)}
    for (port, n), register in registers.items():
        (bit,) = register["connections"]["Q"]
        wires[port] = [bit if place == n else wire for place, wire in enumerate(wires[port])]
    return {**ram, "parameters": {**ram["parameters"], **read.parameters}, "connections": wires}
