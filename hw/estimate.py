# SPDX-License-Identifier: Apache-2.0
"""What an accelerator will cost and how fast it will be, before anything is synthesized.

Cycles are exact (they are what the RTL is measured to take), LUT, FF and block RAM are fitted; see
:mod:`adiabit.hw.stages.cost`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.events import execute
from adiabit.hw.stages.cost import Resources


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One stage's row."""

    name: str
    kind: str
    cycles: int  # from one frame to the next
    latency: int  # cycles that the stage adds on a frame's way
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Every stage's row, and the whole."""

    stages: tuple[StageEstimate, ...]
    latency: int  # cycles from the first beat of a frame to its result in an idle circuit

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state: the slowest stage's."""
        return max(s.cycles for s in self.stages)

    @property
    def resources(self) -> Resources:
        """All stages together."""
        return sum((s.resources for s in self.stages), Resources())


def estimate(accelerator: Accelerator) -> Estimate:
    """Cycles, latency and resources of each stage and of the whole."""
    ends = result_times(accelerator)
    rows = []
    for stage in accelerator.stages:
        before = max(ends.get(s.name, 0) for s in stage.inputs)
        late = max(ends[s.name] for s in stage.outputs) - before
        rows.append(
            StageEstimate(
                name=stage.name, kind=type(stage).__name__, cycles=stage.cycles, latency=late, resources=stage.cost()
            )
        )
    return Estimate(stages=tuple(rows), latency=ends[accelerator.output.name])


def result_times(accelerator: Accelerator) -> dict[str, int]:
    """When the last beat of a frame is taken from each stream but the host's, in an idle circuit.

    Cycles from the host's first beat, which is taken in cycle 1.
    """
    moves = execute(accelerator, np.arange(accelerator.input.beats), 1)
    return {
        stream.name: int(made[-1]) + 1
        for stage in accelerator.stages
        for stream, made in zip(stage.outputs, moves[stage.name].made, strict=True)
    }


def resources_of(accelerator: Accelerator) -> Resources:
    """What all stages take together."""
    return sum((stage.cost() for stage in accelerator.stages), Resources())
