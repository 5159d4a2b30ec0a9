# SPDX-License-Identifier: Apache-2.0
"""Area of dense and convolutional networks at well-known foldings, mapped by Yosys; writes benchmarks/area.md.

    python benchmarks/area.py --data DIR [NAME ...]

Each is compiled from its kept checkpoint, simulated in RTL on frames of its test split, and mapped for its board.
*LUT* counts each LUT as one, and a pair of small ones that share their inputs as one (LUT6_2, as Vivado combines them;
flows/synthesize/pairs.py); *lc* is Yosys' estimate, which lets any small LUTs share. Before place and route. The
columns *before* are of commit da5de72, where `adiabit synthesize` mapped the same networks at the same foldings.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import designs  # type: ignore[import-not-found]  # beside this file, on Python's path

from adiabit.flows.ladder import StageName, load_rungs
from adiabit.flows.simulate import figures

HERE = Path(__file__).parent
FRAMES = 1000


@dataclass(frozen=True)
class Design:
    """A recipe, a board and a folding."""

    title: str
    recipe: str
    board: str
    fold: str
    before: tuple[int, int, int]  # LUT, FF and BRAM18 at da5de72
    frames: int = FRAMES
    peer: bool = False  # whether da4ml maps the same weights


TFC = "{finn_json='%s', bram18=16}" % (HERE / "tfc_folding.json")
CNV = "{finn_json='%s', bram18=109}" % (HERE / "cnv_folding.json")  # 112 by Yosys, which takes a few more
PEER = (
    "{}: of the same weights, without the selection of a label, da4ml (`benchmarks/da4ml_peer.py`)\nmakes {lut:,} LUT, "
    "{lc:,} lc, {ff:,} FF and {carry:,} carry cells in {stages} pipeline stages; {frames:,} frames equal."
)
NO_PEER = "da4ml beside the hard-wired network: not run; `pip install da4ml==0.6.0`."
DESIGNS = {
    "sfc16": Design("SFC in 16 cycles (FINN's SFC-max)", "sfc", "zcu104", "{fps=12_500_000}", (71_266, 64_990, 0)),
    "lfc128": Design(
        "LFC in 128 cycles (LFC-max)", "lfc", "zcu104", "{fps=1_562_500, bram18=624}", (41_615, 51_883, 631)
    ),
    "tfc": Design("TFC, finn-examples' folding", "tfc", "pynq-z2", TFC, (3_738, 3_296, 0)),
    "tfc_wired": Design(
        "TFC hard-wired, a frame a cycle", "tfc", "zcu104", "{fps=200_000_000}", (49_861, 47_666, 0), peer=True
    ),
    "cnv": Design("CNV, finn-examples' folding", "cnv", "pynq-z2", CNV, (9_476, 8_592, 112), frames=100),
}  # fmt: skip


def measured(design: Design, data: Path, out: Path) -> dict[str, Any]:
    """The row of a design; `SystemExit` where a rung differs."""
    clock = ["target.clock_mhz=200"] if design.board == "zcu104" else []
    settings = f"export.frames={design.frames}", f"target.board='{design.board}'", f"compile.fold={design.fold}"
    run = designs.pipeline(design.recipe, data, out, *settings, *clock)
    stages = (StageName.EXPORT, StageName.COMPILE, StageName.SIMULATE)
    rungs = [rung for stage in stages for rung in load_rungs(run.folder(stage))]
    if different := [f"{rung.name}: {rung.difference}" for rung in rungs if rung.differs]:
        raise SystemExit("\n".join(different))
    cycles = figures.load(run.folder(StageName.SIMULATE)).cycles_per_frame
    synthesis = json.loads((run.folder(StageName.SYNTHESIZE) / "synthesis.json").read_text())
    row = {"frames": rungs[-1].frames, "cycles": cycles, **synthesis["total"]}
    return {**row, "peer": unrolled(run.folder(StageName.COMPILE), out / "da4ml")} if design.peer else row


def unrolled(accelerator: Path, out: Path) -> dict[str, Any] | None:
    """What da4ml makes of the same weights, by da4ml_peer.py, once; None where it is not installed."""
    out = out / accelerator.name
    if not (out / "da4ml.json").exists():
        if importlib.util.find_spec("da4ml") is None:
            return None
        subprocess.run([sys.executable, HERE / "da4ml_peer.py", accelerator, out], check=True)
    document: dict[str, Any] = json.loads((out / "da4ml.json").read_text())
    return document


def main() -> None:
    """Measure the designs that are named, or all, and write the page."""
    args = designs.parsed(designs.parser(__doc__, DESIGNS, "area"), DESIGNS)
    rows: dict[str, dict[str, Any]] = {}
    for name in args.names:
        rows[name] = measured(DESIGNS[name], args.data, args.out / name)
        print(name, rows[name], flush=True)
        (HERE / "area.md").write_text(page(rows))  # a row may take an hour


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The page of the designs measured so far."""
    names = "" if len(rows) == len(DESIGNS) else f" {' '.join(rows)}"
    lines = [
        "# Area",
        "",
        f"Made by `python benchmarks/area.py --data DIR{names}`.",
        "",
        *(__doc__ or "").split("\n\n")[2].strip().splitlines(),
        "",
        "| network | board | frames, all equal | cycles a frame | LUT | before | lc | FF | before | carry cells "
        "| BRAM18 | before |",
        "| --- | --- " + "| ---: " * 10 + "|",
    ]
    for name, row in rows.items():
        lut, ff, bram18 = DESIGNS[name].before
        shown = (
            row["frames"],
            row["cycles"],
            row["lut"],
            lut,
            row["lc"],
            row["ff"],
            ff,
            row["carry"],
            row["bram18"],
            bram18,
        )
        lines.append(f"| {DESIGNS[name].title} | {DESIGNS[name].board} | {' | '.join(f'{v:,}' for v in shown)} |")
    for name, row in rows.items():
        if DESIGNS[name].peer:
            lines += ["", PEER.format(DESIGNS[name].title, **row["peer"]) if row["peer"] else NO_PEER]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
