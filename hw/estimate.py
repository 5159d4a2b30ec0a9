# SPDX-License-Identifier: Apache-2.0
"""Estimates of cycles, latency and resources, without synthesis.

Cycles are exact: the RTL takes as many. Resources come from the fitted model of :mod:`adiabit.hw.stages.cost`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.events import Events
from adiabit.hw.stages.cost import Resources


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """The estimate of one stage."""

    name: str
    kind: str
    cycles: int  # from one frame to the next
    latency: int  # cycles that the stage adds to that of a frame
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The estimate of an accelerator and of each stage."""

    stages: tuple[StageEstimate, ...]
    latency: int  # cycles from the first beat of a frame to its last result, in an idle circuit

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state, those of the slowest stage."""
        return max(s.cycles for s in self.stages)

    @property
    def resources(self) -> Resources:
        """Sum over the stages."""
        return sum((s.resources for s in self.stages), Resources())


def estimate(accelerator: Accelerator) -> Estimate:
    """Estimate an accelerator and each of its stages."""
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
    """By stream but the input, the cycle in which the last beat of a frame is taken, in an idle circuit.

    The first beat from the host is taken in cycle 1.
    """
    moves = Events(accelerator).free(np.arange(accelerator.input.beats), 1)
    return {
        stream.name: int(made[-1]) + 1
        for stage in accelerator.stages
        for stream, made in zip(stage.outputs, moves[stage.name].made, strict=True)
    }


def resources_of(accelerator: Accelerator) -> Resources:
    """Estimated resources of all stages."""
    return sum((stage.cost() for stage in accelerator.stages), Resources())
