# SPDX-License-Identifier: Apache-2.0
"""The popcount of Xilinx parts: its mapped cells are proven equal to its twin, and its structure is simulated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adiabit.flows import toolchain
from adiabit.hw.emit.rtl import modules_of
from adiabit.hw.stages.base import RTL
from adiabit.hw.stages.sums import popcount_latency

# A program of its own, as in test_yosys.py: maps and pairs the structure, and proves it equal to the twin by induction.
PROOF = """
import json, sys
from pyosys import libyosys as ys
from adiabit.flows.synthesize import yosys
bits, weighted, levels, latency, *sources = sys.argv[1:]
open("stubs.sv", "w").write(yosys.STUBS)
def read(define):
    design = ys.Design()
    options = f"-D {define}=1 --top bnn_popcount -G Bits={bits} -G Weighted={weighted} -G Levels={levels}"
    ys.run_pass(f"read_slang {options} {' '.join(sources)} stubs.sv", design)
    return design
gold, gate, both = read("BNN_TWIN"), read("BNN_XILINX"), ys.Design()
ys.run_pass("hierarchy -auto-top; proc; flatten; opt_clean; rename -top gold; write_rtlil gold.il", gold)
yosys._synthesize("xc7", "bnn_popcount", gate)
gate = yosys._combined(gate, "bnn_popcount")
ys.run_pass("rename -top gate; select -assert-min 1 gate/t:LUT6_2; write_json gate.json", gate)
design = json.load(open("gate.json"))
json.dump({"modules": {"gate": design["modules"]["gate"]}}, open("gate.json", "w"))
for command in (
    "read_json gate.json", "read_verilog +/xilinx/cells_sim.v", "hierarchy -top gate", "proc", "flatten gate",
    "opt_clean", "read_rtlil gold.il", "miter -equiv -flatten gold gate miter", "hierarchy -top miter", "async2sync",
    f"sat -verify -tempinduct -prove trigger 0 -seq {int(latency) + 1} miter",
):
    ys.run_pass(command, both)
"""
BENCH = """
module CARRY4 (
  input logic CI, CYINIT, input logic [3:0] DI, S, output logic [3:0] O, CO
);  // UG953
  logic [4:0] chain;
  assign chain[0] = CI | CYINIT;
  for (genvar i = 0; i < 4; i++) begin : gen_bit
    assign O[i] = S[i] ^ chain[i];
    assign chain[i+1] = S[i] ? chain[i] : DI[i];
  end
  assign CO = chain[4:1];
endmodule
module LUT6_2 #(
  parameter logic [63:0] INIT = '0
) (input logic I0, I1, I2, I3, I4, I5, output logic O6, O5);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule
module check #(
  parameter int unsigned Bits = 7, Levels = 1, parameter bit Weighted = 0,
  localparam int unsigned OutWidth = $clog2(Bits + 1)
) (input logic clk_i);
  localparam int unsigned Latency = bnn_pkg::popcount_latency(Bits, Weighted, Levels);
  logic [Bits-1:0] data, weight, terms;
  logic [OutWidth-1:0] got;
  logic [Latency:0][OutWidth-1:0] wanted;
  int unsigned cycle = 0;
  bnn_popcount #(.Bits(Bits), .Weighted(Weighted), .Levels(Levels))
    u_popcount (.clk_i, .data_i(data), .weight_i(weight), .data_o(got));
  assign terms = Weighted ? data ~^ weight : data;
  always @(posedge clk_i) begin
    for (int unsigned i = 0; i < Bits; i++) begin
      data[i] <= cycle % 5 == 3 ? 1'b1 : cycle % 5 == 4 ? 1'b0 : $urandom_range(1) == 1;
      weight[i] <= cycle % 3 == 0 ? 1'b1 : $urandom_range(1) == 1;
    end
    cycle <= cycle + 1;
    for (int unsigned i = Latency; i > 0; i--) wanted[i] <= i > 1 ? wanted[i-1] : OutWidth'($countones(terms));
    if (cycle > Latency + 2 && Latency > 0 && got != wanted[Latency]) $fatal(1, "%0d bits: %0d", Bits, got);
    if (Latency == 0 && got != OutWidth'(terms)) $fatal(1, "a wire");
  end
endmodule
module top;
  logic clk = 0;
  initial begin repeat (2000) #5 clk = !clk; $display("counted"); $finish; end
CHECKS
endmodule
"""


def sources(*changes: tuple[str, str, str], folder: Path) -> list[Path]:
    """The files of the popcount, with changes of a file's texts."""
    files = {path.name: path for path in modules_of([RTL / "bnn_popcount.sv"])}
    for name, old, new in changes:
        text = files[name].read_text()
        assert text.count(old) == 1
        files[name] = folder / name
        files[name].write_text(text.replace(old, new))
    return list(files.values())


def proven(bits: int, files: list[Path], folder: Path, *, weighted: bool = False, levels: int = 1) -> bool:
    numbers = bits, int(weighted), levels, popcount_latency(bits, weighted=weighted, levels=levels)
    command = [sys.executable, "-c", PROOF, *map(str, numbers), *map(str, files)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0 or "proof did fail" in ran.stderr + ran.stdout, (ran.stdout + ran.stderr)[-2000:]
    return ran.returncode == 0


@pytest.mark.parametrize(
    ("bits", "weighted", "levels"),
    [(12, False, 1), (20, False, 2), (2, True, 2), (4, True, 1), (11, True, 1), (14, True, 2), (14, True, 3)],
)
def test_mapped_cells_are_proven_equal_to_the_twin(bits: int, weighted: bool, levels: int, tmp_path: Path) -> None:
    assert proven(bits, sources(folder=tmp_path), tmp_path, weighted=weighted, levels=levels)


COUNT, MATCHES = "bnn_count.sv", "bnn_matches.sv"


@pytest.mark.parametrize(
    ("weighted", "changes"),
    [
        (False, [(COUNT, "32'he8808000", "32'he8808001"), (COUNT, "32'h177e7ee8", "32'h177e7ee9")]),
        (True, [(MATCHES, "32'hf99f9009", "32'hf99f9001")]),
        (True, [(MATCHES, "32'hf00ff00f", "32'hf00ff00e")]),
    ],
)
def test_wrong_tables_are_not_proven(weighted: bool, changes: list[tuple[str, str, str]], tmp_path: Path) -> None:
    assert not proven(12, sources(*changes, folder=tmp_path), tmp_path, weighted=weighted)


@pytest.mark.full
@pytest.mark.parametrize("sizes", [(1, 2, 3, 4, 6, 7, 8, 13, 48, 49, 64), (257, 784)])
@pytest.mark.parametrize("define", [(), ("-DBNN_XILINX",)])
def test_the_structures_count_as_the_twin_does(sizes: tuple[int, ...], define: tuple[str, ...], tmp_path: Path) -> None:
    """Random and extreme bits, in Verilator, of more bits than the proof can do."""
    checks = "\n".join(
        f"  check #(.Bits({bits}), .Weighted({weighted}), .Levels({n})) u_{bits}_{weighted}_{n} (.clk_i(clk));"
        for bits in sizes
        for weighted, n in ((0, 1), (0, 2), (1, 1), (1, 3))
    )
    (tmp_path / "top.sv").write_text(BENCH.replace("CHECKS", checks))
    command = [
        "verilator", "--binary", "--timing", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-DBNN_STRUCTURE", *define,
        "--top", "top", "-Mdir", "obj", "-CFLAGS", "-std=c++20 -O0", *map(str, sources(folder=tmp_path)), "top.sv",
    ]  # fmt: skip
    made = subprocess.run(command, cwd=tmp_path, env=toolchain.environment(), capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    ran = subprocess.run([tmp_path / "obj" / "Vtop"], capture_output=True, text=True)
    assert "counted" in ran.stdout, ran.stdout[-500:]
