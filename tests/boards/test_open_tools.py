# SPDX-License-Identifier: Apache-2.0
"""A real bitstream by open tools, and what is told where there can be none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.boards.pynq.adiabit_driver.files import FORMAT
from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.flows.bitstream import netlist, open_tools
from adiabit.flows.bitstream.families import FAMILIES
from adiabit.flows.bitstream.figures import Bitstream, load
from adiabit.flows.bitstream.vectors import save_vectors
from adiabit.flows.ladder import load_rungs
from adiabit.flows.resources import Resources
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import serial as emit_serial
from adiabit.hw.stages import Memory
from tests.boards.test_driver import network
from tests.boards.test_project import vectors
from tests.hw.hls.test_emit_hls import tfc
from tests.hw.rtl.chain import Chain, U

BOARD = catalog.load("ulx3s-85f")
IDCODE = b"00000000000000000000100000011011"  # of a GW2A-18, 0x81b
NEXTPNR = FAMILIES[BOARD.family].nextpnr
BITSTREAMS = {"ulx3s-85f": ("small.bit", b"LFE5U-85F"), "tang-nano-20k": ("small.fs", IDCODE)}
Made = tuple[catalog.Board, Path, list[str]]


@pytest.fixture(scope="module", params=BITSTREAMS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The bitstream of a small convolutional network, and what was told on the way."""
    board, folder, told = catalog.load(request.param), tmp_path_factory.mktemp("bitstream"), list[str]()
    open_tools.build(network(), vectors(network(), 30), board, board.clock_mhz, "small", folder, told.append)
    return board, folder, told


def test_one_call_makes_a_bitstream_with_its_description(made: Made) -> None:
    board, folder, told = made
    name, part = BITSTREAMS[board.name]
    assert (folder / name).stat().st_size > 10_000
    assert part in (folder / name).read_bytes()[:400]
    description = json.loads((folder / "small.json").read_text())
    assert (description["identity"], description["baud"]) == (storage.digest(network()), 1_000_000)
    assert description["format"] == FORMAT
    with np.load(folder / "vectors.npz") as saved:
        assert np.array_equal(saved["outputs"], golden.run(network(), saved["frames"]))
    assert told[:2] == [f"yosys: core_serial for {board.title}", "nextpnr: place and route"]
    (rung,) = load_rungs(folder)
    assert (rung.name, rung.status, rung.frames) == ("netlist simulation", "equal", 24)


def test_the_figures_are_those_of_place_and_route(made: Made) -> None:
    board, folder, told = made
    figures = load(folder)
    log = (folder / "nextpnr.log").read_text()
    assert f"{figures.fmax_mhz:.2f} MHz (PASS at {board.clock_mhz:.2f} MHz)" in log
    assert figures.capacity == Resources(lut=board.luts, ff=board.ffs, bram18=board.bram18, dsp=board.dsps)
    assert figures.total.lut is not None
    assert figures.total.ff is not None
    assert 0 < figures.total.lut < board.luts
    assert 0 < figures.total.ff < board.ffs
    assert told[-1] == f"nextpnr: {figures.fmax_mhz:.1f} MHz, {figures.total.lut:,} of {board.luts:,} LUT4"


def test_a_chip_that_is_too_slow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Bitstream(tool="nextpnr", clock_mhz=25.0, total=Resources(lut=1), fmax_mhz=24.4)
    monkeypatch.setattr(open_tools, "_figures", lambda *_: figures)
    monkeypatch.setattr(toolchain, "run_tool", lambda *_, **__: None)
    (tmp_path / "rtl").mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    (tmp_path / "rtl" / "report.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 25.0, "tfc", tmp_path, print)
    assert str(caught.value) == (
        "accelerator tfc: reaches 24.4 MHz on ULX3S-85F, whose clock is 25 MHz; change the folding; "
        f"{tmp_path / 'nextpnr.log'} has the critical path"
    )


def test_another_clock_than_the_boards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 50.0, "tfc", tmp_path, print)
    assert str(caught.value) == "target.clock_mhz = 50: ulx3s-85f runs at 25 MHz only; remove the key"


def test_a_missing_tool_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = replace(FAMILIES[BOARD.family], nextpnr="nextpnr-that-is-not-here")
    monkeypatch.setitem(FAMILIES, BOARD.family, family)
    assert not open_tools.available(BOARD)
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
        if NEXTPNR in str(args[0]):
            raise toolchain.ToolError(f"nextpnr exited with 255; the end of the log:\nERROR: {words}")

    monkeypatch.setattr(toolchain, "run_tool", run_tool)
    with pytest.raises(UserError) as caught:
        open_tools.build(tfc(), vectors(tfc()), BOARD, 25.0, "tfc", tmp_path, print)
    assert str(caught.value) == "accelerator tfc: does not fit on ULX3S-85F; fold it more"


def test_a_netlist_with_a_fault_is_found(made: Made, tmp_path: Path) -> None:
    """The LUTs of the core turned: results are wrong, or none comes."""
    board, folder, _ = made
    lut = re.compile(r"\.INIT\(16'h(\w+)\)(\s*\) \\u_core\.u_core_)")
    text, count = lut.subn(
        lambda m: f".INIT(16'h{int(m[1], 16) ^ 0xFFFF:04x}){m[2]}", (folder / "rtl" / "netlist.v").read_text()
    )
    assert count > 3
    (tmp_path / "netlist.v").write_text(text)
    chip = json.loads((folder / "small.json").read_text())
    family = FAMILIES[board.family]
    try:
        rung = netlist.simulate(tmp_path / "netlist.v", family, chip, folder / "vectors.npz", tmp_path / "log")
        told = rung.difference
    except toolchain.ToolError as error:
        told = str(error)
    assert "the chip's result differs; the netlist is" in told or "no result arrived" in told


MEMORIES = {"ecp5": {"DP16KD"}, "gw2a": {"SP", "DPB"}}


@pytest.mark.parametrize("name", MEMORIES)
def test_block_rams_of_a_netlist_are_as_the_rtl(name: str, tmp_path: Path) -> None:
    """ROMs of wide and of narrow words and memories that are written, against the models of the cells."""
    family, network = FAMILIES[name], memories()
    (rtl := tmp_path / "rtl").mkdir()
    chip = emit_serial.emit(network, rtl, clock_hz=8e6, baud=1_000_000)
    open_tools.synthesize(chip, family, rtl, tmp_path / "yosys.log")
    found = set(re.findall(r"^  (\w+) #\(", (rtl / "netlist.v").read_text(), re.MULTILINE))
    assert MEMORIES[name] <= found
    assert (name == "ecp5") == ('("OUTREG")' in (rtl / "netlist.v").read_text())
    save_vectors(network, vectors(network, 5), tmp_path)
    rung = netlist.simulate(rtl / "netlist.v", family, chip, tmp_path / "vectors.npz", tmp_path / "log")
    assert (rung.status, rung.frames, rung.difference) == ("equal", 5, "")


def memories() -> Accelerator:
    """A network whose windows and weights are deep enough for block RAMs, of several widths."""
    chain = Chain("ram", (6, 100, 1), 8, U, 1).window((3, 3), stride=(3, 3)).mvu(64, 1, memory=Memory.BLOCK).lanes(4)
    chain = chain.window((2, 2), stride=(1, 1), dilation=(1, 1)).mvu(32, 1)
    return chain.lanes(16).mvu(2, 1, out=None, flat=True).label().end()
