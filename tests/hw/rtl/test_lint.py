# SPDX-License-Identifier: Apache-2.0
"""Every module alone: Verilator finds nothing to warn of at the corners of its parameters, and refuses illegal ones."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows import toolchain
from adiabit.hw.emit.rtl import modules_of
from adiabit.hw.stages.base import RTL

LEGAL: dict[str, list[dict[str, Any]]] = {
    "bnn_fifo": [{}, {"Width": 1, "Depth": 3}, {"Depth": 64}],
    "bnn_credit_fifo": [{}, {"Latency": 0}, {"Width": 1, "Latency": 9, "Interval": 4}],
    "bnn_delay": [{}, {"Stages": 0}, {"Width": 5, "Stages": 3, "Reset": 0}],
    "bnn_lut_rom": [{}, {"Width": 1, "Depth": 1}],
    "bnn_rom": [
        *({"Depth": d, "Latency": n} for d in (1, 2, 33) for n in (0, 1, 2)),
        {"Depth": 65, "Latency": 2, "BlockWidth": 3, "LutFile": "x.mem"},
        *({"Depth": 65, "Latency": 2, "BankDepth": d, "BlockWidth": 3, "LutFile": "x.mem"} for d in (4, 16)),
        {"Width": 1, "Depth": 3, "Latency": 2, "BankDepth": 2},
        {"Latency": 2, "Registered": 1},
    ],
    "bnn_choice": [*({"Words": n} for n in (1, 2, 8, 9, 64, 65)), {"Width": 1, "Words": 3}],
    "bnn_replay": [{}, {"Passes": 1}, {"Words": 1, "Passes": 2}, {"Width": 1, "Words": 28, "Passes": 3}],
    "bnn_sum": [
        {},
        {"Terms": 1},
        {"Terms": 1, "TermWidth": 3, "Signed": 1},
        {"Terms": 784, "OutWidth": 10},
        {"Terms": 784, "OutWidth": 10, "Levels": 2},
        {"Terms": 5, "TermWidth": 8, "Signed": 1, "OutWidth": 11},
        {"Terms": 2, "TermWidth": 8, "OutWidth": 4},
    ],
    "bnn_count": [{}],
    "bnn_lut_pair": [{}],
    "bnn_matches": [{"Bits": n} for n in (2, 3, 5, 6, 64)],
    "bnn_popcount": [
        *({"Bits": n, "Weighted": w} for n in (1, 2, 3, 7, 784) for w in (0, 1)),
        *({"Bits": 64, "Weighted": w, "Levels": n} for w in (0, 1) for n in (2, 9)),
    ],
    "bnn_compressor": [*({"Bits": n} for n in (1, 2, 3, 4, 6, 7, 8, 64, 784)), {"Levels": 2}],
    "bnn_xnor_rom": [{}, {"Simd": 1, "Pe": 3, "Depth": 1}, {"Depth": 32}],
    "bnn_products": [
        {},
        {"Simd": 1, "OutWidth": 1},
        {"InKind": "unsigned", "InWidth": 8, "OutWidth": 12, "WeightWidth": 2},
        {"InKind": "signed", "InWidth": 8, "OutWidth": 12, "WeightWidth": 3},
        {"WeightWidth": 2},
    ],
    "bnn_accumulate": [{}, {"Words": 1}, {"Words": 1, "Started": 0}],
    "bnn_signs": [{}, {"Simd": 1, "InWidth": 1, "Signed": 1}, {"Simd": 5}],
    "bnn_beat": [{}, {"Beats": 1}],
    "bnn_ram": [{}, {"Width": 1, "Depth": 1}, *({"Width": 100, "Depth": 21, "Latency": n} for n in (1, 2))],
    "bnn_beat_rom": [
        {},
        {"Beats": 1, "File": "x.mem"},
        {"Beats": 9, "File": "x.mem"},
        {"Beats": 33, "Late": 1, "File": "x.mem"},
    ],
    "bnn_steps": [
        {},
        {"Lanes": 1, "Beats": 5, "ThresholdWidth": 9, "File": "x.mem", "FlipFile": "y.mem"},
        {"InKind": "bipolar", "InWidth": 1, "ThresholdWidth": 3},
        {"InKind": "signed", "Steps": 3, "OutWidth": 2, "ThresholdWidth": 1},
        {"OutKind": "signed"},
        {"Lanes": 1, "OutKind": "bipolar", "SelectWidth": 1},
        {"OutKind": "signed", "Beats": 3, "SelectWidth": 3, "Steps": 3, "OutWidth": 2},
        {"Steps": 31, "OutWidth": 5},
        {"InKind": "signed", "OutKind": "signed", "Beats": 3, "SelectWidth": 2, "Steps": 255, "OutWidth": 8},
    ],
    "bnn_search": [
        {},
        {"Levels": 1, "Width": 1, "ThresholdWidth": 1},
        {"Levels": 8, "Sets": 3, "Width": 12, "Signed": 1, "Lane": 63},
    ],
    "bnn_quantizer": [
        {},
        {"Lanes": 1, "InWidth": 1, "InKind": "bipolar", "OutKind": "signed", "Threshold": 2},
        {"InKind": "signed", "OutWidth": 3, "OutKind": "signed"},
        {"InKind": "signed", "InWidth": 32, "Threshold": -1},
        {"OutWidth": 8},
    ],
    "bnn_threshold": [
        {},
        {"Lanes": 1, "InWidth": 1, "ThresholdWidth": 1},
        {"Steps": 3, "OutWidth": 2, "OutKind": "signed"},
        {"Steps": 63, "OutWidth": 6, "SelectWidth": 1},
        {"SelectWidth": 2},
    ],
    "bnn_mvu": [
        {},
        {"Columns": 4, "Memory": "hardwired", "Pe": 2, "Steps": 1, "OutWidth": 1, "ThresholdWidth": 3},
        {"Columns": 1, "Rows": 1, "Simd": 1},
        {"InKind": "unsigned", "InWidth": 8, "AccWidth": 12, "OutWidth": 11, "Memory": "block"},
        {"InKind": "signed", "InWidth": 8, "WeightWidth": 3, "AccWidth": 14},
        {"WeightWidth": 4, "AccWidth": 7, "Steps": 3, "OutWidth": 2, "ThresholdWidth": 7},
        {"Steps": 1, "OutWidth": 1, "ThresholdWidth": 4, "SelectWidth": 1},
        {"Steps": 31, "OutWidth": 5, "OutKind": "signed", "ThresholdWidth": 4, "SelectWidth": 1},
        {"Columns": 4, "Pe": 2, "Steps": 1, "OutWidth": 1, "ThresholdWidth": 3, "SelectWidth": 2},
        {"Pe": 2, "Steps": 1, "OutWidth": 1, "OutKind": "bipolar"},
        {"Pe": 2, "Steps": 1, "OutWidth": 1, "StartFile": "x.mem", "FlipFile": "y.mem"},
        {"InKind": "unsigned", "InWidth": 8, "AccWidth": 12, "Steps": 1, "OutWidth": 1},
        {"InKind": "signed", "InWidth": 1, "Columns": 5, "Simd": 5, "AccWidth": 4},
        {
            "InKind": "signed",
            "InWidth": 4,
            "WeightWidth": 3,
            "AccWidth": 9,
            "Steps": 1,
            "OutWidth": 1,
            "OutKind": "signed",
        },
    ],
    "bnn_affine": [
        {},
        {"Lanes": 1, "Beats": 3, "InKind": "bipolar", "InWidth": 1, "FactorWidth": 7, "OutWidth": 9},
        {"FactorWidth": 0, "Shift": 4, "InKind": "unsigned"},
        {"InWidth": 4, "FactorWidth": 1, "OutWidth": 1},
        {"InWidth": 16, "FactorWidth": 30, "OutWidth": 46},
    ],
    "bnn_grouped": [
        {},
        {"Groups": 3, "Inputs": 4, "Outputs": 6, "Simd": 2, "Pe": 3, "AccWidth": 4},
        {"Groups": 1, "Pixels": 1, "Simd": 1, "Pe": 1, "AccWidth": 1},
        {
            "Inputs": 2,
            "Outputs": 3,
            "Simd": 4,
            "Pe": 6,
            "InKind": "signed",
            "InWidth": 4,
            "WeightWidth": 3,
            "AccWidth": 11,
            "Steps": 3,
            "OutWidth": 2,
            "ThresholdWidth": 11,
            "Memory": "block",
        },
        {
            "InKind": "unsigned",
            "InWidth": 8,
            "WeightWidth": 8,
            "AccWidth": 18,
            "Steps": 31,
            "OutWidth": 5,
            "ThresholdWidth": 18,
        },
    ],
    "bnn_fork": [{}, {"Width": 1, "Outputs": 1}, {"Outputs": 5}],
    "bnn_join": [{}, {"Inputs": 1, "Width": 1}, {"Inputs": 3, "Width": 7}],
    "bnn_value": [{}, {"Width": 1, "Kind": "bipolar", "OutWidth": 2}, {"Kind": "unsigned", "OutWidth": 4}],
    "bnn_add": [
        {},
        {"Lanes": 1, "AWidth": 1, "AKind": "bipolar", "BWidth": 1, "BKind": "unsigned", "OutWidth": 3},
        {"AKind": "unsigned", "BKind": "unsigned", "BWidth": 2},
    ],
    "bnn_concat": [{}, {"Width": 1, "Inputs": 1}, {"Inputs": 3}],
    "bnn_argmax": [{}, {"Lanes": 1}, {"Lanes": 5, "Signed": 0}],
    "bnn_label_select": [{}, {"Elements": 1, "OutWidth": 1}, {"Lanes": 5, "Signed": 0, "InWidth": 1}],
    "bnn_width_converter": [{"Ratio": r, "Up": u, "Narrow": n} for r in (1, 3) for u in (0, 1) for n in (1, 4)],
    "bnn_raster": [{}, {"Words": 3, "Columns": 1, "Rows": 4}, {"Words": 2, "Columns": 5, "Rows": 8}],
    "bnn_window": [
        {},
        {"Width": 1, "Words": 3, "KernelRows": 1, "KernelColumns": 1},
        {"Rows": 3, "Columns": 3},  # one window
        {"Rows": 1, "Columns": 40, "KernelRows": 1, "KernelColumns": 5, "StrideColumns": 2, "DilationColumns": 3},
        {"Rows": 9, "Columns": 7, "StrideRows": 4, "StrideColumns": 3, "KernelRows": 2, "DilationRows": 2},
    ],
    "bnn_window_parallel": [
        {},
        {"Width": 1, "KernelRows": 1, "KernelColumns": 1},
        {"Rows": 3, "Columns": 3},
        {"Rows": 1, "Columns": 40, "KernelRows": 1, "KernelColumns": 5, "StrideColumns": 2, "DilationColumns": 3},
        {"Rows": 9, "Columns": 7, "StrideRows": 4, "StrideColumns": 3, "KernelRows": 2},
    ],
    "bnn_pad": [
        {},
        {"Top": 0, "Left": 0, "Bottom": 0, "Right": 0, "Rows": 1, "Columns": 1},
        {"Width": 6, "Lanes": 3, "Words": 5, "Value": 2},
        {"Width": 1, "Rows": 1, "Top": 0, "Bottom": 0, "Left": 3},
    ],
    "bnn_reduce": [
        {},
        {"Rows": 5, "Columns": 7, "KernelRows": 3, "KernelColumns": 2, "Words": 3, "Lanes": 1},
        {"InWidth": 4, "InKind": "signed", "OutWidth": 4, "Lanes": 1, "KernelRows": 1, "KernelColumns": 1},
        {"InWidth": 3, "InKind": "unsigned", "OutWidth": 7, "Operation": "sum", "KernelRows": 4, "KernelColumns": 4},
    ],
    "bnn_last": [{}, {"Beats": 7}],
    "bnn_registers": [{}],
    "bnn_uart": [{}, {"Divider": 4}, {"Divider": 217}],
    "bnn_uart_host": [{}, {"InBytes": 16, "InBeats": 49, "OutBytes": 3, "OutBeats": 5}, {"InBeats": 1}],
    "bnn_host": [{}, {"WordWidth": 64, "InRatio": 1, "OutRatio": 4, "OutWords": 8}],
}

ILLEGAL: list[tuple[str, dict[str, Any], str]] = [
    ("bnn_fifo", {"Depth": 1}, "Width 8, Depth 1: a FIFO holds at least 2 beats of at least 1 bit"),
    ("bnn_credit_fifo", {"Interval": 0}, "Interval 0: at least 1 cycle lies between launches"),
    ("bnn_rom", {"Latency": 3}, "Latency 3: a ROM has 0 (logic), 1 (registered) or 2 (block RAM)"),
    (
        "bnn_rom",
        {"BankDepth": 1},
        "BankDepth 1, Depth 2, Latency 0: the depth, or a power of two below it",
    ),
    ("bnn_rom", {"Latency": 2, "Depth": 9, "BankDepth": 3}, "BankDepth 3, Depth 9, Latency 2: the depth, or a power"),
    ("bnn_rom", {"Latency": 2, "BankDepth": 4}, "BankDepth 4, Depth 2, Latency 2: the depth, or a power of two below"),
    ("bnn_ram", {"Latency": 3}, "Latency 3: 1 or 2"),
    ("bnn_rom", {"BlockWidth": 9}, "BlockWidth 9, Width 8: bits of a word in block RAM"),
    ("bnn_products", {"InKind": "signed"}, "InKind signed, WeightWidth 1: weights of one bit need a bipolar input"),
    ("bnn_replay", {"Words": 0}, "Width 8, Words 0, Passes 2: each is at least 1"),
    ("bnn_sum", {"OutWidth": 0}, "Terms 8, TermWidth 1, OutWidth 0, Levels 1: each is at least 1"),
    (
        "bnn_steps",
        {"Steps": 3},
        "Lanes 2, Beats 1, Steps 3, OutWidth 1: each is at least 1 and OutWidth counts to Steps",
    ),
    ("bnn_steps", {"Steps": 30, "OutWidth": 5}, "Steps 30: more than 15 are one less than a power of two"),
    (
        "bnn_search",
        {"Levels": 0},
        "Levels 0, Sets 1, ThresholdWidth 8, Width 8: a level and a set, and thresholds",
    ),
    ("bnn_steps", {"InKind": "float"}, "Kind float, Width 8: bipolar (1 bit), unsigned or signed"),
    ("bnn_steps", {"OutKind": "float"}, "OutKind float, OutWidth 1: bipolar (1 bit), unsigned or signed"),
    (
        "bnn_quantizer",
        {"InWidth": 3, "OutWidth": 4},
        "Lanes 2, InWidth 3, OutWidth 4: each is at least 1, and an output",
    ),
    ("bnn_mvu", {"Simd": 3}, "Columns 8, Simd 3, Rows 2, Pe 1: Simd divides Columns and Pe divides Rows"),
    ("bnn_mvu", {"Memory": "hardwired"}, "Memory hardwired: lut, block, or hardwired at a fold of 1"),
    (
        "bnn_label_select",
        {"OutWidth": 3},
        "Elements 10, Lanes 1, OutWidth 3: Lanes divides Elements and OutWidth holds",
    ),
    ("bnn_grouped", {"Pe": 1}, "Groups 4 of Inputs 1 and Outputs 1, Simd 2, Pe 1: whole groups, or a part of one"),
    (
        "bnn_grouped",
        {"InKind": "signed"},
        "WeightWidth 1, InKind signed, Memory lut: weights of 1 bit need bipolar data",
    ),
    ("bnn_affine", {"Beats": 0}, "Lanes 2, Beats 0, InWidth 8, OutWidth 12: each is at least 1"),
    ("bnn_width_converter", {"Ratio": 0}, "Narrow 4, Ratio 0: each is at least 1"),
    ("bnn_last", {"Beats": 0}, "Beats 0: a frame has at least 1"),
    ("bnn_uart", {"Divider": 3}, "Divider 3: a bit has at least 4 cycles"),
    ("bnn_host", {"InRatio": 3}, "WordWidth 32, InWords 4, InRatio 3, OutWords 1, OutRatio 1: a word has whole bytes"),
    ("bnn_raster", {"Columns": 0}, "Words 1, Columns 0, Rows 1: each is at least 1"),
    ("bnn_window", {"KernelRows": 9}, "a window of 9 x 3 pixels does not lie in an image of 8 x 8"),
    ("bnn_window_parallel", {"DilationColumns": 4}, "a window of 3 x 9 pixels does not lie in an image of 8 x 8"),
    ("bnn_pad", {"Width": 3, "Lanes": 2}, "Width 3, Lanes 2, Rows 4, Columns 4: Lanes divides Width and an image has"),
    ("bnn_reduce", {"KernelRows": 5}, "KernelRows 5, KernelColumns 2, Rows 4, Columns 4: a block lies in the image"),
    ("bnn_fork", {"Outputs": 0}, "Width 8, Outputs 0: each is at least 1"),
    ("bnn_join", {"Inputs": 9}, "Inputs 9, Width 8: each stream has a bit"),
    ("bnn_value", {"Kind": "bipolar"}, "Kind bipolar, Width 4: bipolar (1 bit), unsigned or signed"),
    ("bnn_add", {"AWidth": 0}, "Lanes 2, AWidth 0, BWidth 4: each is at least 1"),
    ("bnn_reduce", {"Operation": "mean"}, "Operation mean: max or sum"),
]


# Verilator 5.48 takes the output of a module that instantiates itself for undriven where it is the top: they get a top.
RECURSIVE = {
    "bnn_sum": """module bnn_sum_top #(
      parameter int unsigned Terms = 8, TermWidth = 1, OutWidth = 4, Levels = 1, parameter bit Signed = 0
    ) (input logic clk_i, input logic [Terms*TermWidth-1:0] data_i, output logic [OutWidth-1:0] data_o);
      bnn_sum #(.Terms(Terms), .TermWidth(TermWidth), .Signed(Signed), .OutWidth(OutWidth), .Levels(Levels))
        u (.*);
    endmodule""",
    "bnn_compressor": """module bnn_compressor_top #(
      parameter int unsigned Bits = 64, Levels = 1, localparam int unsigned OutWidth = $clog2(Bits + 1)
    ) (input logic clk_i, input logic [Bits-1:0] data_i, output logic [OutWidth-1:0] data_o);
      bnn_compressor #(.Heights(bnn_pkg::heights_t'(Bits)), .OutWidth(OutWidth), .Levels(Levels)) u (.*);
    endmodule""",
    "bnn_choice": """module bnn_choice_top #(
      parameter int unsigned Width = 8, Words = 2, localparam int unsigned IndexWidth = bnn_pkg::index_width(Words)
    ) (input logic clk_i, input logic [IndexWidth-1:0] index_i, input logic [Words*Width-1:0] data_i,
       output logic [Width-1:0] data_o);
      bnn_choice #(.Width(Width), .Words(Words)) u (.*);
    endmodule""",
    "bnn_argmax": """module bnn_argmax_top #(
      parameter int unsigned Lanes = 4, Width = 8, IndexWidth = 2, parameter bit Signed = 1
    ) (input logic clk_i, input logic [Lanes*Width-1:0] value_i, input logic [Lanes*IndexWidth-1:0] index_i,
       output logic [Width-1:0] value_o, output logic [IndexWidth-1:0] index_o);
      bnn_argmax #(.Lanes(Lanes), .Width(Width), .Signed(Signed), .IndexWidth(IndexWidth)) u (.*);
    endmodule""",
}


def lint(module: str, parameters: dict[str, Any], folder: Path) -> str:
    """What Verilator says of a module as its own top; nothing is what we want."""
    files, top = [*RTL.glob("*.vlt"), *modules_of(RTL.glob("*.sv"))], module
    if module in RECURSIVE:
        top = f"{module}_top"
        files.append(folder / f"{top}.sv")
        files[-1].write_text(RECURSIVE[module] + "\n")
    given = [f'-G{k}="{v}"' if isinstance(v, str) else f"-G{k}={v}" for k, v in parameters.items()]
    command: list[str | Path] = ["verilator", "--lint-only", "-Wall", "--quiet", "--top-module", top, *given, *files]
    ran = subprocess.run(command, env=toolchain.environment(), capture_output=True, text=True)
    return ran.stdout + ran.stderr


def test_every_module_is_listed_and_has_a_file() -> None:
    assert {*LEGAL, "bnn_pkg", "bnn_registers_pkg"} == {path.stem for path in RTL.glob("*.sv")}


@pytest.mark.parametrize("module", LEGAL)
def test_no_warning_at_the_corners(module: str, tmp_path: Path) -> None:
    assert {str(p): said for p in LEGAL[module] if (said := lint(module, p, tmp_path))} == {}


@pytest.mark.parametrize(("module", "parameters", "message"), ILLEGAL)
def test_illegal_parameters_fail_at_elaboration(
    module: str, parameters: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert message in lint(module, parameters, tmp_path)
