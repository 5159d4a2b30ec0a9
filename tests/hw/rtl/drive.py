# SPDX-License-Identifier: Apache-2.0
"""What every cocotb test shares: a clock, a reset, and one driver of a stream in and a stream out."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

PATIENCE = 300  # cycles without a beat, beside a frame's, at p_valid = p_ready = 1, after which none is coming


class Ends:
    """The handles of one design's AXI-Stream ends in the bench top: `<name>_s_axis_tdata` and so on."""

    def __init__(self, dut: Any, name: str) -> None:
        self.clk, self.rst = dut.clk_i, dut.rst_ni
        self.s_data, self.s_valid, self.s_ready = (
            getattr(dut, f"{name}_s_axis_{end}") for end in ("tdata", "tvalid", "tready")
        )
        self.m_data, self.m_valid, self.m_ready, self.m_last = (
            getattr(dut, f"{name}_m_axis_{end}") for end in ("tdata", "tvalid", "tready", "tlast")
        )


def start(dut: Any, name: str) -> Ends:
    """Start the clock, in reset; once a test."""
    ends = Ends(dut, name)
    ends.rst.value = 0  # before the first rising edge: the assertions speak of what follows a reset
    cocotb.start_soon(Clock(ends.clk, 10, unit="ns").start(start_high=False))
    return ends


async def reset(ends: Ends) -> None:
    """Hold the reset over one rising edge, which must do. What happens around it is driven on falling edges."""
    await FallingEdge(ends.clk)
    ends.rst.value = 0
    ends.s_valid.value = 0
    ends.m_ready.value = 0
    await FallingEdge(ends.clk)
    ends.rst.value = 1


async def drive(
    ends: Ends, beats: list[int], count: int, *, cycles: int, p_valid: float, p_ready: float, rng: random.Random
) -> list[tuple[int, int, int]]:
    """Send `beats` and collect `count` (cycle, beat, last) of the output; offered and taken with a probability a cycle.

    A beat that was offered stays offered until it is taken. Fails when nothing moves for `cycles` and more.
    """
    got: list[tuple[int, int, int]] = []
    sent, offered, idle, cycle = 0, False, 0, 0
    while len(got) < count:
        offered = sent < len(beats) and (offered or rng.random() < p_valid)
        ready = rng.random() < p_ready
        ends.s_valid.value = int(offered)
        ends.s_data.value = beats[sent] if offered else rng.getrandbits(len(ends.s_data))
        ends.m_ready.value = int(ready)
        await ReadOnly()  # all settled: this is what the next rising edge sees
        taken = offered and bool(ends.s_ready.value)
        given = ready and bool(ends.m_valid.value)
        if taken:
            sent, offered = sent + 1, False
        if given:
            got.append((cycle, int(ends.m_data.value), int(ends.m_last.value)))
        idle = 0 if taken or given else idle + 1
        assert idle < (PATIENCE + cycles) / min(p_valid, p_ready), (
            f"stuck: {sent}/{len(beats)} beats in, {len(got)}/{count} out"
        )
        cycle += 1
        await FallingEdge(ends.clk)
    return got
