# SPDX-License-Identifier: Apache-2.0
"""Pairs of small LUTs in one LUT6, as Vivado's LUT combining makes them, and Yosys does not.

A LUT6 of a Xilinx part has two outputs: two functions of the same five inputs fit (`LUT6_2`, UG953). Here LUTs are
paired whose inputs are the same, or those of one among those of the other, so that no pair needs more routing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from typing import Any

Cell = dict[str, Any]  # of Yosys' JSON netlist
INPUTS = 5  # of each half of a LUT6_2
_SMALL = re.compile(r"LUT([2-5])")


def paired(cells: dict[str, Cell]) -> dict[str, Cell]:
    """The cells of a module with its LUTs of 2 to 5 inputs in pairs where they share inputs; equal in every output."""
    waiting: dict[frozenset[int], list[str]] = defaultdict(list)
    for name, cell in sorted(cells.items()):
        if _SMALL.fullmatch(cell["type"]) and _wired(cell):
            waiting[frozenset(_inputs(cell))].append(name)
    pairs = [(names.pop(), names.pop()) for names in waiting.values() for _ in range(len(names) // 2)]
    single = {inputs: names[0] for inputs, names in waiting.items() if names}
    for inputs in sorted(single, key=lambda i: (-len(i), sorted(i))):
        if inputs in single and (guest := _guest(inputs, single)) is not None:
            pairs.append((single.pop(inputs), single.pop(guest)))  # noqa: PERF401  # each pair changes the next search
    return _merged(cells, pairs)


def _guest(inputs: frozenset[int], single: dict[frozenset[int], str]) -> frozenset[int] | None:
    """The most inputs of a LUT without partner that are all among these."""
    for size in range(len(inputs) - 1, 1, -1):
        for some in map(frozenset, combinations(sorted(inputs), size)):
            if some in single:
                return some
    return None


def _merged(cells: dict[str, Cell], pairs: list[tuple[str, str]]) -> dict[str, Cell]:
    merged = dict(cells)
    for first, second in pairs:
        inputs = sorted({*_inputs(cells[first]), *_inputs(cells[second])})
        high, low = (_table(cells[name], inputs) for name in (first, second))  # O6 with I5 = 1, and O5
        outputs = [cells[name]["connections"]["O"] for name in (first, second)]
        wires = [[bit] for bit in inputs] + [["0"]] * (INPUTS - len(inputs)) + [["1"]]
        merged[first] = {
            "hide_name": cells[first].get("hide_name", 0),
            "type": "LUT6_2",
            "parameters": {"INIT": high + low},
            "attributes": {},
            "port_directions": {**{f"I{i}": "input" for i in range(6)}, "O6": "output", "O5": "output"},
            "connections": {**{f"I{i}": wire for i, wire in enumerate(wires)}, "O6": outputs[0], "O5": outputs[1]},
        }
        del merged[second]
    return merged


def _inputs(cell: Cell) -> list[int]:
    """The wires of a LUT's inputs, the first at I0."""
    size = int(cell["type"][3:])
    return [cell["connections"][f"I{i}"][0] for i in range(size)]


def _wired(cell: Cell) -> bool:
    """Whether no input is constant; wires are numbers, constants texts."""
    return all(isinstance(bit, int) for bit in _inputs(cell))


def _table(cell: Cell, inputs: list[int]) -> str:
    """The outputs of a LUT for the values of five inputs, from all ones down to all zeros."""
    init, own = cell["parameters"]["INIT"][::-1], [inputs.index(bit) for bit in _inputs(cell)]
    rows = (sum((row >> place & 1) << i for i, place in enumerate(own)) for row in reversed(range(2**INPUTS)))
    return "".join(init[row] for row in rows)
