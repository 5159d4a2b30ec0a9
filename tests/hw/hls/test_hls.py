# SPDX-License-Identifier: Apache-2.0
"""Every stage of the HLS library in C simulation, at the corners of the RTL's tests, under the sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adiabit.flows.simulate import program
from adiabit.flows.simulate.compare import compare
from adiabit.flows.simulate.runs import Span
from adiabit.flows.toolchain import ToolError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls
from tests.hw.hls.flock import simulate
from tests.hw.rtl.chain import some_frames
from tests.hw.rtl.test_rtl import designs

DESIGNS = {accelerator.name: accelerator for accelerator in designs()}
# ap_int shifts negative numbers to the left, which C++20 defines and C++17 does not.
SANITIZERS = ("-std=c++20", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def differs(accelerator: Accelerator, folder: Path, sources: Path | None = None) -> str:
    """What the first difference is; nothing where every beat of every stream is the golden model's."""
    if sources is None:
        (sources := folder / "hls").mkdir()
        emit_hls.emit(accelerator, sources, part="xc7z020clg400-1", clock_mhz=100.0)
    frames = some_frames(accelerator.input, np.random.default_rng(0), 20)
    compiled = program.build(accelerator, sources, folder, folder / "log", SANITIZERS)
    result = compiled.run(accelerator, frames, Span(end=len(frames)), folder)
    compared = compare(accelerator, frames, result, "HLS")
    assert compared.equal.all() == (compared.difference is None)
    return compared.difference.describe(0) if compared.difference else ""


def test_stages_and_networks_equal_the_golden_model(tmp_path: Path) -> None:
    found = simulate(list(DESIGNS.values()), tmp_path, frames=20, flags=SANITIZERS)
    assert {name: stream for name, stream in zip(DESIGNS, found, strict=True) if stream} == {}


MUTANTS = {  # design, header, text in it, text instead: each a fault of one line that the comparison must find
    "compare": ("xnor_63", "bnn_threshold.hpp", "if (number >= ", "if (number > "),
    "compare of a search": ("threshold_search", "bnn_threshold.hpp", "+ (number >= ", "+ (number > "),
    "other set": ("select_search", "bnn_threshold.hpp", "* Codes + code;", "* Codes + 0 * code;"),
    "unsigned count": ("threshold_signed", "bnn_threshold.hpp", "count = Out::least", "count = 0"),
    "accumulator too narrow": ("xnor_63", "xnor_63.cpp", "ap_uint<6>", "ap_uint<5>"),
    "held beat": ("depthwise_rows", "bnn_grouped.hpp", "if (pass == 0) x = in", "x = in"),
    "other group": ("grouped_whole", "bnn_grouped.hpp", "pe / (Pe / whole) * Share", "0 * Share"),
    "other lane": ("affine_signed", "bnn_affine.hpp", "rom[beat][2 * lane];", "rom[beat][2];"),
    "one beat": ("affine_unsigned", "bnn_affine.hpp", "wraps<Beats>(beat);", ""),
    "label of the frame": ("label_pixels", "bnn_label_select.hpp", "if (word == 0 ||", "if (i == 0 ||"),
    "tie": ("label_lanes", "bnn_label_select.hpp", "|| value > best", "|| value >= best"),
    "sum carried over": ("mask_u8", "bnn_mvu.hpp", "word == 0 ? sum :", "false ? sum :"),
    "no sign": ("multiply_s5", "bnn_types.hpp", "using Number = ap_int<Bits>", "using Number = ap_uint<Bits>"),
    "early window": ("window_3x3", "bnn_window.hpp", "start + Where::span * words", "start + 1"),
    "small ring": ("window_strided", "bnn_window.hpp", "ring[loaded % depth]", "ring[loaded % (depth / 2)]"),
    "stride": ("wide_strided", "bnn_window.hpp", "next_column += Stride::columns", "next_column += 1"),
    "one pad short": ("pad_bipolar", "bnn_pad.hpp", "y < Before::rows + Image::height", "y <= Before::rows"),
    "stale block": ("pool_bipolar", "bnn_reduce.hpp", "row == 0 && column == 0\n", "row == 0\n"),
    "order": ("lanes_up", "bnn_width_converter.hpp", "(wide >> bits) | ", "(wide << bits) | "),
    "TLAST": ("fifo_5", "bnn_axis.hpp", "i == Elements / Lanes - 1", "i == 0"),
}


@pytest.mark.full
@pytest.mark.parametrize("what", MUTANTS)
def test_a_fault_is_found(what: str, tmp_path: Path) -> None:
    name, header, old, new = MUTANTS[what]
    (sources := tmp_path / "hls").mkdir()
    emit_hls.emit(DESIGNS[name], sources, part="xc7z020clg400-1", clock_mhz=100.0)
    text = (sources / header).read_text()
    assert text.count(old) == 1
    (sources / header).write_text(text.replace(old, new))
    try:
        found = bool(differs(DESIGNS[name], tmp_path, sources))
    except ToolError as error:  # the program stopped: an empty stream was read, beats were left, a sanitizer
        found = "csim exited" in str(error)
    assert found
