# SPDX-License-Identifier: Apache-2.0
"""Every module in simulation: small accelerators with the parameters' corners, all in one bench top, one build."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows import toolchain
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import design
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.folding.buffers import buffered
from adiabit.hw.stages import Memory
from adiabit.hw.stages.base import RTL
from tests.hw.rtl.chain import B, Chain, S, U

HERE = Path(__file__).parent


def designs() -> Iterator[Accelerator]:
    """The corners of each module, then whole networks."""
    yield Chain("threshold_u8", (12,), 8, U, 3).threshold(1, B).end()
    yield Chain("threshold_s4_steps", (5,), 4, S, 1).threshold(2, U).end()
    yield Chain("threshold_signed", (6,), 5, S, 2).threshold(3, S).end()
    yield Chain("threshold_signed_one", (3,), 2, U, 3).threshold(1, S).end()
    yield Chain("threshold_search", (12,), 8, U, 3).threshold(5, U).end()
    yield Chain("threshold_search_signed", (2, 6), 10, S, 2).threshold(8, S).end()
    yield Chain("threshold_search_uniform", (3, 4), 8, S, 2).threshold(6, U, uniform=True).end()
    yield Chain("threshold_search_narrow", (4,), 1, B, 4).threshold(5, U).end()  # most thresholds are equal
    yield Chain("threshold_bipolar", (2, 6), 1, B, 6).threshold(1, B).end()
    yield Chain("threshold_one", (1,), 3, U, 1).threshold(1, U).end()
    yield Chain("quantizer", (2, 6), 8, U, 3).threshold(1, B, uniform=True).end()
    yield Chain("quantizer_signed", (4,), 5, S, 2).threshold(1, S, uniform=True).end()
    yield Chain("quantizer_bipolar", (4,), 1, B, 4).threshold(1, U, uniform=True).end()
    yield Chain("quantizer_top", (6,), 8, U, 2).threshold(3, S, top=True).threshold(2, U, top=True).end()
    yield Chain("quantizer_all", (6,), 7, S, 6).threshold(7, U, top=True).end()

    yield Chain("xnor_63", (63,), 1, B, 9).mvu(6, 2).end()  # threshold 64 needs a bit more than the accumulator
    yield Chain("xnor_deep", (24,), 1, B, 2).mvu(12, 3, memory=Memory.LUT).end()
    yield Chain("xnor_block", (24,), 1, B, 2).mvu(12, 3, memory=Memory.BLOCK).end()
    yield Chain("xnor_split", (24,), 1, B, 2).mvu(12, 3, block_bits=4).end()
    yield Chain("xnor_banks", (410,), 1, B, 10).mvu(50, 1, block_bits=9).end()  # 2,050 words: two banks
    yield Chain("xnor_many_banks", (1476,), 1, B, 36).mvu(101, 1, memory=Memory.BLOCK).end()  # nine, in two levels
    yield Chain("xnor_registered", (24,), 1, B, 2).mvu(12, 3, block_bits=4, memory_register=True).end()
    yield Chain("grouped_registered", (2, 9 * 64), 4, U, 1).grouped(64, 2, 1, 9, weights=8, memory_register=True).end()
    yield Chain("multiply_split", (24,), 1, B, 2).mvu(18, 3, weights=3, block_bits=6).end()
    yield Chain("xnor_hardwired", (40,), 1, B, 40).mvu(5, 5, memory=Memory.HARDWIRED).end()
    yield Chain("xnor_one_lane", (3,), 1, B, 1).mvu(5, 1).end()
    yield Chain("xnor_one_word", (7,), 1, B, 7).mvu(6, 2).end()  # words of a vector: 1
    yield Chain("xnor_one_pass", (12,), 1, B, 3).mvu(5, 5).end()
    yield Chain("xnor_one", (1,), 1, B, 1).mvu(1, 1).end()
    yield Chain("xnor_steps", (16,), 1, B, 4).mvu(5, 1, out=(2, U)).end()
    yield Chain("xnor_search", (40,), 1, B, 8).mvu(6, 2, out=(5, S)).end()
    yield Chain("xnor_sums", (2, 31), 1, B, 31).mvu(4, 2, out=None, memory=Memory.BLOCK).end()  # 2 vectors a frame

    yield Chain("xnor_levels", (3, 62), 1, B, 31).mvu(4, 2, levels=2, memory=Memory.BLOCK).end()
    yield Chain("xnor_levels_hardwired", (90,), 1, B, 90).mvu(4, 4, memory=Memory.HARDWIRED, levels=3, out=None).end()
    yield Chain("mask_levels", (40,), 4, S, 20).mvu(6, 2, levels=2, out=(2, S)).end()
    yield Chain("multiply_levels", (40,), 3, U, 20).mvu(4, 2, weights=3, levels=2).end()

    yield Chain("grouped_levels", (2, 2 * 80), 1, B, 40).grouped(2, 3, 3, 2, levels=2, out=(2, U)).end()
    yield Chain("depthwise", (3, 9 * 6), 1, B, 2).grouped(6, 1, 2, 9).end()
    yield Chain("depthwise_parallel", (5, 4 * 3), 3, U, 3).grouped(3, 1, 3, 4, weights=4, out=(3, U)).end()
    yield Chain("depthwise_serial", (2, 4 * 3), 4, S, 1).grouped(3, 1, 1, 4, weights=3, out=None).end()
    yield Chain("depthwise_rows", (2, 4 * 3), 2, U, 1).grouped(3, 4, 2, 4, weights=1, inverted=True).end()
    yield Chain("grouped_whole", (3, 2 * 8), 2, U, 4).grouped(4, 3, 6, 2, weights=2, out=(6, S)).end()
    yield Chain("grouped_part", (3, 4 * 12), 1, B, 2).grouped(3, 4, 2, 4, out=None).end()
    yield Chain("grouped_one", (4, 6), 1, B, 3).grouped(1, 5, 1, 2, out=(2, U)).end()
    yield Chain("grouped_dense", (7, 6), 3, S, 6).grouped(2, 2, 4, 1, weights=3, out=(2, S)).end()  # a result a cycle
    yield Chain("grouped_block", (2, 9 * 64), 4, U, 1).grouped(64, 2, 1, 9, weights=8, out=(4, U)).end()

    yield Chain("mask_u8", (12,), 8, U, 4).mvu(6, 2).end()
    yield Chain("mvu_inverted", (2, 12), 1, B, 4).mvu(18, 2, inverted=True).end()  # nine beats
    yield Chain("mvu_inverted_late", (6,), 1, B, 3).mvu(40, 1, inverted=True).end()
    yield Chain("mask_s8_block", (12,), 8, S, 2).mvu(6, 3, memory=Memory.BLOCK, out=(2, U)).end()
    yield Chain("mask_signed", (12,), 4, S, 4).mvu(6, 2, out=(2, S)).mvu(4, 2, out=(1, S)).end()
    yield Chain("mask_s3_hardwired", (9,), 3, S, 9).mvu(5, 5, out=None).end()
    yield Chain("mask_u1", (10,), 1, U, 5).mvu(4, 2, out=None).end()
    yield Chain("multiply_u4", (8,), 4, U, 2).mvu(4, 2, weights=3).end()
    yield Chain("multiply_s5", (8,), 5, S, 8).mvu(4, 4, weights=4, out=None).end()
    yield Chain("multiply_bipolar", (8,), 1, B, 4).mvu(4, 1, weights=2, out=(1, U)).end()
    yield Chain("multiply_pruned", (8,), 1, B, 4).mvu(4, 1, weights=(-1, 0), out=None).end()  # fits one bit, is none
    yield Chain("multiply_zeros", (6,), 4, U, 3).mvu(2, 1, weights=(0,), out=None).end()
    yield Chain("multiply_s1", (8,), 1, S, 4).mvu(4, 2, weights=(0, 1), out=(2, U)).end()

    yield Chain("label_serial", (10,), 3, S, 1).label().end()  # few bits: many ties
    yield Chain("label_lanes", (15,), 2, U, 5).label().end()
    yield Chain("label_parallel", (10,), 2, S, 10).label().end()
    yield Chain("label_one", (1,), 4, U, 1).label().end()
    yield Chain("label_pixels", (3, 2, 6), 3, S, 3).label().end()
    yield Chain("label_pixels_parallel", (5, 4), 2, U, 4).label().end()  # a label a cycle
    yield Chain("label_bipolar", (2, 9), 1, B, 3).label().end()

    yield Chain("affine_signed", (12,), 5, S, 3).affine((-9, 9), 40).end()
    yield Chain("affine_unsigned", (2, 6), 3, U, 2).affine((-2, 5), 3000).end()
    yield Chain("affine_bipolar", (3, 4), 1, B, 4).affine((-7, 7), 5).end()
    yield Chain("affine_shift", (10,), 6, S, 1).affine(16, 15).end()
    yield Chain("affine_add", (5,), 4, U, 5).affine(1, 9).end()
    yield Chain("affine_wide", (6,), 16, S, 2).affine((-(1 << 29), 1 << 29), 1 << 40).label().end()
    yield Chain("affine_none", (4,), 3, S, 2).affine(0, 0).end()

    yield Chain("lanes_up", (12,), 3, U, 2).lanes(6).end()
    yield Chain("lanes_down", (12,), 3, U, 6).lanes(2).end()
    yield Chain("lanes_same", (4,), 2, S, 2).lanes(2).end()
    yield Chain("fifo_2", (3,), 5, U, 1).fifo(2).end()
    yield Chain("fifo_5", (3,), 5, U, 1).fifo(5).end()

    yield Chain("window_3x3", (5, 6, 4), 1, B, 2).window((3, 3)).end()
    yield Chain("window_block", (5, 6, 16), 8, U, 16).window((3, 3)).end()
    yield Chain("window_strided", (7, 9, 2), 3, S, 1).window((3, 2), stride=(2, 3)).end()
    yield Chain("window_dilated", (6, 7, 2), 1, B, 2).window((2, 3), dilation=(3, 2)).end()
    yield Chain("window_sparse", (5, 7, 2), 4, U, 1).window((1, 1), stride=(3, 4)).end()  # most beats are dropped
    yield Chain("window_sound", (1, 17, 3), 8, U, 3).window((1, 5), stride=(1, 2)).end()
    yield Chain("window_column", (6, 1, 2), 2, U, 2).window((4, 1)).end()
    yield Chain("window_whole", (3, 3, 2), 1, B, 1).window((3, 3)).end()  # one window a frame
    yield Chain("wide_3x3", (5, 6, 4), 1, B, 4).window((3, 3), parallel=True).end()
    yield Chain("wide_strided", (7, 9, 2), 3, S, 2).window((3, 2), parallel=True, stride=(2, 3)).end()
    yield Chain("wide_dilated", (6, 7, 1), 2, U, 1).window((2, 3), parallel=True, dilation=(3, 2)).end()
    yield Chain("wide_sound", (1, 17, 3), 8, U, 3).window((1, 5), parallel=True, stride=(1, 2)).end()
    yield Chain("wide_column", (6, 1, 2), 2, U, 2).window((4, 1), parallel=True).end()
    yield Chain("wide_whole", (3, 3, 2), 1, B, 2).window((3, 3), parallel=True).end()
    yield Chain("pad_unsigned", (3, 4, 4), 3, U, 2).pad((1, 0), (2, 1), 5).end()
    yield Chain("pad_bipolar", (3, 4, 4), 1, B, 2).pad((1, 0), (2, 1), -1).end()
    yield Chain("pad_signed", (1, 5, 2), 4, S, 2).pad((0, 2), (0, 0), -3).end()
    yield Chain("pool_bipolar", (5, 7, 4), 1, B, 2).pool((2, 3)).end()
    yield Chain("pool_signed", (4, 4, 1), 4, S, 1).pool((2, 2)).end()
    yield Chain("pool_unsigned", (1, 7, 2), 4, U, 2).pool((1, 3)).end()
    yield Chain("pool_dropped", (4, 7, 2), 4, U, 2).pool((2, 3)).end()  # the last column, at the place of the first
    yield Chain("pool_overlapping", (5, 7, 2), 1, B, 2).window((3, 3), stride=(2, 2), flat=True).pool((1, 9)).end()
    yield Chain("sum_bipolar", (3, 5, 4), 1, B, 2).total(4, U).end()
    yield Chain("sum_signed", (2, 3, 2), 3, S, 2).total(6, S).end()

    fork = Chain("fork_add", (6,), 3, S, 2)
    first, second = fork.fork()
    yield buffered(fork.at(first).add(second).end())
    fork = Chain("fork_three", (2, 2, 4), 1, B, 2)
    first, second, third = fork.fork(3)
    yield buffered(fork.at(first).concat(second, third).end())
    mixed = Chain("add_mixed", (8,), 1, B, 4)
    first, second = mixed.fork()
    yield buffered(mixed.at(first).mvu(8, 4, weights=3, out=None).add(second).end())
    concat = Chain("concat_uneven", (3, 4), 2, U, 2)
    first, second = concat.fork()
    counted = concat.at(second).mvu(6, 2, weights=2, out=(2, U)).here
    yield buffered(concat.at(first).concat(counted).end())
    concat = Chain("concat_pixels", (3, 4), 2, U, 4)
    first, second, third = concat.fork(3)
    late = concat.at(third).threshold(2, U).here
    yield buffered(concat.at(second).concat(first, late).end())
    chosen = Chain("select_threshold", (6,), 5, S, 2)
    first, second = chosen.fork()
    signs = chosen.at(second).threshold(1, B).here
    yield buffered(chosen.at(first).threshold(2, U, select=signs).end())
    chosen = Chain("select_signed", (4,), 2, S, 2)
    first, second = chosen.fork()
    yield buffered(chosen.at(first).threshold(2, S, select=second).end())
    chosen = Chain("select_mvu", (3, 8), 1, B, 2)
    first, second = chosen.fork()
    yield buffered(chosen.at(first).mvu(8, 2, select=second).end())
    chosen = Chain("select_search", (6,), 9, S, 2)
    first, second = chosen.fork()
    codes = chosen.at(second).threshold(2, S).here
    yield buffered(chosen.at(first).threshold(8, U, select=codes).end())
    chosen = Chain("select_mvu_search", (3, 8), 2, S, 4)
    first, second = chosen.fork()
    signs = chosen.at(second).threshold(1, B).lanes(1).here
    yield buffered(chosen.at(first).mvu(8, 1, select=signs, weights=3, out=(5, U)).end())
    chosen = Chain("select_mvu_pass", (3, 8), 1, B, 2)
    first, second = chosen.fork()
    second = chosen.at(second).lanes(8).here
    yield buffered(chosen.at(first).mvu(8, 8, select=second, out=(2, U)).end())
    chosen = Chain("select_mvu_word", (2, 6), 1, B, 6)
    first, second = chosen.fork()
    second = chosen.at(second).lanes(2).here
    yield buffered(chosen.at(first).mvu(6, 2, select=second).end())

    image = Chain("network", (32,), 8, U, 4).threshold(1, B).lanes(8).mvu(16, 4).lanes(2).fifo(4).mvu(8, 4)
    yield image.lanes(8).mvu(8, 8).lanes(4).mvu(6, 3, out=None).label().end()
    photo = Chain("network_image", (8, 7, 3), 8, U, 3).pad((1, 1), (1, 1), 0).window((3, 3)).mvu(8, 8).lanes(4)
    photo.pad((1, 1), (1, 1), -1).window((3, 3), stride=(1, 2)).mvu(6, 6).pool((2, 2)).window((2, 2))
    photo.mvu(4, 2).total(3, U).mvu(5, 1, out=None).label()
    yield photo.end()
    sound = Chain("network_sound", (1, 40, 2), 8, S, 2).window((1, 5), parallel=True, stride=(1, 2)).mvu(8, 4).lanes(8)
    sound.window((1, 3), parallel=True, dilation=(1, 2)).mvu(4, 4, flat=True).lanes(56)
    yield sound.mvu(3, 1, out=None).label().end()

    eight = Chain("network_8bit", (16,), 8, S, 2).mvu(12, 3, out=(2, U)).mvu(8, 2, weights=2)
    yield eight.mvu(5, 5, out=None).label().end()


def bench_top(tops: list[dict[str, Any]]) -> str:
    """All accelerators side by side, each with its own ends."""
    ports, instances = [], []
    for top in tops:
        name, s, m = top["top"], top["input"]["tdata_bits"], top["output"]["tdata_bits"]
        ends = {"s_axis_tdata": ("input", s), "s_axis_tvalid": ("input", 1), "s_axis_tready": ("output", 1),
                "m_axis_tdata": ("output", m), "m_axis_tvalid": ("output", 1), "m_axis_tready": ("input", 1),
                "m_axis_tlast": ("output", 1)}  # fmt: skip
        ports += [f"  {way} logic {f'[{n - 1}:0] ' * (n > 1)}{name}_{end}" for end, (way, n) in ends.items()]
        wires = "".join(f", .{end}({name}_{end})" for end in ends)
        instances.append(f"  {name} u_{name} (.clk_i, .rst_ni{wires});")
    # Inside, and 0 at first: as ports they would be random at time 0, and an assertion might see an edge without reset.
    clock = "  logic clk_i = 1'b0, rst_ni = 1'b0;\n"
    return "module bench (\n" + ",\n".join(ports) + "\n);\n" + clock + "\n".join(instances) + "\nendmodule\n"


Mutant = tuple[str, str, str]  # file, text in it, text instead


def emit_bench(
    folder: Path, names: Container[str] | None, emit: Callable[[Accelerator, Path], object] = emit_rtl.emit
) -> list[dict[str, Any]]:
    """Emit all accelerators, or those named, and the top of the bench into `rtl`; their descriptions."""
    (rtl := folder / "rtl").mkdir()
    tops = []
    for accelerator in designs():
        if names is None or accelerator.name in names:
            emit(accelerator, rtl)
            tops.append(json.loads((rtl / design.FILE).read_text()))
            (place := folder / "accelerators" / tops[-1]["top"]).mkdir(parents=True)
            storage.save(accelerator, place)
    (rtl / "bench.sv").write_text(bench_top(tops))
    return tops


def build(
    folder: Path,
    names: Container[str] | None = None,
    mutant: Mutant | None = None,
    emit: Callable[[Accelerator, Path], object] = emit_rtl.emit,
    warnings: str = "-Wall",
) -> Any:
    """Emit all accelerators, or those named, into one folder, and build one simulator of them."""
    from cocotb_tools.runner import get_runner

    rtl, tops = folder / "rtl", emit_bench(folder, names, emit)
    if mutant:
        file, old, new = mutant
        text = (rtl / file).read_text()
        assert text.count(old) == 1
        (rtl / file).write_text(text.replace(old, new))
    runner = get_runner("verilator")
    emitted = sorted({s for top in tops for s in top["sources"]}, key=_reading_order)
    runner.build(
        sources=[rtl / source for source in [*emitted, "bench.sv"]],
        hdl_toplevel="bench",
        build_dir=folder / "build",
        build_args=[warnings, "--assert", "--x-assign", "unique", "--x-initial", "unique", "-j", "2"],
        always=True,
    )
    return runner


def _reading_order(source: str) -> int:
    """Our modules in their order, then what instantiates them."""
    order = {path.name: n for n, path in enumerate(emit_rtl.modules_of(RTL.glob("*.sv")))}
    return order.get(source, len(order))


def simulate(runner: Any, folder: Path, seed: int) -> list[str]:
    """Run the bench; the cocotb tests that failed. `seed` is of what registers hold before the reset."""
    results = folder / f"results{seed}.xml"
    with contextlib.suppress(SystemExit):  # of the runner, where a test fails
        runner.test(
            test_module="bench_accelerators",
            hdl_toplevel="bench",
            build_dir=folder / "build",
            test_dir=folder / "rtl",
            results_xml=str(results),
            extra_env={"ACCELERATORS": str(folder / "accelerators")},
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"],
            log_file=folder / f"run{seed}.log",
        )
    cases = list(ET.parse(results).getroot().iter("testcase"))  # noqa: S314  # written by our own run
    assert cases
    return [c.attrib["name"] for c in cases if c.find("failure") is not None or c.find("error") is not None]


@pytest.fixture(scope="module")
def tool_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in toolchain.environment().items():
            patch.setenv(key, value)
        patch.setenv("MAKEFLAGS", os.environ["MAKEFLAGS"] + " OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0")
        patch.setattr(sys, "path", [str(HERE), *sys.path])  # the runner hands it to the simulator's Python
        yield


@pytest.mark.parametrize("half", [0, 1])  # two workers share it
def test_modules_and_networks_equal_the_golden_model(half: int, tmp_path: Path, tool_environment: None) -> None:
    runner = build(tmp_path, [accelerator.name for accelerator in designs()][half::2])
    assert [simulate(runner, tmp_path, seed) for seed in (1, 2)] == [[], []]


MUTANTS: dict[str, tuple[str, Mutant]] = {
    "compare": ("xnor_one_word", ("bnn_steps.sv", "value[l] >= Width'(thr", "value[l] > Width'(thr")),
    "signed compare": ("threshold_signed", ("bnn_steps.sv", "$signed(value[l]) >= W", "$signed(value[l]) > W")),
    "compare of a search": ("threshold_search", ("bnn_search.sv", "value_q >= Width'(thr", "value_q > Width'(thr")),
    "signed search": ("threshold_search_signed", ("bnn_search.sv", "Width'($signed(threshold))", "Width'(threshold)")),
    "other set": ("select_search", ("bnn_steps.sv", "SetWidth'({beat, select_i", "SetWidth'({unused_ahead, select_i")),
    "quantizer": ("quantizer", ("bnn_quantizer.sv", ">= 33'(Thr", "> 33'(Thr")),
    "top bits of signed": ("quantizer_all", ("bnn_quantizer.sv", "-:OutWidth] ^ First", "-:OutWidth] | First")),
    "held quantizer": ("quantizer", ("bnn_quantizer.sv", "if (ready_o) data_o", "data_o")),
    "unsigned count": ("threshold_signed", ("bnn_steps.sv", "count[l] ^ Least", "count[l] | Least")),
    "stuck weight bit": ("xnor_sums", ("bnn_rom.sv", "out_q  <= word_q;", "out_q  <= word_q & ~BlockWidth'(1);")),
    "another bank": ("xnor_banks", ("bnn_choice.sv", "Bits'(index_i[Within", "~Bits'(index_i[Within")),
    "another group of banks": ("xnor_many_banks", ("bnn_choice.sv", "(index_i >> Bits)", "(0)")),
    "early bank": ("xnor_banks", ("bnn_rom.sv", ".Stages(2),", ".Stages(1),")),
    "sum of the last window": ("depthwise", ("bnn_grouped.sv", "(sum_first ? '0 : so_far[p])", "so_far[p]")),
    "held beat": ("depthwise_rows", ("bnn_grouped.sv", "fresh ? data_i : beat_q", "data_i")),
    "other group": ("grouped_whole", ("bnn_grouped.sv", "delayed[p*Whole/Pe]", "delayed[0]")),
    "place of the last": ("grouped_part", ("bnn_grouped.sv", "start_q <= last_fold ? '0 : ", "start_q <= ")),
    "unsigned factor": ("affine_signed", ("bnn_affine.sv", "$signed(words[l][F", "(words[l][F")),
    "early constants": ("affine_signed", ("bnn_beat_rom.sv", "? ahead : beat", "? beat : ahead")),
    "unfilled": ("xnor_banks", ("bnn_beat_rom.sv", "next_i || !filled_q[1]", "next_i")),
    "a beat late": ("xnor_banks", ("bnn_beat_rom.sv", ".read_i(step)", ".read_i(1'b1)")),
    "start of another pass": ("mask_u8", ("bnn_mvu.sv", ".next_i(sum_valid && sum_last)", ".next_i(sum_valid)")),
    "start at 0": ("mask_u8", ("bnn_accumulate.sv", "first_i ? start_i", "first_i ? '0")),
    "no complement": ("mask_u8", ("bnn_mvu.sv", " ^ {TermWidth{!signs[3*t]}}", "")),
    "sign of the second": ("mask_u8", ("bnn_signs.sv", "n[1] ? value[2]", "n[0] ? value[2]")),
    "flip of another pass": ("mvu_inverted", ("bnn_mvu.sv", ".next_i(acc_valid)", ".next_i(sum_valid)")),
    "late addend": ("affine_shift", ("bnn_affine.sv", " + addend_q", " + words[l][FactorWidth+:OutWidth]")),
    "label of the frame": ("label_pixels", ("bnn_label_select.sv", "base_q <= last ? '0 :", "base_q <= '0 + ")),
    "tie": ("label_lanes", ("bnn_label_select.sv", "value > best_q;", "value >= best_q;")),
    "tie in a beat": ("label_parallel", ("bnn_argmax.sv", "$signed(value_i[High]) > ", "$signed(value_i[High]) >= ")),
    "unheld beat": ("fifo_2", ("bnn_fifo.sv", "if (load) data_o <=", "data_o <=")),
    "XOR": ("xnor_63", ("bnn_xnor_rom.sv", "~^ words", "^ words")),
    "late popcount": ("xnor_63", ("bnn_popcount.sv", "Levels) - Latency)", "Levels) - Latency + 1)")),
    "level without register": ("xnor_levels", ("bnn_products.sv", "      .Levels  (Levels)\n", "      .Levels  (1)\n")),
    "unheld word": ("window_block", ("bnn_ram.sv", "if (word_ready) data_o <=", "data_o <=")),
    "word overwritten": ("xnor_63", ("bnn_ram.sv", "load_o = word_ready ||", "load_o = 1'b1 ||")),
    "no ping-pong": ("network", ("bnn_replay.sv", "-count_t'(2 * Words);", "-count_t'(Words);")),
    "too few credits": ("xnor_one_word", ("bnn_credit_fifo.sv", "ceil_div(Latency + 2,", "ceil_div(Latency,")),
    "sum carried over": ("xnor_63", ("bnn_accumulate.sv", "first_i ? start_i : data_o", "data_o")),
    "pass not reset": ("xnor_63", ("bnn_replay.sv", "        pass_q       <= '0;\n", "")),
    "early window": ("window_3x3", ("bnn_window.sv", "load && missing_q < 0", "load && missing_q <= 0")),
    "small ring": ("window_strided", ("bnn_window.sv", "$clog2(Span + Largest)", "$clog2(Span) - 1")),
    "no drop": ("window_sparse", ("bnn_window.sv", "NextGrid : NextFrame", "NextGrid : NextGrid")),
    "ragged stride": ("wide_strided", ("bnn_window_parallel.sv", "if (last_column) step_x_q <= '0;\n        else", "")),
    "one pad short": ("pad_bipolar", ("bnn_pad.sv", "32'(row) < Top + Rows", "32'(row) <= Top + Rows")),
    "stale block": ("pool_bipolar", ("bnn_reduce.sv", "in_column_q == '0 && in_row_q == '0", "in_row_q == '0")),
    "result of a dropped beat": ("pool_dropped", ("bnn_reduce.sv", "in_block_q && place_q ==", "place_q ==")),
    "stale result": ("pool_unsigned", ("bnn_reduce.sv", "place_q == written_q ? now :", "place_q != place_q ? now :")),
    "one reader": ("add_mixed", ("bnn_fork.sv", "assign ready_o = &free;", "assign ready_o = |free;")),
    "beat twice": ("fork_three", ("bnn_fork.sv", "(free[o]) valid_o[o] <= take;", "(take) valid_o[o] <= 1'b1;")),
    "one of the pixels": ("concat_pixels", ("bnn_join.sv", "= &valid_i;", "= |valid_i;")),
    "unsigned addend": ("add_mixed", ("bnn_value.sv", "OutWidth'($signed(data_i))", "OutWidth'(data_i)")),
    "one addend": ("add_mixed", ("bnn_add.sv", "= &valid_i;", "= valid_i[1];")),
    "one stream": ("concat_uneven", ("bnn_concat.sv", "StreamWidth'(Inputs - 1) ? '0", "'0 ? '0")),
    "one set": ("select_threshold", ("bnn_steps.sv", "[select_i[l*SelectWidth+:SelectWidth]]", "[0]")),
    "early selector": ("select_mvu", ("bnn_mvu.sv", "(AccLatency),\n      .Reset", "(AccLatency - 1),\n      .Reset")),
    "selector left": ("select_mvu_pass", ("bnn_mvu.sv", "= word_valid && (room || !first_q) && last_q;", "= 1'b0;")),
    "early TLAST": ("fifo_5", ("bnn_last.sv", "BeatWidth'(Beats - 1);", "BeatWidth'(Beats - 2);")),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("what", MUTANTS)
def test_a_fault_is_found(what: str, tmp_path: Path, tool_environment: None) -> None:
    """The bench is worth its name: each of these one-line faults makes it fail."""
    name, mutant = MUTANTS[what]
    runner = build(tmp_path, {name}, mutant)
    try:
        found = simulate(runner, tmp_path, 1) != []
    except RuntimeError:  # the simulator stopped: an assertion in the RTL
        found = "Assertion failed" in (tmp_path / "run1.log").read_text()
    assert found
