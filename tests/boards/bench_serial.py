# SPDX-License-Identifier: Apache-2.0
"""The chip with its serial line on one end of a pseudo-terminal, the host's tool on the other."""

from __future__ import annotations

import json
import os
import sys
import tty
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

T = TypeVar("T")
FOLDER = Path(os.environ["DRIVER_FOLDER"])
sys.path.insert(0, os.environ["DRIVER_PACKAGE"])
DESCRIPTION = FOLDER / "core.json"
DIVIDER, LIT = int(os.environ["DIVIDER"]), os.environ["LIT"]

from adiabit_driver import DriverError, SerialAccelerator  # type: ignore[import-not-found]  # noqa: E402
from adiabit_driver.__main__ import main  # type: ignore[import-not-found]  # noqa: E402


async def receive(dut: Any, terminal: int) -> None:
    """What the chip sends, to the terminal."""
    while True:
        await ClockCycles(dut.clk, 1)
        if dut.tx.value == 0:
            await ClockCycles(dut.clk, DIVIDER + DIVIDER // 2)
            byte = 0
            for i in range(8):
                byte |= int(dut.tx.value) << i
                await ClockCycles(dut.clk, DIVIDER)
            assert dut.tx.value == 1, "a stop bit"
            os.write(terminal, bytes([byte]))


async def send(dut: Any, terminal: int) -> None:
    """What the host wrote into the terminal, to the chip."""
    while True:
        try:
            data = os.read(terminal, 4096)
        except BlockingIOError:
            data = b""
        for byte in data:
            for bit in (0, *((byte >> i) & 1 for i in range(8)), 1):
                dut.rx.value = bit
                await ClockCycles(dut.clk, DIVIDER)
        await ClockCycles(dut.clk, 5)


async def connect(dut: Any) -> str:
    """Clock, line and terminal; the host's end of it."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    dut.rx.value = 1
    cocotb.start_soon(Clock(dut.clk, 40, unit="ns").start())
    await ClockCycles(dut.clk, 30)
    cocotb.start_soon(receive(dut, ours))
    cocotb.start_soon(send(dut, ours))
    return os.ttyname(theirs)


async def beside(dut: Any, host: Callable[[], T]) -> T:
    """Run the host in a thread while the chip's time goes on."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(host)
        while not done.done():
            await ClockCycles(dut.clk, 100)
        return done.result()


def busy(dut: Any) -> bool:
    """Whether the highest LED is on: a frame is under way."""
    return str(dut.led.value)[0] == LIT


async def settle(dut: Any) -> None:
    """Wait for the rest of a frame whose result came before its end."""
    quiet = 0
    while quiet < 20:
        await ClockCycles(dut.clk, 100)
        quiet = 0 if busy(dut) else quiet + 1


@cocotb.test()
async def the_hosts_tool_classifies_and_verifies(dut: Any) -> None:
    port = await connect(dut)

    def host() -> None:
        with np.load(FOLDER / "vectors.npz") as saved:
            frames, outputs = saved["frames"], saved["outputs"]
        line = SerialAccelerator(str(DESCRIPTION), port, timeout=60)
        assert np.array_equal(line.outputs(frames[:4]).reshape(4, -1), outputs[:4].reshape(4, -1))
        told = line.verify(str(FOLDER / "vectors.npz"))
        assert str(told) == f"{len(frames)} of {len(frames)} frames equal"
        line.close()
        saved = ["--verify", str(FOLDER / "vectors.npz"), "--save", str(FOLDER / "board.json")]
        assert main([str(DESCRIPTION), "--port", port, *saved]) == 0

    await beside(dut, host)
    await settle(dut)


@cocotb.test()
async def a_frame_that_breaks_off_is_forgotten(dut: Any) -> None:
    port = await connect(dut)

    def half_a_frame() -> None:
        line = SerialAccelerator(str(DESCRIPTION), port, timeout=60)
        line.line.write(b"?F" + bytes(line.input.frame_bytes - 1))
        line.close()

    def whole_frames() -> None:
        with np.load(FOLDER / "vectors.npz") as saved:
            frames, outputs = saved["frames"][:3], saved["outputs"][:3]
        line = SerialAccelerator(str(DESCRIPTION), port, timeout=60)
        assert np.array_equal(line.outputs(frames).reshape(3, -1), outputs.reshape(3, -1))

    await beside(dut, half_a_frame)
    while not busy(dut):  # the first bytes are under way
        await ClockCycles(dut.clk, 10)
    while busy(dut):
        await ClockCycles(dut.clk, 1000)
    await beside(dut, whole_frames)
    await settle(dut)


@cocotb.test()
async def another_circuit_is_refused(dut: Any) -> None:
    port = await connect(dut)

    def host() -> str:
        description = json.loads(DESCRIPTION.read_text())
        other = FOLDER / "other.json"
        other.write_text(json.dumps({**description, "identity": "0123456789abcdef"}))
        try:
            SerialAccelerator(str(other), port, timeout=60)
        except DriverError as error:
            return str(error)
        return ""

    identity = json.loads(DESCRIPTION.read_text())["identity"]
    assert await beside(dut, host) == (
        f"{port}: the circuit is accelerator {identity}, {FOLDER / 'other.json'} is of 0123456789abcdef; "
        "load the bitstream of this description"
    )
