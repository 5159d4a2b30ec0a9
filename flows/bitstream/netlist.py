# SPDX-License-Identifier: Apache-2.0
"""Simulates the netlist that Yosys hands to nextpnr, in Verilator, over the chip's serial line."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from adiabit.boards.pynq.adiabit_driver import Port
from adiabit.flows import toolchain
from adiabit.flows.bitstream.families import Family
from adiabit.flows.ladder import Rung, RungName
from adiabit.flows.progress import counting
from adiabit.flows.simulate.bench import TOOLS

FRAMES = 24
HERE = Path(__file__).parent


def simulate(netlist: Path, family: Family, chip: dict[str, Any], vectors: Path, log: Path) -> Rung:
    """Send the first saved vectors over the line and compare the results; `ToolError` if none arrive.

    `chip` is the description of the chip, as written to NAME.json.
    """
    toolchain.need(*TOOLS)
    with np.load(vectors, allow_pickle=False) as saved:
        frames, outputs = saved["frames"][:FRAMES], saved["outputs"][:FRAMES]
    given, result = (Port(chip[end], 1) for end in ("input", "output"))
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None  # noqa: S101  # it synthesized the netlist
    assert spec.origin is not None  # noqa: S101
    cells = Path(spec.origin).parent / "share" / family.cells
    with toolchain.workplace(log.parent) as work:
        shutil.copy(HERE / "chip_bench.cpp", work)
        shutil.copy(netlist, work / "chip.v")
        args: list[str | Path] = [
            toolchain.find("verilator"), "--cc", "--exe", "--build", "-j", str(toolchain.cores()),
            "--prefix", "Vchip", "--top-module", chip["top"], "-Mdir", "obj", "-Wno-fatal", "-Wno-lint", "-O3",
            "-CFLAGS", "-O1 -std=c++17",
            "--x-assign", "unique", "--x-initial", "unique", f"-I{cells.parent}", "chip.v",
            *(HERE / model for model in family.models),  # before Yosys' cells, in which these modules are empty
            cells, "chip_bench.cpp", "-o", "bench",
        ]  # fmt: skip
        with counting("Verilator compiles the netlist"):
            toolchain.run_tool(args, cwd=work, log=log)
        sent = np.zeros((len(frames), given.frame_bytes), np.uint8)
        given.pack(given.check(frames), sent)
        sent.tofile(work / "frames.bin")
        sizes = [str(n) for n in (len(frames), given.frame_bytes, result.frame_bytes, chip["divider"])]
        with counting("netlist simulation"):
            toolchain.run_tool([work / "obj" / "bench", "frames.bin", "results.bin", *sizes], cwd=work, log=log)
        memory = np.fromfile(work / "results.bin", np.uint8).reshape(len(frames), -1)
    equal = (result.unpack(memory).reshape(len(frames), -1) == outputs.reshape(len(frames), -1)).all(axis=1)
    differs = np.flatnonzero(~equal)
    difference = (
        f"frame {differs[0]}: the chip's result differs; the netlist is beside the bitstream" if len(differs) else ""
    )
    return Rung(
        name=RungName.NETLIST,
        frames=len(frames),
        equal=int(equal.sum()),
        compared="results over the serial line",
        difference=difference,
    )
