# SPDX-License-Identifier: Apache-2.0
"""Registers lie as many levels apart as the clock allows, which changes latency and registers alone."""

from __future__ import annotations

import numpy as np
import pytest

from adiabit.hw import golden
from adiabit.hw.estimate import resources_of
from adiabit.hw.folding.pipelining import levels_at, pipelined
from adiabit.hw.stages import MatrixVector, Memory
from adiabit.hw.stages.sums import popcount_latency, popcount_registers, sum_latency, sum_registers
from tests.hw.folding.test_memories import NET


@pytest.mark.parametrize(
    ("clock_mhz", "level_ns", "levels"), [(100, 2.0, 3), (200, 1.2, 2), (300, 2.0, 1), (25, 5.0, 4), (500, 5.0, 1)]
)
def test_levels_fill_three_fifths_of_the_period(clock_mhz: float, level_ns: float, levels: int) -> None:
    assert levels_at(clock_mhz, level_ns) == levels


def test_more_levels_take_fewer_registers_and_cycles_for_equal_results() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, *NET.input.shape))
    want, before = golden.run(NET, frames), resources_of(NET)
    made = pipelined(NET, 100, 3.0, 1.0)
    assert {(s.levels, s.memory_register) for s in made.stages if isinstance(s, MatrixVector)} == {(2, False)}
    assert np.array_equal(golden.run(made, frames), want)
    assert resources_of(made).ffs < before.ffs
    assert resources_of(made).luts == before.luts


def test_weights_pass_a_register_where_their_way_and_a_level_do_not_fit_into_a_period() -> None:
    near, far = (pipelined(NET, 100, 5.0, memory_ns) for memory_ns in (5.0, 5.1))
    blocks = [s for s in far.stages if isinstance(s, MatrixVector) and s.resolved_memory is Memory.BLOCK]
    assert blocks
    assert all(s.memory_register for s in blocks)
    assert resources_of(far).ffs > resources_of(near).ffs


def test_registers_are_counted_where_they_are() -> None:
    # 14 positions: 3 bits of weight 1 and 6 of weight 2; these make 3 bits by a counter; then an adder of 4 bits
    assert [popcount_latency(14, weighted=True, levels=n) for n in (1, 2, 3)] == [3, 2, 1]
    assert [popcount_registers(14, weighted=True, levels=n) for n in (1, 2, 3)] == [9 + 6 + 4, 6 + 4, 4]
    # 40 terms of 3 bits: 14 of 5, 5 of 7, 2 of 9, 1 of 11
    assert [sum_latency(40, 3, n) for n in (1, 3, 9)] == [4, 2, 1]
    assert [sum_registers(40, 3, n) for n in (1, 3, 9)] == [14 * 5 + 5 * 7 + 2 * 9 + 11, 2 * 9 + 11, 11]
