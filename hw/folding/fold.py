# SPDX-License-Identifier: Apache-2.0
"""Another folding of an accelerator; :mod:`adiabit.hw.folding.solve` chooses one for a target.

Folding changes lanes alone, never values. Where a stage and its reader differ in lanes width converters join them, and
where beats must wait between them FIFOs hold them: this plumbing is made here, and replaced at each folding.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.buffers import FULL_RATE, Buffers, buffered
from adiabit.hw.stages import Folding, Stage, Stream, WidthConverter


def foldable(accelerator: Accelerator) -> tuple[Stage, ...]:
    """The stages whose lanes can be chosen: all but the plumbing."""
    return tuple(s for s in accelerator.stages if not s.plumbing)


def folding_of(accelerator: Accelerator) -> dict[str, Folding]:
    """The folding of each stage as it is."""
    return {s.name: s.folding for s in foldable(accelerator)}


def apply(accelerator: Accelerator, folding: Mapping[str, Folding], buffers: Buffers = FULL_RATE) -> Accelerator:
    """The accelerator at this folding, with its FIFOs; a stage that is not named keeps its lanes.

    `UserError` where a stage is unknown, or a PE or SIMD does not divide, with the nearest that do.
    """
    return buffered(refolded(accelerator, folding), buffers)


def refolded(accelerator: Accelerator, folding: Mapping[str, Folding]) -> Accelerator:
    """The accelerator at this folding, with width converters and no FIFOs."""
    stages = foldable(accelerator)
    chosen = _chosen(stages, folding)
    slowest = max(s.cycles_at(chosen[s.name]) for s in stages)
    edges = edges_of(accelerator)
    shapes = {edges[s.name]: s.shape for stage in stages for s in stage.inputs}
    first = stages[0].lanes(chosen[stages[0].name]).inputs[0]
    streams = {accelerator.input.name: dataclasses.replace(accelerator.input, lanes=first)}
    built: list[Stage] = []
    for stage in stages:
        lanes = stage.lanes(chosen[stage.name])
        inputs = []
        for number, (stream, count) in enumerate(zip(stage.inputs, lanes.inputs, strict=True)):
            stem = stage.name if len(stage.inputs) == 1 else f"{stage.name}_{number}"
            source = streams[edges[stream.name]]
            converters = _converters(source, count, stem, slowest)
            built += converters
            inputs.append(converters[-1].output if converters else source)
        outputs = tuple(
            dataclasses.replace(s, lanes=n, shape=shapes.get(s.name, s.shape))
            for s, n in zip(stage.outputs, lanes.outputs, strict=True)
        )
        streams |= {s.name: s for s in outputs}
        built.append(stage.refolded(chosen[stage.name], tuple(inputs), outputs))
    return dataclasses.replace(accelerator, stages=tuple(built))


def edges_of(accelerator: Accelerator) -> dict[str, str]:
    """The stream that a stage other than the plumbing, or the host, writes for each stream behind it."""
    edges: dict[str, str] = {accelerator.input.name: accelerator.input.name}
    for stage in accelerator.stages:
        for stream in stage.outputs:
            edges[stream.name] = edges[stage.inputs[0].name] if stage.plumbing else stream.name
    return edges


def _chosen(stages: Sequence[Stage], folding: Mapping[str, Folding]) -> dict[str, Folding]:
    by_name = {s.name: s for s in stages}
    for name, wanted in folding.items():
        if name not in by_name:
            raise UserError(f"folding: {name}: unknown stage; there are {sorted(by_name)}")
        by_name[name].check_folding(wanted)
    return {s.name: folding.get(s.name, s.folding) for s in stages}


def _converters(stream: Stream, lanes: int, stem: str, slowest: int) -> list[WidthConverter]:
    """One converter where one lane count divides the other, else two."""
    path = lane_path(stream, lanes, slowest)
    converters = []
    for k, step in enumerate(path):
        single = len(path) == 1
        out = dataclasses.replace(stream, lanes=step, name=f"{stem}_in" if step == path[-1] else f"{stem}_mid")
        converters.append(WidthConverter(name=f"{stem}_width{'' if single else k}", inputs=(stream,), outputs=(out,)))
        stream = out
    return converters


def lane_path(stream: Stream, lanes: int, slowest: int) -> list[int]:
    """The lane counts that width converters make on the way of a stream to `lanes`, in their order."""
    if stream.lanes == lanes:
        return []
    if stream.lanes % lanes == 0 or lanes % stream.lanes == 0:
        return [lanes]
    common = math.gcd(stream.lanes, lanes)
    return [common if stream.elements // common <= slowest else math.lcm(stream.lanes, lanes), lanes]
