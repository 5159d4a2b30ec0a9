# SPDX-License-Identifier: Apache-2.0
"""Registers behind a block RAM move into it where that changes nothing, and stay where it would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adiabit.flows.synthesize.output_registers import absorbed

Cells = dict[str, dict[str, Any]]
CLOCK, ENABLE, RESET, OTHER = 2, 3, 4, 5


def register(data: int, out: int) -> dict[str, Any]:
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CLKMUX": "CLK", "CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET"},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "CE": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [out]},
    }


def cells(width: int = 36) -> Cells:
    """A block RAM that reads two bits through each side, with registers behind them."""
    outputs = {"DOA0": 10, "DOA1": 11, "DOB0": 12, "DOB1": 13}
    inputs = {"CLKA": CLOCK, "CLKB": CLOCK, "CEA": "1", "CEB": "1", "OCEA": "0", "OCEB": "0"}
    ram = {
        "type": "DP16KD",
        "parameters": {"DATA_WIDTH_B": f"{width:032b}", "REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {port: [bit] for port, bit in {**inputs, **outputs}.items()},
    }
    return {"ram": ram, **{f"q{bit}": register(bit, bit + 10) for bit in outputs.values()}}


def moved(given: Cells, read: tuple[int, ...] = (20, 21, 22, 23)) -> Cells:
    made = absorbed({"ports": {"y": {"direction": "output", "bits": list(read)}}, "cells": given})
    result: Cells = made["cells"]
    return result


def modes(found: Cells) -> tuple[str, str]:
    parameters = found["ram"]["parameters"]
    return parameters["REGMODE_A"], parameters["REGMODE_B"]


def test_both_sides_of_a_wide_port_take_their_registers_in() -> None:
    found = moved(cells())
    assert [*found] == ["ram"]
    assert modes(found) == ("OUTREG", "OUTREG")
    wires = found["ram"]["connections"]
    assert [wires[port] for port in ("DOA0", "DOA1", "DOB0", "DOB1")] == [[20], [21], [22], [23]]
    assert wires["OCEA"] == wires["OCEB"] == ["1"]


def enabled(one: dict[str, Any]) -> dict[str, Any]:
    wires, parameters = {**one["connections"], "CE": [ENABLE]}, {**one["parameters"], "CEMUX": "CE"}
    return {**one, "connections": wires, "parameters": parameters}


def inverted(one: dict[str, Any]) -> dict[str, Any]:
    made = enabled(one)
    return {**made, "parameters": {**made["parameters"], "CEMUX": "INV"}}


def test_registers_keep_their_enable() -> None:
    """The port's own enable does not matter: it does not reach the output registers."""
    before = cells()
    before = {name: cell if name == "ram" else enabled(cell) for name, cell in before.items()}
    before["ram"]["connections"]["CEB"] = [OTHER]
    wires = moved(before)["ram"]["connections"]
    assert (wires["CEB"], wires["OCEA"], wires["OCEB"]) == ([OTHER], [ENABLE], [ENABLE])


def given(change: Callable[[Cells], object]) -> Cells:
    made = cells()
    change(made)
    return made


CHANGES: dict[str, Callable[[Cells], object]] = {
    "registers with and without an enable": lambda c: c.update(q10=enabled(c["q10"])),
    "an inverted enable": lambda c: c.update({q: inverted(r) for q, r in c.items() if q != "ram"}),
    "a register with a reset": lambda c: c["q13"]["connections"].update(LSR=[RESET]),
    "a register of another clock": lambda c: c["q12"]["connections"].update(CLK=[OTHER]),
    "a register of the other edge": lambda c: c["q12"]["parameters"].update(CLKMUX="INV"),
    "an output without register": lambda c: c["q11"].update(type="LUT4"),
    "two readers": lambda c: c.update(more=register(10, 30)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_registers_stay_where_moving_them_would_change_something(what: str) -> None:
    before = given(CHANGES[what])
    assert moved(before) == before


def test_an_output_of_the_module_stays() -> None:
    assert modes(moved(cells(), (10, 20, 21, 22, 23))) == ("NOREG", "NOREG")


def test_narrow_ports_are_two() -> None:
    before = cells(18)
    before["q10"]["connections"]["LSR"] = [RESET]
    found = moved(before)
    assert modes(found) == ("NOREG", "OUTREG")
    assert [*found] == ["ram", "q10", "q11"]


def xilinx() -> Cells:
    """A block RAM of a Xilinx part that reads four bits, with registers behind them."""
    inputs = {"CLKARDCLK": [CLOCK], "ENARDEN": ["1"], "REGCEAREGCE": ["0"], "REGCEB": ["0"]}
    outputs = {"DOADO": [10, 11], "DOBDO": [12, 99], "DOPADOP": [13]}
    ram = {
        "type": "RAMB18E1",
        "parameters": {"READ_WIDTH_B": "0" * 32, "DOA_REG": "0" * 32, "DOB_REG": "0" * 32},
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {**inputs, **outputs},
    }
    registers = {
        f"q{bit}": {
            "type": "FDRE",
            "parameters": {"INIT": "x"},
            "port_directions": {"C": "input", "CE": "input", "D": "input", "R": "input", "Q": "output"},
            "connections": {"C": [CLOCK], "CE": ["1"], "D": [bit], "R": ["0"], "Q": [bit + 10]},
        }
        for bit in (10, 11, 12, 13)
    }
    return {"ram": ram, **registers}


def test_a_xilinx_block_ram_takes_all_its_registers_in() -> None:
    found = moved(xilinx())
    assert [*found] == ["ram"]
    wires, parameters = found["ram"]["connections"], found["ram"]["parameters"]
    assert [wires[port] for port in ("DOADO", "DOBDO", "DOPADOP")] == [[20, 21], [22, 99], [23]]
    assert wires["REGCEAREGCE"] == wires["REGCEB"] == ["1"]
    assert int(parameters["DOA_REG"], 2) == int(parameters["DOB_REG"], 2) == 1


def test_registers_of_xilinx_parts_keep_their_enable() -> None:
    before = xilinx()
    for name, cell in before.items():
        cell["connections"].update({"ENARDEN": [OTHER]} if name == "ram" else {"CE": [ENABLE]})
    wires = moved(before)["ram"]["connections"]
    assert (wires["ENARDEN"], wires["REGCEAREGCE"], wires["REGCEB"]) == ([OTHER], [ENABLE], [ENABLE])


XILINX_CHANGES: dict[str, Callable[[Cells], object]] = {
    "two reads": lambda c: c["ram"]["parameters"].update(READ_WIDTH_B=f"{18:032b}"),
    "registers with and without an enable": lambda c: c["q10"]["connections"].update(CE=[ENABLE]),
    "a register with a reset": lambda c: c["q13"]["connections"].update(R=[RESET]),
    "a register that starts at 1": lambda c: c["q11"]["parameters"].update(INIT="1"),
    "a register of another clock": lambda c: c["q12"]["connections"].update(C=[OTHER]),
    "a register of the other edge": lambda c: c["q12"]["parameters"].update(IS_C_INVERTED="1"),
    "a register that sets": lambda c: c["q12"].update(type="FDSE"),
}


@pytest.mark.parametrize("what", XILINX_CHANGES)
def test_registers_of_xilinx_parts_stay_where_moving_them_would_change_something(what: str) -> None:
    before = xilinx()
    XILINX_CHANGES[what](before)
    assert moved(before) == before


def test_outputs_that_nothing_reads_do_not_matter() -> None:
    before = cells()
    del before["q11"]
    assert modes(moved(before)) == ("OUTREG", "OUTREG")
