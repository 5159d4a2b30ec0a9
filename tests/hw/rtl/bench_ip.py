# SPDX-License-Identifier: Apache-2.0
"""Cocotb bench of an IP core: what a DMA and a processor see of it, by cocotbext-axi."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource
from registers import REGISTERS  # type: ignore[import-not-found]  # beside this file, on the simulator's path

from adiabit.hw import golden, storage
from adiabit.hw.emit import ip as emit_ip

ACCELERATOR = storage.load(Path(os.environ["ACCELERATOR"]))
GIVEN, RESULT = emit_ip.ports(ACCELERATOR, int(os.environ["WORD_BYTES"]))
CLEAR, RESTART = 1, 2


class Core:
    """The core with a bus master, a source and a sink."""

    def __init__(self, dut: Any, seed: int = 0) -> None:
        self.dut, self.random = dut, random.Random(seed)  # noqa: S311
        at = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), **at)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **at)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **at)

    async def start(self) -> None:
        """Clock and reset."""
        self.dut.aresetn.value = 0
        cocotb.start_soon(Clock(self.dut.aclk, 10, unit="ns").start())
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def pauses(self, gaps: float, stalls: float) -> None:
        """The source pauses with one probability a cycle, the sink with the other."""
        self.source.set_pause_generator(self.random.random() < gaps for _ in itertools.count())
        self.sink.set_pause_generator(self.random.random() < stalls for _ in itertools.count())

    async def read(self, name: str) -> int:
        """A register."""
        return int(await self.bus.read_dword(REGISTERS[name]))

    async def classify(self, frames: Any, *, rest: bool = False) -> Any:
        """A batch: one packet in, one packet out. `rest`: the sink holds words that no TLAST has ended, which go."""
        await self.source.send(AxiStreamFrame(GIVEN.pack(frames).tobytes()))
        packet = await self.sink.recv()
        got, size = np.frombuffer(bytes(packet.tdata), np.uint8), len(frames) * RESULT.frame_bytes
        assert len(got) == size or rest
        return RESULT.unpack(got[-size:].reshape(len(frames), -1))


def some_frames(count: int, seed: int = 0) -> Any:
    low, high = ACCELERATOR.input.range
    return np.random.default_rng(seed).integers(low, high, (count, *ACCELERATOR.input.shape), endpoint=True)


@cocotb.test()
async def tells_who_it_is(dut: Any) -> None:
    core = Core(dut)
    await core.start()
    assert await core.read("magic") == 0x41444231
    identity = await core.read("identity_high") << 32 | await core.read("identity_low")
    assert f"{identity:016x}" == storage.digest(ACCELERATOR)
    shape = [await core.read(name) for name in ("word_bytes", "input_words", "output_words")]
    assert shape == [GIVEN.word_bytes, GIVEN.words, RESULT.words]
    assert [await core.read(name) for name in ("status", "frames_in", "frames_out", "cycles")] == [0] * 4


@cocotb.test()
@cocotb.parametrize(gaps=[0.0, 0.4], stalls=[0.0, 0.6])
async def batches_come_back_as_batches(dut: Any, gaps: float, stalls: float) -> None:
    core = Core(dut)
    await core.start()
    core.pauses(gaps, stalls)
    total = 0
    for seed, count in enumerate((1, 7, 3)):
        frames = some_frames(count, seed)
        assert (await core.classify(frames) == golden.run(ACCELERATOR, frames)).all()
        total += count
        assert [await core.read(name) for name in ("frames_in", "frames_out", "status")] == [total, total, 0]
    assert await core.read("cycles") >= total * min(GIVEN.words, ACCELERATOR.cycles)
    assert (await core.read("input_gaps") > 0) or not gaps
    assert (await core.read("output_stalls") > 0) == (stalls > 0)


@cocotb.test()
async def batches_may_follow_without_a_pause(dut: Any) -> None:
    core = Core(dut)
    await core.start()
    batches = [some_frames(count, count) for count in (2, 1, 1, 1, 5, 1)]
    for batch in batches:
        await core.source.send(AxiStreamFrame(GIVEN.pack(batch).tobytes()))
    for batch in batches:
        packet = await core.sink.recv()
        got = RESULT.unpack(np.frombuffer(bytes(packet.tdata), np.uint8).reshape(-1, RESULT.frame_bytes))
        assert (got == golden.run(ACCELERATOR, batch)).all()


@cocotb.test()
async def counters_tell_of_waiting_and_are_cleared(dut: Any) -> None:
    core = Core(dut)
    await core.start()
    core.sink.pause = True
    await core.source.send(AxiStreamFrame(GIVEN.pack(some_frames(40)).tobytes()))
    await ClockCycles(dut.aclk, 60 * ACCELERATOR.cycles)
    before = await core.read("output_stalls")
    assert before > 0
    assert await core.read("input_stalls") > 0
    assert await core.read("status") == 1
    core.sink.pause = False
    await core.sink.recv()
    assert await core.read("status") == 0
    await core.bus.write_dword(REGISTERS["control"], CLEAR)
    names = ("frames_in", "frames_out", "cycles", "input_stalls", "input_gaps", "output_stalls")
    assert [await core.read(name) for name in names] == [0] * 6


@cocotb.test()
async def a_packet_that_ends_inside_of_a_frame_is_told_and_forgotten(dut: Any) -> None:
    core = Core(dut)
    await core.start()
    frames = some_frames(2)
    await core.source.send(AxiStreamFrame(GIVEN.pack(frames).tobytes()[: -GIVEN.word_bytes]))
    await ClockCycles(dut.aclk, 20 * ACCELERATOR.cycles)
    assert await core.read("status") == 3  # busy, misaligned
    await core.bus.write_dword(REGISTERS["control"], CLEAR | RESTART)
    await ClockCycles(dut.aclk, 4)
    assert await core.read("status") == 0
    assert (await core.classify(frames, rest=True) == golden.run(ACCELERATOR, frames)).all()


@cocotb.test()
async def a_reset_in_the_middle_forgets_all(dut: Any) -> None:
    core = Core(dut)
    await core.start()
    await core.source.send(AxiStreamFrame(GIVEN.pack(some_frames(5)).tobytes()))
    await ClockCycles(dut.aclk, GIVEN.words + 3)
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 1)
    dut.aresetn.value = 1
    core.source.clear()
    core.sink.clear()
    await ClockCycles(dut.aclk, 2)
    assert [await core.read(name) for name in ("status", "frames_in", "cycles")] == [0] * 3
    fresh = some_frames(3, 9)
    assert (await core.classify(fresh) == golden.run(ACCELERATOR, fresh)).all()
