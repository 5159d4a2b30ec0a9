# SPDX-License-Identifier: Apache-2.0
"""The stage `bitstream` for boards with an open toolchain: Yosys, nextpnr and a packer, all from package registries."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adiabit.boards.catalog import Board
from adiabit.boards.pynq.adiabit_driver.files import FORMAT
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.bitstream import netlist
from adiabit.flows.bitstream.families import BITSTREAM, FAMILIES, NETLIST, Family
from adiabit.flows.bitstream.figures import Bitstream, save
from adiabit.flows.bitstream.vectors import save_vectors
from adiabit.flows.ladder import Vectors, save_rungs
from adiabit.flows.progress import counting
from adiabit.flows.resources import Resources
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import serial as emit_serial


def find(name: str, family: Family) -> Path:
    """The path of a program, in our own environment or on PATH; `UserError` if it is missing."""
    path = shutil.which(name, path=_search_path())
    if path is None:
        raise UserError(f"{name}: not found; place and route needs it; install it: {family.install}")
    return Path(path)


def available(board: Board) -> bool:
    """Whether nextpnr and the packer for the board are installed."""
    family = FAMILIES.get(board.family)
    return family is not None and all(
        shutil.which(name, path=_search_path()) for name in (family.nextpnr, family.packer)
    )


def _search_path() -> str:
    return f"{Path(sys.executable).parent}:{toolchain.search_path()}"


def build(
    accelerator: Accelerator, vectors: Vectors, board: Board, clock_mhz: float, name: str, out: Path,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Write NAME.bit or .fs, NAME.json, vectors.npz, `bitstream.json`, `rungs.json` and the logs into `out`.

    The rung is a simulation of the bitstream's netlist on the first vectors. `UserError` if a tool is missing, the
    board has another clock, or the accelerator does not fit or is too slow.
    """
    assert board.uart is not None  # noqa: S101  # the shell is uart
    if clock_mhz != board.clock_mhz:
        raise UserError(
            f"target.clock_mhz = {clock_mhz:g}: {board.name} runs at {board.clock_mhz:g} MHz only; remove the key"
        )
    family = FAMILIES[board.family]
    find(family.nextpnr, family)  # before the minutes of synthesis
    packer = find(family.packer, family)
    if importlib.util.find_spec("pyosys") is None:
        raise UserError(f"pyosys: not installed; synthesis needs it; install it: {toolchain.INSTALL['pyosys']}")
    (rtl := out / "rtl").mkdir()
    chip = emit(accelerator, board, rtl)
    tell(f"yosys: {chip['top']} for {board.title}")
    with counting("Yosys synthesizes"):
        synthesize(chip, family, rtl, out / "yosys.log")
    tell("nextpnr: place and route")
    try:
        with counting("nextpnr places and routes"):
            report = route(board, rtl, out / "nextpnr.log", clock_mhz=clock_mhz)
    except toolchain.ToolError as error:
        if re.search(r"Unable to (find|place)|no BELs remaining|failed to place", str(error)):
            raise UserError(f"accelerator {name}: does not fit on {board.title}; fold it more") from error
        raise
    figures = _figures(report, family, clock_mhz)
    if figures.fmax_mhz is not None and figures.fmax_mhz < clock_mhz:
        raise UserError(
            f"accelerator {name}: reaches {figures.fmax_mhz:.1f} MHz on {board.title}, whose clock is {clock_mhz:g} "
            f"MHz; change the folding; {out / 'nextpnr.log'} has the critical path"
        )
    toolchain.run_tool([packer, *board.uart.pack, *family.pack], cwd=rtl, log=out / "nextpnr.log")
    (rtl / BITSTREAM).rename(out / f"{name}{family.suffix}")
    (out / f"{name}.json").write_text(json.dumps({"format": FORMAT, **chip}, indent=1) + "\n")
    save_vectors(accelerator, vectors, out)
    tell("verilator: simulate the netlist on the saved vectors")
    rung = netlist.simulate((rtl / NETLIST).with_suffix(".v"), family, chip, out / "vectors.npz", out / "netlist.log")
    save_rungs(out, [rung])
    save(out, figures)
    tell(f"nextpnr: {figures.fmax_mhz:.1f} MHz, {figures.total.lut:,} of {board.luts:,} LUT4")


def emit(accelerator: Accelerator, board: Board, rtl: Path) -> dict[str, Any]:
    """Write the chip's sources and pins into `rtl`; its description."""
    uart, pins = board.uart, FAMILIES[board.family].pins
    assert uart is not None  # noqa: S101  # the shell is uart
    shutil.copyfile(board.pins(pins), rtl / pins)
    hertz = board.clock_mhz * 1e6
    return emit_serial.emit(accelerator, rtl, clock_hz=hertz, baud=uart.baud, leds=uart.leds, lit=uart.lit)


def route(board: Board, rtl: Path, log: Path, *, clock_mhz: float, seed: int = 1) -> dict[str, Any]:
    """Place and route the chip in `rtl`, which may miss the clock; nextpnr's report."""
    family = FAMILIES[board.family]
    assert board.uart is not None  # noqa: S101  # the shell is uart
    command: list[str | Path] = [
        find(family.nextpnr, family), *board.uart.place_and_route, "--json", NETLIST, *family.route,
        "--report", "report.json", "--freq", f"{clock_mhz:g}", "--timing-allow-fail", "--seed", str(seed),
    ]  # fmt: skip
    toolchain.run_tool(command, cwd=rtl, log=log)
    report: dict[str, Any] = json.loads((rtl / "report.json").read_text())
    return report


def synthesize(chip: dict[str, Any], family: Family, rtl: Path, log: Path) -> None:
    """Run Yosys on a whole chip; it writes the netlist as JSON and as Verilog beside the sources."""
    script: list[str | Path] = [sys.executable, "-m", "adiabit.flows.bitstream.yosys", family.synthesis]
    with toolchain.workplace(log.parent) as work:
        toolchain.run_tool([*script, chip["top"], NETLIST, *chip["sources"]], cwd=rtl, log=log, temporary=work)


def _figures(report: dict[str, Any], family: Family, clock_mhz: float) -> Bitstream:
    """The Fmax of the slowest clock, resources used, and the part's capacity, from nextpnr's report."""
    table = report["utilization"]
    return Bitstream(
        tool="nextpnr",
        clock_mhz=clock_mhz,
        total=Resources(**family.used(table)),
        capacity=Resources(**family.capacity(table)),
        fmax_mhz=min(clock["achieved"] for clock in report["fmax"].values()),
    )
