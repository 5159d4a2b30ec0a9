# SPDX-License-Identifier: Apache-2.0
"""The stage `bitstream` for PYNQ boards: a self-contained Vivado project, built if Vivado is on PATH."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from adiabit.boards.catalog import Board
from adiabit.boards.pynq import vivado
from adiabit.boards.pynq.block_design import block_design
from adiabit.boards.pynq.describe import describe
from adiabit.errors import UserError
from adiabit.flows.bitstream.figures import Bitstream, save
from adiabit.flows.bitstream.vectors import save_vectors
from adiabit.flows.ladder import Vectors
from adiabit.flows.resources import Resources
from adiabit.flows.toolchain import TAIL, ToolError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import ip as emit_ip
from adiabit.hw.emit.design import XILINX

_DEFINE = f"`ifndef VERILATOR\n`define {XILINX}\n`endif\n"  # in the file itself: a packaged core keeps no macros
WORD_BYTES = 8  # of the DMA: as wide as a Zynq's memory port
STEPS = re.compile(r"^(Starting|Finished) (\w[\w ]+?)( Task| : |$)|^# (launch_runs|open_run)")


def tool() -> Path | None:
    """The path of Vivado; None if it is not on PATH."""
    found = shutil.which("vivado")
    return Path(found) if found else None


def write_project(
    accelerator: Accelerator, vectors: Vectors, board: Board, clock_mhz: float, name: str, folder: Path
) -> None:
    """Write rtl/, build.tcl, NAME.json, vectors.npz and README.md into an existing folder.

    `UserError` if the board is not a Zynq.
    """
    (rtl := folder / "rtl").mkdir()
    core = emit_ip.emit(accelerator, rtl, word_bytes=WORD_BYTES)
    for source in (rtl / name for name in core["sources"]):
        if XILINX in (text := source.read_text()):
            source.write_text(f"{_DEFINE}{text}")
    design = block_design(board, clock_mhz, core["top"], WORD_BYTES)
    files = [*core["sources"], *core["memories"]]
    (folder / vivado.SCRIPT).write_text(vivado.script(design, board, name=name, top=core["top"], sources=files))
    (folder / f"{name}.json").write_text(json.dumps(describe(core, design), indent=1) + "\n")
    save_vectors(accelerator, vectors, folder)
    (folder / "README.md").write_text(_README.format(name=name, title=board.title, part=board.part, clock=clock_mhz))


def build(
    accelerator: Accelerator, vectors: Vectors, board: Board, clock_mhz: float, name: str, out: Path,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Write the project into `out` and build it if Vivado is on PATH: out/NAME.bit, .hwh, reports, `bitstream.json`.

    `ToolError` if Vivado fails, `UserError` with the worst slack if timing is not met.
    """
    write_project(accelerator, vectors, board, clock_mhz, name, out)
    program = tool()
    if program is not None:
        run_vivado(program, out, clock_mhz, tell)


def run_vivado(program: Path, folder: Path, clock_mhz: float, tell: Callable[[str], None]) -> None:
    """Run Vivado on the project, report its steps as they run, and write `bitstream.json`."""
    log = folder / "vivado.log"
    command = [str(program), "-mode", "batch", "-nojournal", "-nolog", "-source", vivado.SCRIPT]
    worst, lines = "", list[str]()
    with log.open("w") as sink, subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        for line in process.stdout:
            sink.write(line)
            lines = [*lines[1 - TAIL :], line.rstrip()]
            if STEPS.match(line):
                tell(f"vivado: {line.strip()}")
            if line.startswith("adiabit: worst slack"):
                worst = line.removeprefix("adiabit: worst slack").strip()
    if process.returncode == vivado.NEGATIVE_SLACK:
        raise UserError(
            f"{folder}: timing is not met at {clock_mhz:g} MHz: worst slack {worst}; lower target.clock_mhz or fold it "
            f"more; {folder / 'out' / 'timing.txt'} has the critical path"
        )
    if process.returncode:
        raise ToolError(f"{program} exited with {process.returncode}; the end of {log}:\n" + "\n".join(lines))
    slack = re.match(r"(-?[\d.]+) ns", worst)
    total = utilization((folder / "out" / "utilization.txt").read_text())
    nanoseconds = float(slack[1]) if slack else None
    save(folder, Bitstream(tool="Vivado", clock_mhz=clock_mhz, total=total, slack_ns=nanoseconds))


def utilization(text: str) -> Resources:
    """Resources of the whole system, from the output of `report_utilization -hierarchical`."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    if len(rows) < 2:
        return Resources()
    found = dict(zip(rows[0], rows[1], strict=False))  # the heading, then the top module

    def number(*names: str) -> float:
        return sum(float(found[name]) for name in names if name in found)

    return Resources(
        lut=number("Total LUTs"),
        ff=number("FFs"),
        bram18=2 * number("RAMB36") + number("RAMB18"),
        dsp=number("DSP Blocks", "DSP48 Blocks"),
    )


_README = """\
# {name} for {title}

An accelerator and the system around it: processor, DMA, registers; {clock:g} MHz, part {part}. Build it on any machine
with Vivado 2022.1 or newer:

    vivado -mode batch -source build.tcl

This makes `out/{name}.bit` and `out/{name}.hwh`, with `utilization.txt` and `timing.txt`; exit code 3 means that timing
is not met. `ip/` then holds the accelerator as an IP core for other designs.

On the board, put `{name}.bit`, `{name}.hwh`, `{name}.json`, `vectors.npz` and the package `adiabit_driver` into one
folder, and run:

    python3 -m adiabit_driver {name}.bit --verify vectors.npz --measure
"""
