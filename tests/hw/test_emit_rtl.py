# SPDX-License-Identifier: Apache-2.0
"""What the emitter writes: the same bytes for the same accelerator, FINN's orders, and a top of instances alone."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.stages import Kind, LabelSelect, MatrixVector, Memory, Stream, Threshold
from adiabit.hw.stages.base import RTL
from tests.hw.rtl.chain import Chain

X = Stream(name="x", shape=(4,), bits=3, kind=Kind.UNSIGNED, lanes=2)
BITS = Stream(name="bits", shape=(4,), bits=1, kind=Kind.BIPOLAR, lanes=2)
SUMS = Stream(name="sums", shape=(4,), bits=3, kind=Kind.UNSIGNED, lanes=2)
LABEL = Stream(name="label", shape=(1,), bits=2, kind=Kind.UNSIGNED, lanes=1)
WEIGHTS = np.array([[1, 1, 1, -1], [-1, 1, -1, -1], [-1, -1, 1, 1], [1, -1, -1, -1]])


def network(name: str = "net") -> Accelerator:
    return Accelerator(
        name=name,
        stages=(
            Threshold(name="t", inputs=(X,), outputs=(BITS,), thresholds=np.array([[0], [3], [8], [-5]])),
            MatrixVector(name="m", inputs=(BITS,), outputs=(SUMS,), weights=WEIGHTS, memory=Memory.LUT),
            LabelSelect(name="l", inputs=(SUMS,), outputs=(LABEL,)),
        ),
    )


def emitted(accelerator: Accelerator, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    emit_rtl.emit(accelerator, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_accelerator_gives_the_same_bytes(tmp_path: Path) -> None:
    assert emitted(network(), tmp_path / "a") == emitted(network(), tmp_path / "b")


@pytest.mark.parametrize(
    ("thresholds", "module"),
    [
        ([[2, 4, 6]] * 4, "bnn_quantizer"),  # the top two bits of three
        ([[2, 4, 7]] * 4, "bnn_threshold"),
        ([[2, 4, 6], [2, 4, 6], [2, 4, 6], [2, 4, 7]], "bnn_threshold"),
        ([[5]] * 4, "bnn_quantizer"),
        ([[5], [5], [5], [4]], "bnn_threshold"),
    ],
)
def test_thresholds_of_all_channels_need_no_comparator_if_top_bits_count_them(
    thresholds: list[list[int]], module: str
) -> None:
    y = Stream(name="y", shape=(4,), bits=len(thresholds[0]).bit_length(), kind=Kind.UNSIGNED, lanes=2)
    stage = Threshold(name="t", inputs=(X,), outputs=(y,), thresholds=np.array(thresholds))
    assert stage.rtl().module == module


def test_one_threshold_starts_the_accumulators_of_vectors_of_several_words() -> None:
    y = Stream(name="y", shape=(4,), bits=1, kind=Kind.BIPOLAR, lanes=2)
    t = np.array([[0], [3], [5], [2]])
    stage = MatrixVector(name="m", inputs=(BITS,), outputs=(y,), weights=WEIGHTS, thresholds=t)
    assert stage.rtl().memories["m_starts.mem"] == "d0\neb\n"  # two lanes of 4 bits: 0 and -3, -5 and -2


def test_design_tells_files_and_nets(tmp_path: Path) -> None:
    files = emitted(network(), tmp_path / "rtl")
    design = json.loads(files["design.json"])
    assert design["top"] == "net"
    assert design["sources"][0] == "bnn_pkg.sv"
    assert design["sources"][-1] == "net.sv"
    assert design["memories"] == ["m_weights.mem", "t_thresholds.mem"]
    assert set(files) == {*design["sources"], *design["memories"], "design.json"}
    assert design["input"] == {"name": "x", "width": 6, "beats": 2, "tdata_bits": 8}
    assert design["output"] == {"name": "label", "width": 2, "beats": 1, "tdata_bits": 8}
    assert [s["name"] for s in design["streams"]] == ["x", "bits", "sums", "label"]
    assert design["streams"][1] == {
        "name": "bits", "width": 2, "beats": 2, "valid": "bits_valid", "ready": "bits_ready", "data": "bits_data",
    }  # fmt: skip


def test_modules_are_copied_unchanged_and_only_those_that_are_needed(tmp_path: Path) -> None:
    files = emitted(network(), tmp_path / "rtl")
    modules = [name for name in files if name.startswith("bnn_")]
    assert all(files[name] == (RTL / name).read_bytes() for name in modules)
    assert "bnn_mvu.sv" in modules
    assert "bnn_width_converter.sv" not in modules


def test_modules_are_read_behind_those_that_they_need() -> None:
    order = emit_rtl.modules_of(RTL.glob("*.sv"))
    assert {path.name for path in order} == {path.name for path in RTL.glob("*.sv")}
    for module in order:
        named = set(re.findall(r"\b(bnn_\w+) (?:#|u_)", module.read_text()))
        named |= set(re.findall(r"\b(bnn_\w+)::", module.read_text()))
        assert named <= {path.stem for path in order[: order.index(module)]} | {module.stem}


def test_the_top_only_instantiates(tmp_path: Path) -> None:
    top = emitted(network(), tmp_path / "rtl")["net.sv"].decode()
    ports = re.findall(r"^  (input|output) +logic (?:\[(\d+):0\] )?(\w+)", top, re.MULTILINE)
    assert ports == [
        ("input", "", "clk_i"), ("input", "", "rst_ni"),
        ("input", "7", "s_axis_tdata"), ("input", "", "s_axis_tvalid"), ("output", "", "s_axis_tready"),
        ("output", "7", "m_axis_tdata"), ("output", "", "m_axis_tvalid"), ("input", "", "m_axis_tready"),
        ("output", "", "m_axis_tlast"),
    ]  # fmt: skip
    assert "always" not in top
    assert re.findall(r"^  (bnn_\w+) #", top, re.MULTILINE) == [
        "bnn_last", "bnn_threshold", "bnn_mvu", "bnn_label_select",
    ]  # fmt: skip
    assert "logic [1:0] bits_data /* verilator public_flat_rd */;" in top


def test_weights_lie_in_finns_order(tmp_path: Path) -> None:
    """Word n*SF + s: rows n*PE... and columns s*SIMD..., the first row and column in the least significant bits."""
    lines = emitted(network(), tmp_path / "rtl")["m_weights.mem"].decode().split()
    assert lines == ["b", "1", "4", "3"]  # 0b10_11: row 0 is + +, row 1 is - +


def test_thresholds_are_clipped_to_what_can_be_told_apart(tmp_path: Path) -> None:
    files = emitted(network(), tmp_path / "rtl")
    assert ".ThresholdWidth(4)" in files["net.sv"].decode()  # 8 never fires on 0...7: a bit more than the input has
    assert files["t_thresholds.mem"].decode().split() == ["30", "08"]  # -5 always fires, as 0 does


def test_the_levels_of_a_search_lie_in_files_by_lane(tmp_path: Path) -> None:
    """Walked as `bnn_search` does, they count the thresholds reached."""
    x = Stream(name="x", shape=(6,), bits=8, kind=Kind.UNSIGNED, lanes=2)
    y = Stream(name="y", shape=(6,), bits=5, kind=Kind.UNSIGNED, lanes=2)
    thresholds = np.sort(np.random.default_rng(0).integers(0, 256, (6, 31)), axis=1)
    stage = Threshold(name="t", inputs=(x,), outputs=(y,), thresholds=thresholds)
    files = emitted(Accelerator(name="one", stages=(stage,)), tmp_path / "rtl")
    names = [f"t_thresholds_{lane}_{level}.mem" for lane in range(2) for level in range(5)]
    assert json.loads(files["design.json"])["memories"] == names
    assert '.File("t_thresholds")' in files["one.sv"].decode()
    words = {name: [int(word, 16) for word in files[name].split()] for name in names}
    for channel, value in itertools.product(range(6), range(0, 256, 5)):
        beat, lane = divmod(channel, 2)
        node = beat
        for level in range(5):
            node = 2 * node + (value >= words[f"t_thresholds_{lane}_{level}.mem"][node])
        assert node - beat * 32 == (value >= thresholds[channel]).sum()


def test_equal_thresholds_of_all_channels_are_stored_once(tmp_path: Path) -> None:
    equal = Chain("equal", (6,), 8, Kind.UNSIGNED, 2).threshold(5, Kind.UNSIGNED, uniform=True).end()
    files = emitted(equal, tmp_path / "rtl")
    assert ".Beats(1)" in files["equal.sv"].decode()
    assert len(files["equal_0_thresholds_1_4.mem"].split()) == 16


@pytest.mark.parametrize(
    ("thresholds", "width", "lines"),
    [([0, 3], 2, ["c"]), ([4, 99], 3, ["24"]), ([-1, 0], 1, ["0"])],  # 4 = MW + 1 never fires
)
def test_popcount_thresholds_reach_mw_plus_1(
    thresholds: list[int], width: int, lines: list[str], tmp_path: Path
) -> None:
    x = Stream(name="x", shape=(3,), bits=1, kind=Kind.BIPOLAR, lanes=3)
    y = Stream(name="y", shape=(2,), bits=1, kind=Kind.BIPOLAR, lanes=2)
    stage = MatrixVector(
        name="m", inputs=(x,), outputs=(y,), weights=np.ones((2, 3), np.int64), thresholds=np.array(thresholds)[:, None]
    )
    files = emitted(Accelerator(name="one", stages=(stage,)), tmp_path / "rtl")
    assert ".AccWidth(2)" in files["one.sv"].decode()  # ceil(log2(3 + 1))
    assert f".ThresholdWidth({width})" in files["one.sv"].decode()
    assert files["m_thresholds.mem"].decode().split() == lines


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "small",
            "accelerator small: the top cannot be named by a reserved word of SystemVerilog; choose another name",
        ),
        ("bnn_fifo", "accelerator bnn_fifo: the top cannot have the name of a library module; choose another name"),
    ],
)
def test_a_name_that_no_top_can_bear_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        emit_rtl.emit(network(name), tmp_path)
