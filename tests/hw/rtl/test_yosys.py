# SPDX-License-Identifier: Apache-2.0
"""Yosys reads every module as it is and maps it: one emitted network that uses them all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import ip as emit_ip
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.emit import wrapper
from adiabit.hw.emit.design import FILE
from adiabit.hw.folding.buffers import buffered
from adiabit.hw.stages import Fifo, Kind, LabelSelect, MatrixVector, Memory, Stream, Threshold, WidthConverter
from tests.hw.rtl.chain import B, Chain, S, U

# A program of its own: pyosys prints much, and a crash of it must not take us along.
SCRIPT = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in (
    f"read_slang --keep-hierarchy --top {sys.argv[1]} {' '.join(sys.argv[2:])}",
    "tee -q -o read.json stat -json",
    f"synth_xilinx -flatten -noiopad -noclkbuf -top {sys.argv[1]}",
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


def images() -> Accelerator:
    """A pad, windows of both kinds, a pool and a sum."""
    chain = Chain("net", (10, 9, 4), 8, U, 2).pad((1, 1), (1, 1), 0).window((3, 3)).mvu(8, 4, memory=Memory.LUT)
    chain.grouped(4, 2, 4)
    chain.pool((2, 2)).lanes(8).window((2, 2), parallel=True).mvu(6, 3, memory=Memory.LUT).total(4, U)
    return chain.mvu(3, 1, out=None, memory=Memory.LUT).label().end()


def graph() -> Accelerator:
    """Forks, a sum, both concatenations and thresholds that a shortcut chooses."""
    chain = Chain("net", (3, 4, 4), 1, B, 4)
    first, second, third = chain.fork(3)
    sums = chain.at(first).mvu(4, 2, out=None, memory=Memory.LUT).lanes(4).here
    pixels = chain.at(second).concat(third).lanes(4).mvu(4, 4, memory=Memory.LUT).here
    total, shortcut = chain.at(sums).add(pixels).threshold(5, S).threshold(1, B).lanes(2).fork()
    more = (
        chain.at(total).affine((-3, 4), 9).threshold(1, B, uniform=True).mvu(4, 2, select=shortcut, memory=Memory.LUT)
    )
    first, second = more.fork()
    return buffered(chain.at(first).concat(second).mvu(3, 1, out=None, flat=True, memory=Memory.LUT).label().end())


def synthesized(
    accelerator: Accelerator, folder: Path, *, core: bool = False
) -> tuple[set[str], dict[str, dict[str, int]]]:
    """Modules that Yosys read of an accelerator, or of its core for a host, and the cells of each that it kept."""
    (emit_ip if core else emit_rtl).emit(accelerator, folder)
    design = json.loads((folder / (wrapper.IP if core else FILE)).read_text())
    command = [sys.executable, "-c", SCRIPT, design["top"], *design["sources"]]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-2000:]
    read = json.loads((folder / "read.json").read_text())["modules"]
    mapped = json.loads((folder / "mapped.json").read_text())["modules"]
    modules = {name.removeprefix("\\").split("$")[0] for name in read}
    return modules, {name: module["num_cells_by_type"] for name, module in mapped.items()}


HOST = {"bnn_host", "bnn_registers", "bnn_registers_pkg"}
GRAPHS = {"bnn_quantizer", "bnn_affine", "bnn_search", "bnn_fork", "bnn_add", "bnn_concat", "bnn_join"}
DENSE = {
    "bnn_fifo", "bnn_credit_fifo", "bnn_delay", "bnn_lut_rom", "bnn_rom", "bnn_replay", "bnn_sum", "bnn_products",
    "bnn_xnor_rom", "bnn_popcount",
    "bnn_accumulate", "bnn_steps", "bnn_threshold", "bnn_mvu", "bnn_argmax", "bnn_label_select", "bnn_width_converter",
    "bnn_last", "bnn_value", "bnn_beat", "bnn_beat_rom", "bnn_ram",
}  # fmt: skip
IMAGES = {"bnn_signs", "bnn_grouped", "bnn_pad", "bnn_raster", "bnn_reduce", "bnn_window", "bnn_window_parallel"}


def test_a_network_of_every_dense_module_is_synthesized(tmp_path: Path) -> None:
    read, mapped = synthesized(network(), tmp_path)
    assert read == {*DENSE, "net"}
    cells = Counter[str]()
    for module in mapped.values():
        cells.update(module)
    assert cells["RAMB18E1"] == 1  # the memory of `block`, and nothing else
    deep = [found for name, found in mapped.items() if "bnn_lut_rom" in name]
    assert deep == [{"FDRE": 8, "LUT6": 8}]  # 64 words of 4 * 2 weights: a LUT6 a bit


def test_a_network_of_every_module_of_images_is_synthesized(tmp_path: Path) -> None:
    read, mapped = synthesized(images(), tmp_path)
    assert read >= IMAGES
    cells = Counter[str]()
    for module in mapped.values():
        cells.update(module)
    assert min(cells["RAM32M"], cells["RAM64M"]) > 0  # rings and rows are small memories, not flip-flops
    assert not any(cell.startswith("RAMB") for cell in cells)


def test_a_network_of_every_module_of_graphs_is_synthesized(tmp_path: Path) -> None:
    read, _ = synthesized(graph(), tmp_path)
    assert read >= GRAPHS


def test_the_core_for_a_host_is_synthesized(tmp_path: Path) -> None:
    read, mapped = synthesized(network(), tmp_path, core=True)
    assert read >= HOST - {"bnn_registers_pkg"}
    cells = Counter[str]()
    for module in mapped.values():
        cells.update(module)
    assert cells["FDRE"] > 6 * 32  # the counters
