# SPDX-License-Identifier: Apache-2.0
"""Levels of logic between registers: as many as the clock allows, because registers cost area and cycles.

Where a net from a block RAM and a level do not fit into a period together, a register lies between them.
"""

from __future__ import annotations

import dataclasses

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages.product import Product

SHARE = 0.6  # of a clock period that levels may take; the rest is for registers, memories and detours


def levels_at(clock_mhz: float, level_ns: float) -> int:
    """Levels of counters or adders in a clock period, at least 1; `level_ns` is the delay of one with its routing."""
    return max(1, int(SHARE * 1000 / clock_mhz / level_ns))


def pipelined(accelerator: Accelerator, clock_mhz: float, level_ns: float, memory_ns: float) -> Accelerator:
    """The accelerator with the registers that it needs at a clock.

    `level_ns`: delay of a level of counters or adders; `memory_ns`: from a block RAM to a level; with their routing.
    """
    levels, apart = levels_at(clock_mhz, level_ns), memory_ns + level_ns > 1000 / clock_mhz
    stages = (
        dataclasses.replace(s, levels=levels, memory_register=apart) if isinstance(s, Product) else s
        for s in accelerator.stages
    )
    return dataclasses.replace(accelerator, stages=tuple(stages))
