# SPDX-License-Identifier: Apache-2.0
"""Levels of logic between registers: as many as the clock allows, because registers cost area and cycles."""

from __future__ import annotations

import dataclasses

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages.product import Product

SHARE = 0.6  # of a clock period that levels may take; the rest is for registers, memories and detours


def levels_at(clock_mhz: float, level_ns: float) -> int:
    """Levels of counters or adders in a clock period, at least 1; `level_ns` is the delay of one with its routing."""
    return max(1, int(SHARE * 1000 / clock_mhz / level_ns))


def pipelined(accelerator: Accelerator, levels: int) -> Accelerator:
    """The accelerator with registers after every `levels` levels of its sums."""
    stages = (dataclasses.replace(s, levels=levels) if isinstance(s, Product) else s for s in accelerator.stages)
    return dataclasses.replace(accelerator, stages=tuple(stages))
