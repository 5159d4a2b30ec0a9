# SPDX-License-Identifier: Apache-2.0
"""The stage `synthesize`: a Yosys run for each stage, and the counts of their resources."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path

from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.resources import Resources
from adiabit.flows.synthesize.cells import resources
from adiabit.flows.synthesize.figures import Cells, Row, Synthesis, save
from adiabit.flows.synthesize.parts import TOP, map_parts
from adiabit.hw.emit.design import Design

TIMING_NOTE = (
    "longest combinational path within a stage after mapping, by Yosys' sta with its 7-series cell delays, without "
    "routing, clock-to-out and setup times; it ranks designs, it does not predict the clock after place and route"
)
TIMING_FAMILY = "Yosys has cell delays for the 7 series only, so there is no figure for this part"
TIMING_NONE = "Yosys' sta reported no arrival time for this design"


def synthesize(rtl_folder: Path, board: Board, out: Path, known: Path | None = None) -> None:
    """Write `synthesis.json` and a log for each run of Yosys into `out`.

    Each stage is mapped separately, `top` is the logic outside the stages, and the total is their sum: on these
    designs, Yosys does better that way than on the flattened whole. As many run at once as there are cores; a stage
    whose cells are in the folder `known` is not mapped again. LUTs are counted one by one (`lut`) and packed (`lc`).
    `UserError` where Yosys or the RTL is missing.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise UserError(f"pyosys: not installed; synthesis needs it; install it: {toolchain.INSTALL['pyosys']}")
    design = Design.load(rtl_folder)
    start = time.monotonic()
    with toolchain.workplace(out) as work:
        found = map_parts(design, rtl_folder, board.family, out, work, known)

    def count(cells: Mapping[str, int]) -> dict[str, int]:
        return resources(cells, share=board.family.startswith("xc"))

    counts = {name: count(mapped["cells"]) for name, mapped in found.items()}
    rows = [Row(name=name, **each) for name, each in counts.items()]
    total = Cells(**{key: sum(each[key] for each in counts.values()) for key in counts[TOP]})
    arrivals = [ps for mapped in found.values() if (ps := mapped["arrival_ps"]) is not None]
    delay, note = _timing(max(arrivals, default=None), board.family)
    figures = Synthesis(
        part=board.part,
        family=board.family,
        tool=found[TOP]["version"],
        stages=tuple(rows),
        total=total,
        capacity=Resources(lut=board.luts, ff=board.ffs, bram18=board.bram18, dsp=board.dsps),
        logic_delay_ns=delay,
        timing_note=note,
        seconds=round(time.monotonic() - start, 3),
    )
    save(out, figures)


def _timing(arrival_ps: int | None, family: str) -> tuple[float | None, str]:
    """The delay of the longest combinational path in nanoseconds, if known, and a note on it."""
    if family != "xc7":
        return None, TIMING_FAMILY
    if arrival_ps is None:
        return None, TIMING_NONE
    return arrival_ps / 1000, TIMING_NOTE
