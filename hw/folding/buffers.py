# SPDX-License-Identifier: Apache-2.0
"""FIFOs on the edges of an accelerator: at the depths that a rule computes, or those that somebody chose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.deadlock import least
from adiabit.hw.folding.pace import full_rate
from adiabit.hw.stages import Fifo, Stage


class Rule(StrEnum):
    """What the depths are computed for."""

    FULL_RATE = "full-rate"  # a frame takes no longer than the slowest stage
    LEAST = "least"  # no deadlock


FULL_RATE = Rule.FULL_RATE
Buffers = Rule | Mapping[str, int]  # a rule, or places by stream; an edge that is not named has no FIFO


def depths(accelerator: Accelerator, buffers: Buffers) -> dict[str, int]:
    """Places of the FIFO on each edge that has one, by the stream that it reads."""
    if isinstance(buffers, Rule):
        return full_rate(accelerator) if buffers is Rule.FULL_RATE else least(accelerator)
    return dict(buffers)


def buffered(accelerator: Accelerator, buffers: Buffers = FULL_RATE) -> Accelerator:
    """An accelerator without FIFOs, with them; `UserError` where a stream is no edge or a depth is below 2."""
    chosen = depths(accelerator, buffers)
    edges = {name for name in accelerator.producers if name in accelerator.consumers}
    for name, depth in chosen.items():
        if name not in edges:
            raise UserError(f"buffers: {name}: no stream between two stages; there are {sorted(edges)}")
        if depth < 2:
            raise UserError(f"buffers: {name}: depth {depth}; a FIFO holds at least 2 beats; drop the key for none")
    stages: list[Stage] = []
    for stage in accelerator.stages:
        inputs = []
        for stream in stage.inputs:
            if stream.name not in chosen:
                inputs.append(stream)
                continue
            held = dataclasses.replace(stream, name=f"{stream.name}_held")
            fifo = Fifo(name=f"{stream.name}_fifo", inputs=(stream,), outputs=(held,), depth=chosen[stream.name])
            stages.append(fifo)
            inputs.append(held)
        moved = tuple(inputs) != stage.inputs
        stages.append(dataclasses.replace(stage, inputs=tuple(inputs)) if moved else stage)
    return dataclasses.replace(accelerator, stages=tuple(stages))
