# SPDX-License-Identifier: Apache-2.0
"""The stage `synthesize`: one Yosys run that maps each stage separately and counts its resources."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.resources import Resources
from adiabit.flows.synthesize.cells import resources
from adiabit.flows.synthesize.figures import Cells, Row, Synthesis, save
from adiabit.hw.emit.design import Design

TIMING_NOTE = (
    "longest combinational path after mapping, by Yosys' sta with its 7-series cell delays, without routing, "
    "clock-to-out and setup times; it ranks designs, it does not predict the clock after place and route"
)
TIMING_FAMILY = "Yosys has cell delays for the 7 series only, so there is no figure for this part"
TIMING_NONE = "Yosys' sta reported no arrival time for this design"


def synthesize(rtl_folder: Path, board: Board, out: Path) -> None:
    """Write `synthesis.json` and `synthesis.log` into `out`.

    Each stage is mapped separately, `top` is the logic outside the stages, and the total is their sum: on these
    designs, Yosys does better that way than on the flattened whole. LUTs are counted one by one (`lut`) and packed
    (`lc`). `UserError` where Yosys or the RTL is missing.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise UserError(f"pyosys: not installed; synthesis needs it; install it: {toolchain.INSTALL['pyosys']}")
    design = Design.load(rtl_folder)
    start = time.monotonic()
    with toolchain.workplace(out) as work:
        found = _yosys(design, rtl_folder, board.family, out, work)

    def count(cells: Mapping[str, int]) -> dict[str, int]:
        return resources(cells, share=board.family.startswith("xc"))

    whole = sum((Counter(cells) for cells in found["instances"].values()), Counter(found["top"]))
    rows = [Row(name=n.removeprefix("u_"), **count(cells)) for n, cells in found["instances"].items()]
    rows.append(Row(name="top", **count(found["top"])))
    delay, note = _timing(found["arrival_ps"], board.family)
    figures = Synthesis(
        part=board.part,
        family=board.family,
        tool=found["version"],
        stages=tuple(rows),
        total=Cells(**count(whole)),
        capacity=Resources(lut=board.luts, ff=board.ffs, bram18=board.bram18, dsp=board.dsps),
        logic_delay_ns=delay,
        timing_note=note,
        seconds=round(time.monotonic() - start, 3),
    )
    save(out, figures)


def _yosys(design: Design, rtl: Path, family: str, out: Path, work: Path) -> dict[str, Any]:
    """Run Yosys in a separate process; returns its result."""
    job, result = work / "job.json", work / "result.json"
    job.write_text(json.dumps({**dataclasses.asdict(design), "family": family, "timing": family == "xc7"}))
    args = [sys.executable, "-m", "adiabit.flows.synthesize.yosys", str(job), str(result)]
    toolchain.run_tool(args, cwd=rtl, log=out / "synthesis.log", temporary=work)
    document: dict[str, Any] = json.loads(result.read_text())
    return document


def _timing(arrival_ps: int | None, family: str) -> tuple[float | None, str]:
    """The delay of the longest combinational path in nanoseconds, if known, and a note on it."""
    if family != "xc7":
        return None, TIMING_FAMILY
    if arrival_ps is None:
        return None, TIMING_NONE
    return arrival_ps / 1000, TIMING_NOTE
