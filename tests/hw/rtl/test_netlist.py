# SPDX-License-Identifier: Apache-2.0
"""Small accelerators mapped for a Xilinx part: their netlists, with models of the cells, equal the golden model."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hw.rtl.test_rtl import emit_bench, simulate, tool_environment

__all__ = ["tool_environment"]  # a fixture

# Hard-wired, shallow and deep weights, one and several levels between registers, sums of three, multipliers, searches.
NAMES = ("xnor_levels_hardwired", "xnor_63", "xnor_deep", "mask_levels", "multiply_u4", "xnor_search")

# A program of its own, as in test_yosys.py: maps an accelerator as `adiabit synthesize` maps its stages.
MAP = """
import sys
from pathlib import Path
from pyosys import libyosys as ys
from adiabit.flows.synthesize import yosys
top, *sources = sys.argv[1:]
Path("stubs.sv").write_text(yosys.STUBS)
design = ys.Design()
ys.run_pass(f"read_slang -D BNN_XILINX=1 --top {top} {' '.join(sources)} stubs.sv", design)
yosys._synthesize("xc7", top, design)
design = yosys._combined(design, top)
ys.run_pass("select -assert-none t:RAMB*", design)
ys.run_pass(f"select {top}; write_verilog -noattr -selected {top}.v", design)
"""


def mapped(top: dict[str, Any], rtl: Path) -> Path:
    """The netlist of an accelerator; in it, no block RAM, of which Yosys has no model."""
    command = [sys.executable, "-c", MAP, top["top"], *top["sources"]]
    ran = subprocess.run(command, cwd=rtl, capture_output=True, text=True)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    return rtl / f"{top['top']}.v"


@pytest.mark.full
def test_netlists_equal_the_golden_model(tmp_path: Path, tool_environment: None) -> None:
    from cocotb_tools.runner import get_runner

    rtl, tops = tmp_path / "rtl", emit_bench(tmp_path, NAMES)
    assert len(tops) == len(NAMES)
    netlists = [mapped(top, rtl) for top in tops]
    cells = {kind for path in netlists for kind in ("CARRY4", "LUT6_2", "FDRE") if kind in path.read_text()}
    assert cells == {"CARRY4", "LUT6_2", "FDRE"}
    yosys = importlib.util.find_spec("pyosys")
    assert yosys is not None
    assert yosys.origin is not None
    runner = get_runner("verilator")
    runner.build(
        sources=[Path(yosys.origin).parent / "share" / "xilinx" / "cells_sim.v", *netlists, rtl / "bench.sv"],
        hdl_toplevel="bench",
        build_dir=tmp_path / "build",
        build_args=[
            "-Wno-fatal",
            "-Wno-lint",
            "-Wno-style",
            "--x-assign",
            "unique",
            "--x-initial",
            "unique",
            "-j",
            "2",
        ],
        always=True,
    )
    assert simulate(runner, tmp_path, 1) == []
