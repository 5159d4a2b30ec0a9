# SPDX-License-Identifier: Apache-2.0
"""One Yosys run as a separate program, because Yosys prints a lot and a crash must not end our process.

    python -m adiabit.flows.synthesize.yosys JOB RESULT

Run it in the folder of the RTL. JOB is a JSON file of {"top": a module, "parameters": its literals, "sources", "boxes":
modules that are left out, "family", "timing"}; `timing` requests the latest arrival time too. RESULT receives
{"version", "cells": counts by type, "arrival_ps"}.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyosys
from pyosys import libyosys as ys

from adiabit.flows.synthesize.output_registers import absorbed
from adiabit.flows.synthesize.pairs import paired
from adiabit.hw.emit.design import XILINX

ULTRASCALE = (  # the options that synth_xilinx passes to memory_libmap, except the LUT-RAM library
    "-lib +/xilinx/brams_xc4v.txt -lib +/xilinx/urams.txt -D HAS_SIZE_36 -D HAS_MIXWIDTH_SDP -D HAS_ADDRCE "
    "-logic-cost-rom 0.015625"
)
INIT, BLOCK = ys.IdString("\\INIT"), ys.IdString("\\rom_style")  # our RTL marks memories for block RAM alone
STUBS = """(* blackbox *)
module CARRY4 (
  output logic [3:0] CO, O, input logic CI, CYINIT, input logic [3:0] DI, S
);
endmodule
(* blackbox *)
module LUT6_2 #(
  parameter logic [63:0] INIT = '0
) (
  output logic O5, O6, input logic I0, I1, I2, I3, I4, I5
);
endmodule
"""

DELAYS = """
// Yosys knows no delays of this cell: those of LUT6 and LUT5.
module LUT6_2(output O6, output O5, input I0, I1, I2, I3, I4, I5);
  parameter [63:0] INIT = 0;
  specify
    (I0 => O6) = 642;  (I1 => O6) = 631;  (I2 => O6) = 472;  (I3 => O6) = 407;  (I4 => O6) = 238;  (I5 => O6) = 127;
    (I0 => O5) = 631;  (I1 => O5) = 472;  (I2 => O5) = 407;  (I3 => O5) = 238;  (I4 => O5) = 127;
  endspecify
endmodule
"""


class Job(TypedDict):
    """What is to be mapped."""

    top: str
    parameters: Mapping[str, str]
    sources: Sequence[str]
    boxes: Sequence[str]
    family: str
    timing: bool


class Mapped(TypedDict):
    """What it became."""

    version: str
    cells: dict[str, int]
    arrival_ps: int | None


def main(job_file: str, result_file: str) -> None:
    """Run the job and write its result."""
    job: Job = json.loads(Path(job_file).read_text())
    design = ys.Design()
    xilinx = job["family"].startswith("xc")
    options = [f"--top {job['top']}", *(f"--blackboxed-module {box}" for box in job["boxes"])]
    options += [f"-G {key}={_escaped(value)}" for key, value in job["parameters"].items()]
    with tempfile.TemporaryDirectory() as folder:
        stubs, file = Path(folder) / "xilinx_stubs.sv", Path(folder) / "options.f"
        stubs.write_text(STUBS)
        options += [f"-D {XILINX}=1", str(stubs)] * xilinx
        file.write_text("\n".join([*options, *job["sources"]]))
        ys.run_pass(f"read_slang --keep-hierarchy -f {file}", design)
    for cell in design.top_module().cells_.values():  # abc9 refuses left-out modules with parameters
        for name in list(cell.parameters) if cell.type.str().removeprefix("\\") in job["boxes"] else ():
            cell.unsetParam(name)
    _synthesize(job["family"], job["top"], design)
    mapped = _combined(design, job["top"]) if xilinx else design
    stat = json.loads(_tee("stat -json", mapped))
    modules = {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in stat["modules"].items()}
    cells = _expand(modules, job["top"])
    result: Mapped = {
        "version": stat["creator"].split(" (")[0],
        "cells": {cell: count for cell, count in cells.items() if cell.split("$")[0] not in job["boxes"]},
        "arrival_ps": _arrival(design) if job["timing"] else None,
    }
    Path(result_file).write_text(json.dumps(result))


def _escaped(literal: str) -> str:
    """A literal in a file of options."""
    return re.sub(r"([\"'])", r"\\\1", literal).replace(" ", "")


def _synthesize(family: str, top: str, design: Any) -> None:
    """Run `synth_ecp5`, `synth_gowin` or `synth_xilinx`; for UltraScale, map the memories ourselves.

    There, Yosys 0.70 describes a single-port LUT-RAM of 9 address bits as one of 16, selects it for every memory of
    more than 256 words, and then has no cell for it.
    """
    if family == "ecp5":
        ys.run_pass(f"synth_ecp5 -top {top}", design)
        return
    if family == "gw2a":
        ys.run_pass(f"synth_gowin -family {family} -top {top} -noiopads", design)
        return
    options = f"-family {family} -top {top} -flatten -noiopad -noclkbuf"
    ys.run_pass(f"synth_xilinx {options} -run begin:map_memory", design)
    _forget_contents(design)
    if not family.startswith("xcu"):
        ys.run_pass(f"synth_xilinx {options} -run map_memory:", design)
        return
    with tempfile.TemporaryDirectory() as folder:
        fixed = Path(folder) / "lutrams.txt"
        theirs = Path(pyosys.__file__).parent / "share" / "xilinx" / "lutrams_xcu.txt"
        fixed.write_text(re.sub(r'option "ABITS" 16 \{\s*abits 16;', 'option "ABITS" 9 { abits 9;', theirs.read_text()))
        ys.run_pass(f"memory_libmap -lib {fixed} {ULTRASCALE}", design)
    for cells in ("lutrams_xc5v", "brams_xcu", "urams"):
        ys.run_pass(f"techmap -map +/xilinx/{cells}_map.v", design)
    ys.run_pass(f"synth_xilinx {options} -run map_ffram:", design)


def _combined(design: Any, top: str) -> Any:
    """The design with pairs of small LUTs in one, and with registers in block RAMs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "netlist.json"
        ys.run_pass(f"write_json {path}", design)
        netlist = json.loads(path.read_text())
        for module in netlist["modules"].values():
            module["cells"] = paired(absorbed(module)["cells"])
        path.write_text(json.dumps(netlist))
        made = ys.Design()
        ys.run_pass(f"read_json {path}", made)
        ys.run_pass(f"hierarchy -top {top}", made)
        return made


def _forget_contents(design: Any) -> None:
    """Make the contents of all block RAMs equal.

    Yosys makes a template for each block RAM of other contents, which takes minutes for hundreds of them.
    """
    for module in design.modules_.values():
        for cell in module.cells_.values():
            if cell.type.str() == "$mem_v2" and cell.has_attribute(BLOCK) and cell.hasParam(INIT):
                cell.setParam(INIT, ys.Const(ys.State.S1, cell.getParam(INIT).size()))


def _expand(modules: dict[str, dict[str, int]], name: str) -> Counter[str]:
    """Cells by type, of a module and of the modules inside it."""
    total: Counter[str] = Counter()
    for cell, count in modules.get(name, {}).items():
        inside = _expand(modules, cell) if cell in modules else {cell: 1}
        total.update({kind: count * each for kind, each in inside.items()})
    return total


def _arrival(design: Any) -> int | None:
    """The latest arrival time in ps, if known. `sta` ignores paths that start at registers, so these are removed."""
    with tempfile.TemporaryDirectory() as folder:
        delays = Path(folder) / "delays.v"
        delays.write_text(DELAYS)
        for command in (
            "setattr -mod -unset keep_hierarchy =*",
            "flatten",
            "delete t:FD* t:RAM32M* t:RAM64M*",
            "setundef -undriven -expose",
            "read_verilog -lib -overwrite -specify +/xilinx/cells_sim.v",
            f"read_verilog -lib -overwrite -specify {delays}",
        ):
            ys.run_pass(command, design)
    found = re.search(r"Latest arrival time in '.*' is (\d+)", _tee("sta", design))
    return int(found[1]) if found else None


def _tee(command: str, design: Any) -> str:
    """The output of a Yosys command."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        ys.run_pass(f"tee -q -o {path} {command}", design)
        return path.read_text()


if __name__ == "__main__":
    main(*sys.argv[1:])
