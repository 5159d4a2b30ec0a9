# SPDX-License-Identifier: Apache-2.0
"""The PYNQ driver: its packing is ours, and its very code classifies on our RTL, DMA and AXI-Lite included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.boards.pynq import adiabit_driver
from adiabit.boards.pynq.adiabit_driver.__main__ import main
from adiabit.boards.pynq.adiabit_driver.accelerator import MAGIC, verify
from adiabit.boards.pynq.adiabit_driver.accelerator import REGISTERS as DRIVERS
from adiabit.boards.pynq.block_design import block_design
from adiabit.boards.pynq.describe import describe
from adiabit.hw import emit_ip, golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit_rtl import RTL
from tests.boards.hwh import AXI_LITE, STREAM, hwh
from tests.hw.rtl.chain import B, Chain, S, U, some_frames
from tests.hw.rtl.cocotb_run import assert_passes
from tests.hw.rtl.registers import REGISTERS
from tests.hw.rtl.test_rtl import tool_environment

__all__ = ["tool_environment"]  # a fixture
HERE = Path(__file__).parent
STREAMS = [(U, 8, (4, 5, 3), 3), (U, 8, (784,), 16), (S, 4, (2, 12), 6), (B, 1, (70,), 35), (U, 5, (9,), 1)]


@pytest.mark.parametrize(("kind", "bits", "shape", "lanes"), STREAMS)
@pytest.mark.parametrize("word_bytes", [4, 8])
def test_the_driver_packs_as_the_rtl_wants(
    kind: Any, bits: int, shape: tuple[int, ...], lanes: int, word_bytes: int
) -> None:
    stream = Chain("x", shape, bits, kind, lanes).here
    ours = emit_ip.Port(stream=stream, word_bytes=word_bytes)
    theirs = adiabit_driver.Port(emit_ip.port_row(ours), word_bytes)
    values = some_frames(stream, np.random.default_rng(0), 6)
    memory = np.full((6, ours.frame_bytes), 0xA5, np.uint8)
    theirs.pack(theirs.check(values), memory)
    assert np.array_equal(memory, ours.pack(values))
    assert np.array_equal(theirs.unpack(memory), values)
    assert theirs.range == stream.range


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (np.zeros((2, 7), int), "frames have shape (2, 7); at least one of (2, 12) is needed"),
        (np.zeros((0, 2, 12), int), "frames have shape (0, 2, 12); at least one of (2, 12) is needed"),
        (np.full((1, 2, 12), 8), "frames of int64 hold 8 to 8; integers from -8 to 7 are needed"),
        (np.zeros((1, 2, 12)), "frames of float64 hold 0.0 to 0.0; integers from -8 to 7 are needed"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames: Any, text: str) -> None:
    port = emit_ip.Port(stream=Chain("x", (2, 12), 4, S, 6).here, word_bytes=4)
    with pytest.raises(ValueError, match=r".") as caught:
        adiabit_driver.Port(emit_ip.port_row(port), 4).check(frames)
    assert str(caught.value).startswith(text)


def test_the_driver_knows_the_registers() -> None:
    assert DRIVERS == {**REGISTERS, "control": 0x18, "status": 0x1C}
    assert f"{MAGIC:#010x}" in (RTL / "bnn_registers.rdl").read_text()


def test_a_missing_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(adiabit_driver.DriverError, match=r"none\.json: no description of an accelerator"):
        adiabit_driver.Accelerator(str(tmp_path / "none.bit"), platform=object())


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"word_bytes": 4, "input": [], "output": []}'])
def test_another_files_description_is_told(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.json").write_text(text)
    assert main([str(tmp_path / "other.bit")], platform=object()) == 2
    assert capsys.readouterr().err.startswith(
        f"adiabit_driver: {tmp_path / 'other.json'}: no description of an accelerator ("
    )


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken off", None])
def test_unreadable_vectors_are_told(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    if content is None:
        np.savez(path, frames=np.zeros(1))  # and no outputs
    else:
        path.write_bytes(content)
    with pytest.raises(adiabit_driver.DriverError, match=r"vectors\.npz: no vectors of an accelerator \("):
        verify(lambda frames: frames, str(path))


def test_a_batch_of_no_frames_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x.bit", "--batch", "0"], platform=object()) == 2
    assert capsys.readouterr().err == "adiabit_driver: a batch of 0 frames: at least 1 is needed\n"


def test_a_missing_package_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["none.bit"]) == 2
    assert capsys.readouterr().err == (
        "adiabit_driver: the Python package 'pynq' is missing; run this on the board, or give --port for a serial "
        "line\n"
    )


def network() -> Accelerator:
    chain = Chain("core", (6, 6, 1), 8, U, 1).window((3, 3), stride=(3, 3)).mvu(6, 3).lanes(6)
    return chain.mvu(4, 2, flat=True, out=(1, B)).lanes(16).mvu(3, 1, out=None).label().end()


def shim(top: str, word: int) -> str:
    """The core with its clock called `clk`, as cocotbpynq wants it."""
    widths = {"AWADDR": 6, "AWPROT": 3, "WDATA": 32, "WSTRB": 4, "BRESP": 2, "ARADDR": 6, "ARPROT": 3, "RDATA": 32,
              "RRESP": 2, "TDATA": word}  # fmt: skip
    ports = [
        (port, widths.get(logical, 1), "output" if port.endswith(("awready", "wready", "arready"))
         or logical in ("BRESP", "BVALID", "RDATA", "RRESP", "RVALID") else "input")
        for logical, port in AXI_LITE.items()
    ]  # fmt: skip
    for side, out in (("s_axis", ("TREADY",)), ("m_axis", ("TDATA", "TLAST", "TVALID"))):
        ports += [(f"{side}_{e.lower()}", widths.get(e, 1), "output" if e in out else "input") for e in STREAM]
    declared = ",\n".join(f"  {way} logic [{width - 1}:0] {port}" for port, width, way in ports)
    wired = ", ".join(f".{port}" for port, _, _ in ports)
    return (
        f"module {top}_sim (input logic clk, input logic aresetn,\n{declared});\n"
        f"  {top} u_core (.aclk(clk), .aresetn, {wired});\nendmodule\n"
    )


def test_the_driver_classifies_on_our_rtl(
    tmp_path: Path, tool_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))  # the runner hands it to the simulator's Python
    accelerator, rtl = network(), tmp_path / "rtl"
    rtl.mkdir()
    core = emit_ip.emit(accelerator, rtl, word_bytes=4)
    design = block_design(catalog.load("pynq-z2"), 100.0, core["top"], 4)
    (rtl / "shim.sv").write_text(shim(core["top"], 32))
    (tmp_path / "core.hwh").write_text(hwh(design, core["top"], f"{core['top']}_sim"))
    (tmp_path / "core.json").write_text(json.dumps(describe(core, design)))
    frames = some_frames(accelerator.input, np.random.default_rng(0), 20)
    np.savez(tmp_path / "vectors.npz", frames=frames, outputs=golden.run(accelerator, frames))
    environment = {
        "HWH_LOCATION_DIR": str(tmp_path),
        "DRIVER_FOLDER": str(tmp_path),
        "DRIVER_PACKAGE": str(Path(adiabit_driver.__file__).parent.parent),
    }
    sources = [RTL / "bnn_registers.vlt", *(rtl / s for s in core["sources"]), rtl / "shim.sv"]
    top = f"{core['top']}_sim"
    assert_passes("bench_driver", top, sources, tmp_path, environment, tests=3, build_args=["-Wno-fatal"])
