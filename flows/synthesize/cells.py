# SPDX-License-Identifier: Apache-2.0
"""FPGA resources from counts of Xilinx, ECP5 and Gowin cells."""

from __future__ import annotations

import re
from collections.abc import Mapping

# LUTs per memory cell (UG474, UG574)
LUTRAM = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
    "TRELLIS_DPR16X4": 4,  # 4-input LUTs (FPGA-TN-02204)
    "RAM16SDP4": 6,  # 4-input LUTs, as Gowin's reports count it
}  # fmt: skip
BRAM18 = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2, "DP16KD": 1}
BRAM18 |= dict.fromkeys(("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B"), 1)
LUTS_OF_CARRY = {"CCU2C": 2, "ALU": 1}  # carry cells of ECP5 and Gowin include LUTs
_COUNTED = {
    "lut": re.compile(r"LUT[1-6](_2)?"),
    "ff": re.compile(r"FD[RSCP]E(_1)?|TRELLIS_FF|DFF[RSPC]?E?"),
    "carry": re.compile(r"CARRY[48]|CCU2C|ALU"),
    "dsp": re.compile(r"DSP48E[12]|MULT18X18D|MULT\d+X\d+"),
}
# Cells without a cost of their own: multiplexers after LUTs, inverters that LUTs and flip-flops absorb.
_FREE = re.compile(r"MUXF[789]|MUX2_LUT[5-8]|PFUMX|L6MUX21|INV|VCC|GND|VHI|VLO|\$scopeinfo")


def resources(cells: Mapping[str, int], *, share: bool = True) -> dict[str, int]:
    """LUTs (including memory), flip-flops, 18 Kbit block RAMs, DSPs, carry cells, and the memory LUTs separately.

    `lut` counts each LUT as one, whatever its size; `lc` estimates the LUTs after small ones are packed together
    (:func:`packed`), where the part can; pass `share` accordingly. `ValueError` for an unknown cell.
    """
    counts = dict.fromkeys(("lut", "ff", "bram18", "dsp", "carry", "lutram"), 0)
    for cell, count in cells.items():
        if cell in LUTRAM:
            counts["lutram"] += LUTRAM[cell] * count
        elif cell in BRAM18:
            counts["bram18"] += BRAM18[cell] * count
        elif kind := next((k for k, p in _COUNTED.items() if p.fullmatch(cell)), None):
            counts[kind] += count
            counts["lut"] += LUTS_OF_CARRY.get(cell, 0) * count
        elif not _FREE.fullmatch(cell):
            raise ValueError(f"Yosys made a cell {cell!r} of unknown cost")
    counts["lut"] += counts["lutram"]
    return {**counts, "lc": packed(cells) + counts["lutram"] if share else counts["lut"]}


def packed(cells: Mapping[str, int]) -> int:
    """6-input LUTs after each LUT of 1 or 2 inputs is packed with a larger one of up to 5 inputs, or another such.

    This is Yosys' own estimate for Xilinx (`estimate_xilinx_lc` in its stat.cc) plus LUT6_2, which that omits.
    """
    small = {size: cells.get(f"LUT{size}", 0) for size in (1, 2)}
    total = cells.get("LUT6", 0) + cells.get("LUT6_2", 0)
    for size, guests in ((5, (1,)), (4, (1, 2)), (3, (1, 2))):
        room = cells.get(f"LUT{size}", 0)
        total += room
        for guest in guests:
            moved = min(room, small[guest])
            room, small[guest] = room - moved, small[guest] - moved
    return total + (small[1] + small[2] + 1) // 2
