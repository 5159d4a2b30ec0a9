# SPDX-License-Identifier: Apache-2.0
"""Yosys reads every module as it is and maps it: one emitted network that uses them all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from adiabit.hw import emit_rtl
from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Stream,
    Threshold,
    WidthConverter,
)

# A program of its own: pyosys prints much, and a crash of it must not take us along.
SCRIPT = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in (
    f"read_slang --keep-hierarchy --top net {' '.join(sys.argv[1:])}",
    "tee -q -o read.json stat -json",
    "synth_xilinx -flatten -noiopad -noclkbuf -top net",
    "check -assert", "select -assert-none t:LDCE t:LDPE",  # no loop, no undriven or doubly driven wire, no latch
    "tee -q -o mapped.json stat -json",
):
    ys.run_pass(command, design)
"""


def bits(name: str, channels: int, lanes: int) -> Stream:
    return Stream(name=name, shape=(channels,), bits=1, kind=Kind.BIPOLAR, lanes=lanes)


def network() -> Accelerator:
    rng = np.random.default_rng(0)
    x = Stream(name="x", shape=(32,), bits=3, kind=Kind.UNSIGNED, lanes=4)
    a, b, c, d, e = bits("a", 32, 4), bits("b", 16, 2), bits("c", 16, 4), bits("d", 12, 3), bits("e", 12, 3)
    sums = Stream(name="sums", shape=(4,), bits=4, kind=Kind.UNSIGNED, lanes=4)
    label = Stream(name="label", shape=(1,), bits=2, kind=Kind.UNSIGNED, lanes=1)

    def weights(rows: int, columns: int) -> np.ndarray:
        return rng.choice([-1, 1], (rows, columns))

    return Accelerator(
        name="net",
        stages=(
            Threshold(name="t", inputs=(x,), outputs=(a,), thresholds=rng.integers(0, 9, (32, 1))),
            MatrixVector(
                name="deep", inputs=(a,), outputs=(b,), weights=weights(16, 32), memory=Memory.LUT,
                thresholds=rng.integers(10, 22, (16, 1)),
            ),
            WidthConverter(name="w", inputs=(b,), outputs=(c,)),
            MatrixVector(
                name="block", inputs=(c,), outputs=(d,), weights=weights(12, 16), memory=Memory.BLOCK,
                thresholds=rng.integers(5, 12, (12, 1)),
            ),
            Fifo(name="f", inputs=(d,), outputs=(e,), depth=8),
            MatrixVector(name="last", inputs=(e,), outputs=(sums,), weights=weights(4, 12), memory=Memory.LUT),
            LabelSelect(name="l", inputs=(sums,), outputs=(label,)),
        ),
    )  # fmt: skip


def test_a_network_of_every_module_is_synthesized(tmp_path: Path) -> None:
    emit_rtl.emit(network(), tmp_path)
    sources = json.loads((tmp_path / emit_rtl.DESIGN).read_text())["sources"]
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *sources], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    read = json.loads((tmp_path / "read.json").read_text())["modules"]
    assert {name.removeprefix("\\").split("$")[0] for name in read} == {*emit_rtl.MODULES, "net"} - {"bnn_pkg"}
    mapped = json.loads((tmp_path / "mapped.json").read_text())["modules"]
    cells = Counter[str]()
    for module in mapped.values():
        cells.update(module["num_cells_by_type"])
    assert cells["RAMB18E1"] == 1  # the memory of `block`, and nothing else
    deep = [m["num_cells_by_type"] for name, m in mapped.items() if "bnn_lut_rom" in name]
    assert deep == [{"FDRE": 8, "LUT6": 8}]  # 64 words of 4 * 2 weights: a LUT6 a bit
