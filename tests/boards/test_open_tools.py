# SPDX-License-Identifier: Apache-2.0
"""A real bitstream by open tools, and what is told where there can be none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.bitstream import netlist, open_tools
from adiabit.flows.ladder import load_rungs
from adiabit.hw import golden, storage
from tests.boards.test_driver import network
from tests.boards.test_project import vectors
from tests.hw.hls.test_emit_hls import tfc

BOARD = catalog.load("ulx3s-85f")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The bitstream of a small convolutional network, and what was told on the way."""
    folder, told = tmp_path_factory.mktemp("bitstream"), list[str]()
    open_tools.build(network(), vectors(network(), 30), BOARD, BOARD.clock_mhz, "small", folder, told.append)
    return folder, told


def test_one_call_makes_a_bitstream_with_its_description(made: tuple[Path, list[str]]) -> None:
    folder, told = made
    assert (folder / "small.bit").stat().st_size > 10_000
    assert b"LFE5U-85F" in (folder / "small.bit").read_bytes()[:400]
    description = json.loads((folder / "small.json").read_text())
    assert (description["identity"], description["baud"]) == (storage.digest(network()), 1_000_000)
    with np.load(folder / "vectors.npz") as saved:
        assert np.array_equal(saved["outputs"], golden.run(network(), saved["frames"]))
    assert told[:2] == ["yosys: core_serial for ULX3S-85F", "nextpnr: place and route"]
    (rung,) = load_rungs(folder)
    assert (rung.name, rung.status, rung.frames) == ("netlist simulation", "equal", 24)


def test_the_figures_are_those_of_place_and_route(made: tuple[Path, list[str]]) -> None:
    folder, told = made
    figures = json.loads((folder / "bitstream.json").read_text())
    log = (folder / "nextpnr.log").read_text()
    assert f"{figures['fmax_mhz']:.2f} MHz (PASS at 25.00 MHz)" in log
    assert 0 < figures["lut"] < figures["capacity"]["lut"] == BOARD.luts
    assert 0 < figures["ff"] < figures["capacity"]["ff"] == BOARD.ffs
    assert (figures["capacity"]["bram18"], figures["capacity"]["dsp"]) == (BOARD.bram18, BOARD.dsps)
    assert told[-1] == f"nextpnr: {figures['fmax_mhz']:.1f} MHz, {figures['lut']:,} of {BOARD.luts:,} LUT4"


def test_a_chip_that_is_too_slow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"fmax_mhz": 24.4, "clock_mhz": 25.0, "lut": 1}
    monkeypatch.setattr(open_tools, "_figures", lambda *_: figures)
    monkeypatch.setattr(toolchain, "run_tool", lambda *_, **__: None)
    (tmp_path / "rtl").mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    (tmp_path / "rtl" / "report.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 25.0, "tfc", tmp_path, print)
    assert str(caught.value) == (
        "accelerator tfc: reaches 24.4 MHz on ULX3S-85F, whose clock is 25 MHz; fold it otherwise; "
        f"{tmp_path / 'nextpnr.log'} has the path"
    )


def test_another_clock_than_the_boards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 50.0, "tfc", tmp_path, print)
    assert str(caught.value) == "target.clock_mhz = 50: ulx3s-85f runs at 25 MHz; leave it out"


def test_a_missing_tool_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_tools, "NEXTPNR", "nextpnr-that-is-not-here")
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 25.0, "tfc", tmp_path, print)
    assert str(caught.value) == (
        "nextpnr-that-is-not-here: not found; place and route needs it; install it: pip install 'adiabit[ecp5]'"
    )


@pytest.mark.parametrize(
    "words",
    [
        "Unable to find legal placement for all cells, design is probably at utilisation limit.",
        "Unable to place cell 'u_core.x', no BELs remaining to implement cell type 'TRELLIS_COMB'",
    ],
)
def test_a_chip_that_does_not_fit_is_refused(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_tool(args: Sequence[str | Path], **_: object) -> None:
        if open_tools.NEXTPNR in str(args[0]):
            raise toolchain.ToolError(f"nextpnr exited with 255; the end of the log:\nERROR: {words}")

    monkeypatch.setattr(toolchain, "run_tool", run_tool)
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 25.0, "tfc", tmp_path, print)
    assert str(caught.value) == "accelerator tfc: does not fit on ULX3S-85F; fold it less parallel"


def test_a_netlist_with_a_fault_is_found(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The LUTs of one stage turned: results are wrong, or none comes."""
    folder, _ = made
    lut = re.compile(r"\.INIT\(16'h(\w+)\)(\s*\) \\u_core\.u_core_3)")
    text, count = lut.subn(
        lambda m: f".INIT(16'h{int(m[1], 16) ^ 0xFFFF:04x}){m[2]}", (folder / "rtl" / "netlist.v").read_text()
    )
    assert count > 3
    (tmp_path / "netlist.v").write_text(text)
    chip = json.loads((folder / "small.json").read_text())
    try:
        rung = netlist.simulate(tmp_path / "netlist.v", chip, folder / "vectors.npz", tmp_path / "log")
        told = rung.difference
    except toolchain.ToolError as error:
        told = str(error)
    assert told.startswith("the chip's result differs, frame ") or "no result came" in told
