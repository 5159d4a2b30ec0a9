# SPDX-License-Identifier: Apache-2.0
"""Vitis HLS, played by a script that lays our own RTL where Vitis would have left its own, under Vitis' port names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from adiabit.flows import toolchain
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl as emit_rtl

SCRIPT = """#!/bin/sh
echo "$0 $*, steps $ADIABIT_HLS_STEPS"
test -f {name}.cpp && test -f bnn.hpp && grep -q 'set_top {name}$' {name}.tcl || exit 7
mkdir -p vitis/hls/syn/verilog
cp {made}/* vitis/hls/syn/verilog
"""
TOP = """
module {name} (
  input logic ap_clk, input logic ap_rst_n,
  input logic [{s}:0] s_axis_TDATA, input logic s_axis_TVALID, output logic s_axis_TREADY,
  output logic [{m}:0] m_axis_TDATA, output logic m_axis_TVALID, input logic m_axis_TREADY, output logic m_axis_TLAST
);
  core u_core (
    .clk_i(ap_clk), .rst_ni(ap_rst_n), .s_axis_tdata(s_axis_TDATA), .s_axis_tvalid(s_axis_TVALID),
    .s_axis_tready(s_axis_TREADY), .m_axis_tdata(m_axis_TDATA), .m_axis_tvalid(m_axis_TVALID),
    .m_axis_tready(m_axis_TREADY), .m_axis_tlast(m_axis_TLAST)
  );
endmodule
"""


def play(accelerator: Accelerator, folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program of that name on PATH which makes RTL of this accelerator; the program's path."""
    (rtl := folder / "core").mkdir()
    emit_rtl.emit(dataclasses.replace(accelerator, name="core"), rtl)
    design = json.loads((rtl / "design.json").read_text())
    name, s, m = accelerator.name, design["input"]["tdata_bits"] - 1, design["output"]["tdata_bits"] - 1
    text = "".join((rtl / source).read_text() for source in design["sources"]) + TOP.format(name=name, s=s, m=m)
    (made := folder / "made").mkdir()
    (made / f"{name}.v").write_text(text.replace(".mem", ".dat"))
    for memory in rtl.glob("*.mem"):
        (made / memory.name).with_suffix(".dat").write_text(memory.read_text())
    (programs := folder / "bin").mkdir()
    (programs / program).write_text(SCRIPT.format(made=made, name=name))
    (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{toolchain.search_path()}")
    return programs / program
