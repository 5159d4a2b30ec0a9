# SPDX-License-Identifier: Apache-2.0
"""Clock after place and route on boards with open tools; writes benchmarks/fmax.md.

    python benchmarks/fmax.py --data DIR [NAME ...]

Each network is compiled from its kept checkpoint for the board and a clock (`target.clock_mhz`, which decides how many
levels of counters or adders lie between registers), with the UART host around it, mapped by Yosys, and placed and
routed by nextpnr from several seeds, with a target of 200 MHz. The boards run at their own, lower clock.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import designs  # type: ignore[import-not-found]  # beside this file, on Python's path

from adiabit.boards import catalog
from adiabit.flows.bitstream import open_tools
from adiabit.flows.bitstream.families import FAMILIES
from adiabit.flows.ladder import StageName
from adiabit.hw import storage
from adiabit.hw.folding.pipelining import levels_at

HERE = Path(__file__).parent
SEEDS = (1, 2, 3, 4, 5)
TARGET_MHZ = 200


@dataclass(frozen=True)
class Design:
    """A network, a board, and cycles a frame."""

    title: str
    recipe: str
    board: str
    cycles: int
    clock_mhz: int = TARGET_MHZ


DESIGNS = {
    "tfc_ulx3s": Design("TFC", "tfc", "ulx3s-85f", 98),
    "tfc_tang": Design("TFC", "tfc", "tang-nano-20k", 98),
    "cnv_ulx3s": Design("CNV", "cnv", "ulx3s-85f", 600_000),
    **{f"tfc_ulx3s_{mhz}": Design("TFC", "tfc", "ulx3s-85f", 98, mhz) for mhz in (60, 30)},
    **{f"tfc_tang_{mhz}": Design("TFC", "tfc", "tang-nano-20k", 98, mhz) for mhz in (60, 30)},
}


def measured(design: Design, data: Path, out: Path, seeds: tuple[int, ...]) -> dict[str, Any]:
    """The clock from each seed, the slowest path of the last, and the cells."""
    board = catalog.load(design.board)
    clock = f"target.clock_mhz={design.clock_mhz}", f"compile.fold={{fps={design.clock_mhz * 1e6 / design.cycles}}}"
    run = designs.pipeline(design.recipe, data, out, "export.frames=10", f"target.board='{board.name}'", *clock)
    accelerator = storage.load(run.folder(StageName.COMPILE))
    family, rtl = FAMILIES[board.family], out / "rtl"
    rtl.mkdir(exist_ok=True)
    open_tools.synthesize(open_tools.emit(accelerator, board, rtl), family, rtl, out / "yosys.log")
    clocks, report = [], {}
    for seed in seeds:
        report = open_tools.route(board, rtl, out / f"nextpnr{seed}.log", clock_mhz=TARGET_MHZ, seed=seed)
        clocks.append(min(clock["achieved"] for clock in report["fmax"].values()))
        print(out.name, seed, round(clocks[-1], 1), path(report), flush=True)
    used = family.used(report["utilization"])
    levels = levels_at(design.clock_mhz, board.level_ns)
    return {"clocks": clocks, "cycles": accelerator.cycles, "levels": levels, "path": path(report), **used}


def path(report: dict[str, Any]) -> str:
    """From what to what the critical path of the slowest clock goes."""
    inside = [p["path"] for p in report["critical_paths"] if p["from"].split()[-1] == p["to"].split()[-1]]
    ends = [(p[0]["from"]["cell"], p[-1]["to"]["cell"]) for p in inside if p]
    return " to ".join(re.sub(r"(_TRELLIS_FF|_DFF|_LUT4|\$).*", "", end) for end in ends[0]) if ends else ""


def main() -> None:
    """Measure the designs that are named, or all, and write the page."""
    parser = designs.parser(__doc__, DESIGNS, "fmax")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many; 5 by default")
    args = designs.parsed(parser, DESIGNS)
    rows: dict[str, dict[str, Any]] = {}
    for name in args.names:
        rows[name] = measured(DESIGNS[name], args.data, args.out / name, SEEDS[: args.seeds])
        (HERE / "fmax.md").write_text(page(rows))


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The page of the designs measured so far."""
    names = "" if len(rows) == len(DESIGNS) else f" {' '.join(rows)}"
    seeds = max(len(row["clocks"]) for row in rows.values())
    lines = [
        "# Clock",
        "",
        f"Made by `python benchmarks/fmax.py --data DIR{names}`; {seeds} seeds.",
        "",
        *(__doc__ or "").split("\n\n")[2].strip().splitlines(),
        "",
        "| network | board | compiled for | levels | cycles a frame | MHz: median | least | most | LUT4 | FF "
        "| block RAM | critical path |",
        "| --- | --- " + "| ---: " * 9 + "| --- |",
    ]
    for name, row in rows.items():
        design, clocks = DESIGNS[name], row["clocks"]
        mhz = " | ".join(f"{v:.1f}" for v in (statistics.median(clocks), min(clocks), max(clocks)))
        cells = " | ".join(f"{row[key]:,}" for key in ("lut", "ff", "bram18"))
        title = f"| {design.title} | {catalog.load(design.board).title} "
        clock = f"{design.clock_mhz} MHz | {row['levels']}"
        lines.append(f"{title}| {clock} | {row['cycles']:,} | {mhz} | {cells} | {row['path']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
