# SPDX-License-Identifier: Apache-2.0
"""Synthesis: cells become resources, every stage has its row, what cannot be told is not told."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.synthesize import stage as module
from adiabit.flows.synthesize.cells import packed, resources
from adiabit.flows.synthesize.stage import synthesize
from adiabit.flows.toolchain import ToolError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.stages import Kind, MatrixVector, Memory, Pool, Stream, Threshold
from tests.hw.rtl.chain import Chain

COUNTS = ("lut", "ff", "bram18", "dsp", "carry", "lutram", "lc")


def tiny() -> Accelerator:
    """8 bytes, 2 a beat, to 2 bits; the weights in block RAM."""
    x = Stream(name="x", shape=(8,), bits=8, kind=Kind.UNSIGNED, lanes=2)
    seen = Stream(name="seen", shape=(8,), bits=1, kind=Kind.BIPOLAR, lanes=2)
    y = Stream(name="y", shape=(2,), bits=1, kind=Kind.BIPOLAR, lanes=1)
    weights = np.random.default_rng(3).choice([-1, 1], (2, 8))
    return Accelerator(
        name="tiny",
        stages=(
            Threshold(name="binarize", inputs=(x,), outputs=(seen,), thresholds=np.arange(8)[:, None] + 124),
            MatrixVector(
                name="fc1", inputs=(seen,), outputs=(y,), weights=weights, thresholds=np.array([[4], [5]]),
                memory=Memory.BLOCK,
            ),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that synthesis filled for a Zynq-7000."""
    rtl, out = tmp_path_factory.mktemp("rtl"), tmp_path_factory.mktemp("synthesis")
    emit_rtl.emit(tiny(), rtl)
    synthesize(rtl, catalog.load("pynq-z2"), out)
    return out


@pytest.fixture(scope="module")
def figures(made: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((made / "synthesis.json").read_text())
    return document


def test_each_stage_has_its_row_and_top_the_rest(figures: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in figures["stages"]}
    assert list(rows) == ["binarize", "fc1", "top"]
    assert all(set(COUNTS) <= row.keys() for row in rows.values())
    assert rows["binarize"]["lut"] > 0
    assert rows["fc1"]["lut"] > 0
    assert rows["binarize"]["bram18"] == 0
    assert rows["fc1"]["bram18"] == figures["total"]["bram18"] == 1  # 16 words of 2 bits
    assert rows["top"]["lut"] <= 2  # TLAST


def test_the_total_is_the_sum_of_the_stages(figures: dict[str, Any]) -> None:
    assert figures["total"]["dsp"] == 0
    for key in COUNTS:
        assert figures["total"][key] == sum(row[key] for row in figures["stages"])
    assert figures["total"]["lc"] <= figures["total"]["lut"]
    assert figures["total"]["lutram"] <= figures["total"]["lut"]


def test_part_capacity_and_timing_are_told(figures: dict[str, Any], made: Path) -> None:
    board = catalog.load("pynq-z2")
    assert (figures["part"], figures["family"]) == (board.part, "xc7")
    assert figures["capacity"] == {"lut": board.luts, "ff": board.ffs, "bram18": board.bram18, "dsp": board.dsps}
    assert figures["tool"].startswith("Yosys 0.")
    assert 0.1 < figures["logic_delay_ns"] < 10
    assert "without routing" in figures["timing_note"]
    assert sorted(p.name for p in made.iterdir()) == ["binarize.log", "fc1.log", "synthesis.json", "top.log"]


def test_a_stage_that_is_known_is_not_mapped_again(made: Path, tmp_path: Path) -> None:
    binarize, product = tiny().stages
    assert isinstance(product, MatrixVector)
    weights = np.random.default_rng(4).choice([-1, 1], (2, 8))
    changed = dataclasses.replace(tiny(), stages=(binarize, dataclasses.replace(product, weights=weights)))
    runs, found = [], []
    for place, accelerator in (("first", tiny()), ("same", tiny()), ("changed", changed)):
        (rtl := tmp_path / place / "rtl").mkdir(parents=True)
        emit_rtl.emit(accelerator, rtl)
        synthesize(rtl, catalog.load("pynq-z2"), tmp_path / place, tmp_path / "known")
        runs.append(sorted(p.stem for p in (tmp_path / place).glob("*.log")))
        found.append(json.loads((tmp_path / place / "synthesis.json").read_text())["stages"])
    assert runs == [["binarize", "fc1", "top"], [], ["fc1"]]
    assert found[0] == found[1] == json.loads((made / "synthesis.json").read_text())["stages"]


def test_a_parameter_that_is_a_list_is_read(tmp_path: Path) -> None:
    chain = Chain("net", (6,), 2, Kind.UNSIGNED, 2)
    first, second = chain.fork()
    emit_rtl.emit(chain.at(first).concat(second).end(), tmp_path)
    assert "'" in json.loads((tmp_path / "design.json").read_text())["parts"][-1]["parameters"]["Words"]
    synthesize(tmp_path, catalog.load("pynq-z2"), tmp_path)
    assert json.loads((tmp_path / "synthesis.json").read_text())["total"]["lut"] > 0


def test_no_delay_is_told_for_a_family_whose_delays_yosys_lacks() -> None:
    delay, told = module._timing(None, "xcup")
    assert delay is None
    assert "7 series only" in told
    assert module._timing(None, "xc7")[1] == "Yosys' sta reported no arrival time for this design"


def test_small_luts_share_as_yosys_estimates() -> None:
    # a 784-64-64-64-10 network and its label selection, as `stat -tech xilinx` of Yosys 0.70 told them
    assert packed({"LUT2": 2096, "LUT3": 718, "LUT4": 1226, "LUT5": 438, "LUT6": 1514}) == 3972
    assert packed({"LUT2": 35, "LUT3": 77, "LUT4": 8, "LUT5": 7, "LUT6": 47}) == 139
    assert packed({"LUT1": 3, "LUT5": 2, "LUT6_2": 5}) == 2 + 5 + 1


def test_cells_become_resources() -> None:
    cells = {
        "LUT2": 2, "LUT6": 3, "LUT6_2": 1, "FDRE": 4, "FDSE": 1, "CARRY4": 2, "CARRY8": 1, "DSP48E1": 1, "MUXF7": 9,
        "INV": 9, "RAM32M": 2, "SRL16E": 3, "RAMB18E1": 1, "RAMB36E1": 2, "$scopeinfo": 7,
    }  # fmt: skip
    assert resources(cells) == {
        "lut": 6 + 11, "ff": 5, "bram18": 5, "dsp": 1, "carry": 3, "lutram": 11, "lc": 3 + 1 + 1 + 11,
    }  # fmt: skip


def test_an_unknown_cell_is_no_zero() -> None:
    with pytest.raises(ValueError, match="Yosys made a cell 'GTXE2_CHANNEL' of unknown cost"):
        resources({"GTXE2_CHANNEL": 1})


def test_yosys_failing_tells_its_last_words(tmp_path: Path) -> None:
    rtl, out = tmp_path / "rtl", tmp_path / "out"
    rtl.mkdir()
    out.mkdir()
    emit_rtl.emit(tiny(), rtl)
    (rtl / "tiny.sv").write_text("module tiny (;")
    with pytest.raises(ToolError, match=r"the end of .*top\.log"):
        synthesize(rtl, catalog.load("pynq-z2"), out)


def test_missing_yosys_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError) as caught:
        synthesize(tmp_path, catalog.load("pynq-z2"), tmp_path)
    assert str(caught.value) == "pyosys: not installed; synthesis needs it; install it: pip install 'adiabit[rtl]'"


def test_an_ultrascale_keeps_memories_of_any_depth_in_luts(tmp_path: Path) -> None:
    """A row of 600 results is a single-port memory that Yosys' own flow for UltraScale takes for one it has not."""
    image = Stream(name="x", shape=(2, 600, 2), bits=3, kind=Kind.UNSIGNED, lanes=1)
    half = Stream(name="y", shape=(1, 300, 2), bits=3, kind=Kind.UNSIGNED, lanes=1)
    pool = Pool(name="pool", inputs=(image,), outputs=(half,), kernel=(2, 2))
    found = {}
    for board in ("zcu104", "pynq-z2"):
        (rtl := tmp_path / board / "rtl").mkdir(parents=True)
        emit_rtl.emit(Accelerator(name="deep", stages=(pool,)), rtl)
        synthesize(rtl, catalog.load(board), tmp_path / board)
        found[board] = json.loads((tmp_path / board / "synthesis.json").read_text())["total"]
    assert found["zcu104"]["lutram"] > 0
    assert found["zcu104"]["bram18"] == found["pynq-z2"]["bram18"] == 0


@pytest.mark.parametrize("board", ["ulx3s-85f", "tang-nano-20k"])
def test_parts_of_open_tools_are_synthesized_too(board: str, tmp_path: Path) -> None:
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    emit_rtl.emit(tiny(), rtl)
    synthesize(rtl, catalog.load(board), tmp_path)
    found = json.loads((tmp_path / "synthesis.json").read_text())
    assert found["total"]["lut"] > found["total"]["carry"] > 0
    assert found["total"]["ff"] > 0
    assert found["capacity"]["lut"] == catalog.load(board).luts
    assert found["logic_delay_ns"] is None


def test_cells_of_an_ecp5_are_counted() -> None:
    cells = {"LUT4": 10, "CCU2C": 3, "PFUMX": 2, "TRELLIS_FF": 7, "TRELLIS_DPR16X4": 2, "DP16KD": 5, "MULT18X18D": 1}
    assert resources(cells, share=False) == {
        "lut": 10 + 2 * 3 + 4 * 2, "ff": 7, "bram18": 5, "dsp": 1, "carry": 3, "lutram": 8, "lc": 10 + 6 + 8,
    }  # fmt: skip


def test_cells_of_a_gw2a_are_counted() -> None:
    cells = {"LUT4": 10, "LUT1": 3, "ALU": 4, "MUX2_LUT5": 2, "DFF": 7, "DFFRE": 1, "RAM16SDP4": 2, "SPX9": 5, "DPB": 1}
    assert resources(cells, share=False) == {
        "lut": 13 + 4 + 6 * 2, "ff": 8, "bram18": 6, "dsp": 0, "carry": 4, "lutram": 12, "lc": 29,
    }  # fmt: skip
