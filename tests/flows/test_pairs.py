# SPDX-License-Identifier: Apache-2.0
"""Pairs of small LUTs compute what the LUTs did."""

from __future__ import annotations

from typing import Any

import numpy as np

from adiabit.flows.synthesize.pairs import paired

Cells = dict[str, dict[str, Any]]


def lut(inputs: list[int | str], init: int, out: int) -> dict[str, Any]:
    wires = {f"I{i}": [bit] for i, bit in enumerate(inputs)}
    size = len(inputs)
    return {"type": f"LUT{size}", "parameters": {"INIT": f"{init:0{2**size}b}"}, "connections": {**wires, "O": [out]}}


def outputs(cells: Cells, wires: dict[int | str, int]) -> dict[int, int]:
    """The value of each wire that a cell drives."""
    found = {}
    for cell in cells.values():
        init, ports = cell["parameters"]["INIT"][::-1], cell["connections"]
        row = sum(wires[ports[f"I{i}"][0]] << i for i in range(len(ports) - (2 if "O5" in ports else 1)))
        if cell["type"] == "LUT6_2":  # UG953: O5 has the lower half of the table
            found[ports["O6"][0]] = int(init[row])
            found[ports["O5"][0]] = int(init[row % 32])
        else:
            found[ports["O"][0]] = int(init[row])
    return found


def test_pairs_compute_what_the_luts_did() -> None:
    rng = np.random.default_rng(0)
    cells: Cells = {}
    for k in range(200):
        size = int(rng.integers(1, 7))
        inputs: list[int | str] = [int(bit) for bit in rng.permutation(np.arange(2, 12))[:size]]
        if rng.random() < 0.1:
            inputs[0] = "1"
        cells[f"c{k}"] = lut(inputs, int(rng.integers(0, 2**63)) % 2 ** (2**size), 100 + k)
    merged = paired(cells)
    pairs = [cell for cell in merged.values() if cell["type"] == "LUT6_2"]
    assert len(pairs) > 40
    assert len(merged) == len(cells) - len(pairs)
    for _ in range(100):
        wires: dict[int | str, int] = {"0": 0, "1": 1, **{k: int(rng.integers(2)) for k in range(2, 12)}}
        assert outputs(merged, wires) == outputs(cells, wires)


def test_only_luts_that_share_their_inputs_are_paired() -> None:
    apart = {"a": lut([2, 3], 8, 10), "b": lut([4, 5], 8, 11)}
    assert paired(apart) == apart
    wide = {"a": lut([2, 3, 4, 5, 6], 1, 10), "b": lut([2, 3, 4, 5, 6, 7], 1, 11)}
    assert paired(wide) == wide
    within = {"a": lut([2, 3, 4], 1, 10), "b": lut([4, 2], 1, 11), "c": lut([2, 3], 1, 12)}
    assert sorted(cell["type"] for cell in paired(within).values()) == ["LUT2", "LUT6_2"]
    equal = {"a": lut([2, 3], 8, 10), "b": lut([3, 2], 6, 11)}
    (cell,) = paired(equal).values()
    assert cell["connections"]["I5"] == ["1"]
