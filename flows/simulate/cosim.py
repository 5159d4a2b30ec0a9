# SPDX-License-Identifier: Apache-2.0
"""The stage `cosim`: Vitis HLS synthesizes RTL from the emitted C++, and the bench of our own RTL runs it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.ladder import RungName, Vectors
from adiabit.flows.progress import counting
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.stage import simulate
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls

TOOLS = ("vitis_hls", "v++")  # up to Vitis 2024.1; later
VERILOG = Path("vitis", "hls", "syn", "verilog")  # where both leave the RTL


def tool() -> Path | None:
    """The program that synthesizes C++; None if Vitis HLS is not on PATH."""
    return next((Path(path) for name in TOOLS if (path := shutil.which(name))), None)


def cosimulate(
    accelerator_folder: Path, hls_folder: Path, vectors: Vectors, out: Path, config: SimulateConfig | None = None
) -> None:
    """Write `rtl/` (by :func:`make_rtl`), `vitis.log` and the files of :func:`simulate` into `out`."""
    rtl = out / "rtl"
    rtl.mkdir()
    make_rtl(storage.load(accelerator_folder), hls_folder, rtl, out / "vitis.log")
    simulate(accelerator_folder, rtl, vectors, out, config, rung=RungName.COSIM)


def make_rtl(accelerator: Accelerator, hls_folder: Path, rtl: Path, log: Path) -> None:
    """Fill the folder `rtl` with the RTL that Vitis HLS makes, in a wrapper with the ports of our own top module.

    `UserError` if Vitis HLS is not on PATH or a stream is too wide for it, `ToolError` if it fails.
    """
    program = tool()
    if program is None:
        raise UserError(
            f"{' and '.join(TOOLS)}: not found on PATH; co-simulation needs Vitis HLS; source its settings script"
        )
    widest = max(s.width for s in accelerator.streams)
    if widest > emit_hls.MOST_BITS:
        raise UserError(
            f"accelerator {accelerator.name}: a stream has {widest} bits; Vitis HLS allows at most "
            f"{emit_hls.MOST_BITS}; fold it more"
        )
    with tempfile.TemporaryDirectory(dir=log.parent) as name:
        work = Path(name) / "hls"
        shutil.copytree(hls_folder, work)
        with counting("Vitis HLS synthesizes"):
            _synthesize(program, accelerator.name, work, log)
        made = sorted(p for p in (work / VERILOG).glob("*") if p.suffix in (".v", ".sv", ".dat"))
        if not any(p.stem == accelerator.name for p in made):
            raise toolchain.ToolError(f"{program}: left no {VERILOG / accelerator.name}.v; see {log}")
        for path in made:
            shutil.copy(path, rtl)
    sources = [p.name for p in made if p.suffix != ".dat"]
    text, design = emit_hls.shell(accelerator, sources, [p.name for p in made if p.suffix == ".dat"])
    (rtl / f"{design.top}.sv").write_text(text)
    design.save(rtl)


def _synthesize(program: Path, name: str, work: Path, log: Path) -> None:
    """Run only the C synthesis of the emitted scripts."""
    if program.name == TOOLS[0]:
        args: list[str | Path] = [program, "-f", f"{name}.tcl"]
    else:
        args = [program, "-c", "--mode", "hls", "--config", "hls_config.cfg", "--work_dir", "vitis"]
    toolchain.run_tool(args, cwd=work, log=log, env={**os.environ, "ADIABIT_HLS_STEPS": "csynth"})
