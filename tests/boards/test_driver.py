# SPDX-License-Identifier: Apache-2.0
"""The PYNQ driver: its packing is ours, and its very code classifies on our RTL, DMA and AXI-Lite included."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.boards import catalog
from adiabit.boards.pynq import adiabit_driver
from adiabit.boards.pynq.adiabit_driver.__main__ import main
from adiabit.boards.pynq.adiabit_driver.accelerator import MAGIC, verify
from adiabit.boards.pynq.adiabit_driver.accelerator import REGISTERS as DRIVERS
from adiabit.boards.pynq.adiabit_driver.files import load_description
from adiabit.boards.pynq.block_design import block_design
from adiabit.boards.pynq.describe import describe
from adiabit.errors import UserError
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.emit import ip as emit_ip
from adiabit.hw.stages.base import RTL
from adiabit.legend import Encoding, Legend
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
        (np.zeros((), int), "frames have shape (); at least one of (2, 12) is needed"),
        (7, "frames have shape (); at least one of (2, 12) is needed"),
        (np.full((1, 2, 12), 8), "frames hold 8 to 8; integers from -8 to 7 are needed"),
        (np.zeros((1, 2, 12)), "frames are of float64; integers from -8 to 7 are needed"),
        (np.full((1, 2, 12), np.nan), "frames are of float64; integers from -8 to 7 are needed"),
        (np.full((1, 2, 12), None), "frames are of object; integers from -8 to 7 are needed"),
        (np.full((1, 2, 12), "a"), "frames are of <U1; integers from -8 to 7 are needed"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames: Any, text: str) -> None:
    port = emit_ip.Port(stream=Chain("x", (2, 12), 4, S, 6).here, word_bytes=4)
    with pytest.raises(ValueError, match=r".") as caught:
        adiabit_driver.Port(emit_ip.port_row(port), 4).check(frames)
    assert str(caught.value).startswith(text)


def test_the_driver_knows_what_sums_stand_for() -> None:
    row = emit_ip.port_row(emit_ip.Port(stream=Chain("x", (2, 2, 3), 6, S, 1).here, word_bytes=4),
                           Meaning(scale=(0.5, 1.0, -2.0), offset=(1.0, 0.0, 3.0)))  # fmt: skip
    port = adiabit_driver.Port(json.loads(json.dumps(row)), 4)
    sums = np.arange(-6, 6).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(port.reals(sums), sums * [0.5, 1.0, -2.0] + [1.0, 0.0, 3.0])
    with pytest.raises(ValueError, match=r"scale = \[1\], 3 numbers are needed"):
        adiabit_driver.Port({**row, "scale": [1]}, 4)
    labels = adiabit_driver.Port({k: v for k, v in row.items() if k not in ("scale", "offset")}, 4)
    with pytest.raises(ValueError, match="the accelerator puts out labels, not logits"):
        labels.reals(sums)


def test_the_driver_knows_the_registers() -> None:
    assert DRIVERS == {**REGISTERS, "control": 0x18, "status": 0x1C}
    assert f"{MAGIC:#010x}" in (RTL / "bnn_registers.rdl").read_text()


def test_a_missing_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(adiabit_driver.DriverError, match=r"none\.json: no description of an accelerator"):
        adiabit_driver.Accelerator(str(tmp_path / "none.bit"), platform=object())


def description(**changes: Any) -> dict[str, Any]:
    """NAME.json of an accelerator of three 4-bit results, both boards' keys in one."""
    ends = [emit_ip.Port(stream=Chain("x", shape, 4, S, lanes).here, word_bytes=4) for shape, lanes in PORTS]
    given, taken = map(emit_ip.port_row, ends)
    made = {"format": 1, "identity": "0123456789abcdef", "word_bytes": 4, "address": 0x4000_0000, "address_bits": 6,
            "dma": "dma", "baud": 1_000_000, "input": given, "output": taken}  # fmt: skip
    for key, value in changes.items():
        end, _, inner = key.partition("__")
        made = {**made, end: {**made[end], inner: value} if inner else value}  # type: ignore[dict-item]  # JSON
    return made


PORTS = (((2, 12), 6), ((3,), 1))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        (json.dumps(description())[:20], "Unterminated string starting at"),
        ("[1]", "not an object"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
        ("{}", "'identity' is missing"),
        (description(format=2), "format = 2, this driver reads 1"),
        (description(identity="12"), "identity = '12', 16 hexadecimal digits are needed"),
        (description(address=-1), "address = -1, a whole number of at least 0 is needed"),
        (description(address_bits=1), "address_bits = 1, a whole number of at least 2 is needed"),
        (description(word_bytes=True), "word_bytes = True, a whole number of at least 1 is needed"),
        (description(dma=1), "dma = 1, a name is needed"),
        (description(input=[]), "input = [], an object is needed"),
        (description(output={}), "output: 'shape' is missing"),
        (description(input__shape=5), "input: shape = 5, whole numbers of at least 1 are needed"),
        (description(input__lanes=0), "input: lanes = 0, a whole number of at least 1 is needed"),
        (description(input__lanes="6"), "input: lanes = '6', a whole number of at least 1 is needed"),
        (description(input__kind="float"), "input: kind = 'float', one of bipolar, signed, unsigned is needed"),
        (description(input__lanes=5), "input: shape, bits, kind, lanes, ratio and frame_bytes contradict each other"),
        (description(output__frame_bytes=999), "output: shape, bits, kind, lanes, ratio and frame_bytes contradict"),
        (description(output__bits=64), "output: shape, bits, kind, lanes, ratio and frame_bytes contradict"),
    ],
)
def test_what_is_no_description_is_told(
    content: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    content = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main([str(tmp_path / "other.bit")], platform=object()) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"adiabit_driver: {path}: no description of an accelerator ({told}")
    assert line.endswith("); take the .json beside the bitstream, and the driver of the adiabit that made both\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_a_description_that_is_no_file_is_told(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "x.json") if kind == "fifo" else (tmp_path / "x.json").mkdir()
    assert main([str(tmp_path / "x.bit")], platform=object()) == 2
    assert "x.json: no description of an accelerator (not a regular file)" in capsys.readouterr().err


class Board:
    """PYNQ's names, with a circuit of another design behind them."""

    def __init__(self, *_: object) -> None:
        pass

    @staticmethod
    def read(offset: int) -> int:
        return {0: MAGIC, 4: 0x89ABCDEF, 8: 0x01234567}[offset]

    def __getattr__(self, name: str) -> Any:
        if name in {"Overlay", "MMIO"}:
            return Board
        raise AttributeError(f"Could not find IP or hierarchy {name} in overlay")


def test_a_hand_off_without_the_dma_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text(json.dumps(description()))
    assert main([str(tmp_path / "x.bit")], platform=Board()) == 2
    assert capsys.readouterr().err == (
        f"adiabit_driver: {tmp_path / 'x.bit'}: its .hwh has no DMA called 'dma'; copy .bit, .hwh and .json of one "
        "build\n"
    )


def given_and_taken(row: dict[str, Any] | None = None) -> tuple[adiabit_driver.Port, adiabit_driver.Port]:
    row = row or description()
    return adiabit_driver.Port(row["input"], 4), adiabit_driver.Port(row["output"], 4)


def never(frames: Any) -> Any:
    raise AssertionError("ran")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "No data left in file"),
        (b"text", "This file contains pickled"),
        (b"PK\x03\x04 broken off", "File is not a zip file"),
        ("half", "File is not a zip file"),
        ("bytes", "Bad CRC-32 for file 'frames.npy'"),
        ("missing", "No such file or directory"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("npy", "a single array; an archive (.npz) is needed"),
        ("no outputs", "outputs is missing"),
        ("object", "Object arrays cannot be loaded when allow_pickle=False"),
    ],
)
def test_unreadable_vectors_are_told(content: bytes | str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    np.savez(path, frames=np.zeros((2, 2, 12), int), outputs=np.zeros((2, 3), int))
    whole = path.read_bytes()
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "bytes":
        path.write_bytes(whole[:200] + b"\1" + whole[201:])
    elif content == "folder":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "npy":
        with path.open("wb") as sink:
            np.save(sink, np.zeros(3))
    elif content == "no outputs":
        np.savez(path, frames=np.zeros(1))
    elif content == "object":
        np.savez(path, frames=np.array([None]), outputs=np.array([None]))
    with pytest.raises(adiabit_driver.DriverError) as caught:
        verify(never, *given_and_taken(), str(path))
    assert str(caught.value).startswith(f"{path}: no vectors of an accelerator ({told}")
    assert str(caught.value).endswith("); take the vectors.npz beside the bitstream")


FRAMES = np.zeros((20, 2, 12), int)


@pytest.mark.parametrize(
    ("frames", "outputs", "told"),
    [
        (
            FRAMES,
            np.zeros((20, 1), int),
            "outputs are of int64 and shape (20, 1); integers of shape (20, 3) are needed",
        ),
        (FRAMES, np.zeros(20, int), "outputs are of int64 and shape (20,); integers of shape (20, 3) are needed"),
        (FRAMES, np.zeros((1, 3), int), "outputs are of int64 and shape (1, 3); integers of shape (20, 3) are needed"),
        (FRAMES, np.zeros((), int), "outputs are of int64 and shape (); integers of shape (20, 3) are needed"),
        (FRAMES, np.zeros((20, 3)), "outputs are of float64 and shape (20, 3); integers of shape (20, 3) are needed"),
        (np.zeros((), int), np.zeros((1, 3), int), "frames have shape (); at least one of (2, 12) is needed"),
        (FRAMES * np.nan, np.zeros((20, 3), int), "frames are of float64; integers from -8 to 7 are needed"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(frames: Any, outputs: Any, told: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    np.savez(path, frames=frames, outputs=outputs)
    with pytest.raises(adiabit_driver.DriverError) as caught:
        verify(never, *given_and_taken(), str(path))
    assert str(caught.value).startswith(f"{path}: {told}")
    assert str(caught.value).endswith("; take the vectors.npz beside the bitstream")


@pytest.mark.parametrize("shape", [(20, 1), (20,)])
def test_labels_may_be_saved_with_or_without_their_axis(shape: tuple[int, ...], tmp_path: Path) -> None:
    labels = np.arange(20) % 7
    np.savez(tmp_path / "vectors.npz", frames=FRAMES, outputs=labels.reshape(shape))
    end = emit_ip.Port(stream=Chain("x", (1,), 4, U, 1).here, word_bytes=4)
    row = description(output=emit_ip.port_row(end))
    found = verify(lambda _: labels, *given_and_taken(row), str(tmp_path / "vectors.npz"))
    assert (found.frames, found.equal, found.first) == (20, 20, None)
    wrong = labels.copy()
    wrong[7] = 9
    assert verify(lambda _: wrong, *given_and_taken(row), str(tmp_path / "vectors.npz")).first == 7


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


def drives(accelerator: Accelerator, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver classifies 20 frames on the RTL of the IP core."""
    monkeypatch.syspath_prepend(str(HERE))  # the runner hands it to the simulator's Python
    rtl = folder / "rtl"
    rtl.mkdir()
    core = emit_ip.emit(accelerator, rtl, word_bytes=4)
    design = block_design(catalog.load("pynq-z2"), 100.0, core["top"], 4)
    (rtl / "shim.sv").write_text(shim(core["top"], 32))
    (folder / "core.hwh").write_text(hwh(design, core["top"], f"{core['top']}_sim"))
    (folder / "core.json").write_text(json.dumps(describe(core, design)))
    frames = some_frames(accelerator.input, np.random.default_rng(0), 20)
    np.savez(folder / "vectors.npz", frames=frames, outputs=golden.run(accelerator, frames))
    environment = {
        "HWH_LOCATION_DIR": str(folder),
        "DRIVER_FOLDER": str(folder),
        "DRIVER_PACKAGE": str(Path(adiabit_driver.__file__).parent.parent),
    }
    sources = [RTL / "bnn_registers.vlt", *(rtl / s for s in core["sources"]), rtl / "shim.sv"]
    top = f"{core['top']}_sim"
    assert_passes("bench_driver", top, sources, folder, environment, tests=3, build_args=["-Wno-fatal"])


def test_the_driver_classifies_on_our_rtl(
    tmp_path: Path, tool_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drives(network(), tmp_path, monkeypatch)


NAMES = ["<b>", 'drei "Ecken"', "正方形"]


def named(**changes: Any) -> adiabit_driver.Port:
    """The output port of :func:`description` with class names, read back from JSON."""
    row = {**description(**changes)["output"], "names": NAMES}
    return adiabit_driver.Port(json.loads(json.dumps(row)), 4)


def test_the_driver_names_the_classes() -> None:
    end = emit_ip.port_row(emit_ip.Port(stream=Chain("x", (1,), 2, U, 1).here, word_bytes=4))
    labels = named(output=end)
    found = labels.named(labels.label(np.array([2, 0, 1])))
    assert found.tolist() == [NAMES[2], NAMES[0], NAMES[1]]
    with pytest.raises(ValueError, match="class 3 came out, but the description names 3 classes"):
        labels.named(np.array([3]))
    sums = named(output__scale=[1, -1, 1], output__offset=[0, 0, 2])
    outputs = np.array([[3, 1, 0], [3, -4, 0], [1, 0, 1]])
    assert sums.label(outputs).tolist() == [0, 1, 2]
    assert adiabit_driver.Port(description()["output"], 4).named(outputs) is outputs
    with pytest.raises(ValueError, match="names = 3, a list of names is needed"):
        adiabit_driver.Port({**description()["output"], "names": 3}, 4)


def encoded(**rows: Any) -> adiabit_driver.Port:
    """An input port of 8 bits and 6 elements with an encoding."""
    row = emit_ip.port_row(emit_ip.Port(stream=Chain("x", (6,), 8, U, 1).here, word_bytes=4))
    return adiabit_driver.Port(json.loads(json.dumps({**row, "encoding": rows})), 4)


def test_the_driver_encodes_exactly_as_the_training() -> None:
    rng = np.random.default_rng(0)
    for seed in range(30):
        low = rng.normal(size=6) * 10.0 ** rng.integers(-300, 300, 6)
        step = np.abs(rng.normal(size=6)) * 10.0 ** rng.integers(-300, 300, 6) * rng.integers(0, 4, 6).clip(0, 1)
        ours = Encoding(low=tuple(low.tolist()), step=tuple(step.tolist()), fill=tuple(low.tolist()))
        theirs = encoded(low=list(ours.low), step=list(ours.step), fill=list(ours.fill))
        halves = low + (rng.integers(-3, 260, (200, 6)) + 0.5) * step  # ties, and what is clipped
        odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324], (200, 6))
        small = halves.clip(-1e30, 1e30).astype(np.float32)
        for rows in (halves, odd, small, rng.integers(-9, 300, (20, 6))):
            expected = ours.encode(rows)
            assert expected.dtype == np.uint8
            assert np.array_equal(theirs.encode(rows), expected), seed


def test_encodings_are_written_out_by_hand() -> None:
    port = encoded(low=[0, 0, 10, -1, 5, 0], step=[1, 0.5, 1, 2 / 255, 0, 1e-300])
    rows = [[2.5, 1.75, 9, 0, 7, 1], [3.5, 1000, 266, 1, -7, -1]]
    assert port.encode(rows).tolist() == [[2, 4, 0, 128, 0, 255], [4, 255, 255, 255, 0, 0]]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (np.zeros((2, 5)), "rows have shape (2, 5); at least one of 6 features is needed"),
        (np.zeros(6), "rows have shape (6,); at least one of 6 features is needed"),
        (np.zeros((0, 6)), "rows have shape (0, 6); at least one of 6 features is needed"),
        (np.full((1, 6), np.nan), "row 0, feature 0 is NaN; the network was trained without missing values"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: Any, text: str) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        encoded(low=[0.0], step=[1.0]).encode(rows)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ({"low": [0]}, "'step'"),
        ({"low": [0, 0], "step": [1]}, "encoding: low = [0, 0], 6 numbers are needed"),
        ({"low": [0], "step": [-1]}, "encoding: step = [-1], numbers of at least 0 are needed"),
        ({"low": [0], "step": ["1"]}, "encoding: step = ['1'], 6 numbers are needed"),
        ({"low": [0], "step": [float("nan")]}, "encoding: step = [nan], 6 numbers are needed"),
        ({"low": [0], "step": [1], "fill": [1, 2]}, "encoding: fill = [1, 2], 6 numbers are needed"),
    ],
)
def test_encodings_that_cannot_be_are_refused(rows: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, KeyError)) as caught:
        encoded(**rows)
    assert str(caught.value) == text


def test_reals_are_told_of_the_encoding() -> None:
    with pytest.raises(ValueError, match="integers from 0 to 255 are needed; encode makes them of raw features"):
        encoded(low=[0.0], step=[1.0]).check(np.zeros((1, 6)))
    with pytest.raises(ValueError, match="the description has no encoding: the network was trained on bytes"):
        adiabit_driver.Port(description()["input"], 4).encode(np.zeros((1, 24)))


def test_a_legend_goes_from_the_accelerator_to_the_driver(tmp_path: Path) -> None:
    encoding = Encoding(low=(0.5,), step=(0.1,))
    made = dataclasses.replace(network(), legend=Legend(names=tuple(NAMES), encoding=encoding))
    storage.save(made, tmp_path)
    assert storage.load(tmp_path) == made
    assert storage.digest(made) == storage.digest(network())  # the circuit is the same
    (rtl := tmp_path / "rtl").mkdir()
    core = emit_ip.emit(made, rtl, word_bytes=4)
    design = block_design(catalog.load("pynq-z2"), 100.0, core["top"], 4)
    (tmp_path / "core.json").write_text(json.dumps(describe(core, design)))
    _, given, taken = load_description(tmp_path / "core.json", ("identity", "dma"))
    assert taken.names == tuple(NAMES)
    assert np.array_equal(given.encode(np.full((1, 36), 3.0)), np.full((1, 6, 6, 1), 25))
    with pytest.raises(UserError, match="accelerator core: 2 names for 3 classes"):
        dataclasses.replace(made, legend=Legend(names=("a", "b")))
    with pytest.raises(UserError, match="accelerator core: an encoding of 2 features for an input of 36"):
        dataclasses.replace(made, legend=Legend(encoding=Encoding(low=(0.0, 0.0), step=(1.0, 1.0))))
