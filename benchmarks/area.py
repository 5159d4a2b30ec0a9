# SPDX-License-Identifier: Apache-2.0
"""Area of dense and convolutional networks at well-known foldings, mapped by Yosys; writes benchmarks/area.md.

    python benchmarks/area.py --data DIR [NAME ...]

Each is compiled from its kept checkpoint, simulated in RTL on frames of its test split, and mapped for its board.
*LUT* counts each LUT as one, and a pair of small ones that share their inputs as one (LUT6_2, as Vivado combines them;
flows/synthesize/pairs.py); *lc* is Yosys' estimate, which lets any small LUTs share. Before place and route. The
columns *before* are of commit da5de72, where `adiabit synthesize` mapped the same networks at the same foldings.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adiabit.flows.ladder import StageName, load_rungs
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
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


TFC = "{finn_json='%s', bram18=16}" % (HERE / "tfc_folding.json")
CNV = "{finn_json='%s', bram18=112}" % (HERE / "cnv_folding.json")
DESIGNS = {
    "sfc16": Design("SFC in 16 cycles (FINN's SFC-max)", "sfc", "zcu104", "{fps=12_500_000}", (71_266, 64_990, 0)),
    "lfc128": Design("LFC in 128 cycles (LFC-max)", "lfc", "zcu104", "{fps=1_562_500}", (41_615, 51_883, 631)),
    "tfc": Design("TFC, finn-examples' folding", "tfc", "pynq-z2", TFC, (3_738, 3_296, 0)),
    "tfc_wired": Design("TFC hard-wired, a frame a cycle", "tfc", "zcu104", "{fps=200_000_000}", (49_861, 47_666, 0)),
    "cnv": Design("CNV, finn-examples' folding", "cnv", "pynq-z2", CNV, (9_476, 8_592, 112), frames=100),
}  # fmt: skip


def measured(design: Design, data: Path, out: Path) -> dict[str, Any]:
    """The row of a design; `SystemExit` where a rung differs."""
    clock = ["target.clock_mhz=200"] if design.board == "zcu104" else []
    settings = [
        f"data.dir='{data.absolute()}'", f"checkpoint='{HERE / 'checkpoints' / design.recipe}'",
        f"export.frames={design.frames}", f"target.board='{design.board}'", f"compile.fold={design.fold}", *clock,
    ]  # fmt: skip
    pipeline = Pipeline(load(HERE.parent / "recipes" / f"{design.recipe}.toml", settings), out)
    stages = (StageName.EXPORT, StageName.COMPILE, StageName.SIMULATE)
    rungs = [rung for stage in stages for rung in load_rungs(pipeline.folder(stage))]
    if different := [f"{rung.name}: {rung.difference}" for rung in rungs if rung.differs]:
        raise SystemExit("\n".join(different))
    cycles = figures.load(pipeline.folder(StageName.SIMULATE)).cycles_per_frame
    synthesis = json.loads((pipeline.folder(StageName.SYNTHESIZE) / "synthesis.json").read_text())
    return {"frames": rungs[-1].frames, "cycles": cycles, **synthesis["total"]}


def main() -> None:
    """Measure the designs that are named, or all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST and CIFAR-10")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "area")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(DESIGNS)}")
    args = parser.parse_args()
    if unknown := sorted({*args.names} - {*DESIGNS}):
        parser.error(f"unknown design {unknown[0]!r}; use one of {', '.join(DESIGNS)}")
    rows: dict[str, dict[str, Any]] = {}
    for name in args.names or DESIGNS:
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
