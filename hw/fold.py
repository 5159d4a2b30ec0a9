# SPDX-License-Identifier: Apache-2.0
"""Folding: how many lanes each stage works on at once; :mod:`adiabit.hw.solve` chooses it for a target.

Folding changes lanes alone, never values; where two neighbours differ in lanes, width converters join them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adiabit.errors import UserError
from adiabit.hw.accelerator import (
    Accelerator,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Stage,
    Stream,
    WidthConverter,
    Window,
    divisors,
    nearest_divisors,
)
from adiabit.hw.queues import queued


@dataclass(frozen=True, kw_only=True, order=True)
class Folding:
    """Parallelism of one stage; PE and SIMD as in FINN. A stage that is no product has `pe` lanes."""

    pe: int = 1  # rows a cycle; divides MH
    simd: int = 1  # columns a cycle; divides MW
    memory: Memory | None = None  # of the weights; None: as it is


def foldable(accelerator: Accelerator) -> tuple[Stage, ...]:
    """The stages whose lanes can be chosen: all but the width converters."""
    return tuple(s for s in accelerator.stages if not isinstance(s, WidthConverter))


def apply(accelerator: Accelerator, folding: Mapping[str, Folding]) -> Accelerator:
    """The accelerator at this folding; a stage that is not named keeps its lanes. Old converters are replaced.

    `UserError` names a stage that there is not, and a PE or SIMD that does not divide, with the nearest that do.
    """
    stages = foldable(accelerator)
    _check(stages, folding)
    current = folding_of(accelerator)
    chosen = {s.name: folding.get(s.name, current[s.name]) for s in stages}
    slowest = max(cycles_of(s, chosen[s.name]) for s in stages)
    built: list[Stage] = []
    stream = dataclasses.replace(accelerator.input, lanes=lanes_of(stages[0], chosen[stages[0].name])[0])
    for stage in stages:
        lanes, out_lanes = lanes_of(stage, chosen[stage.name])
        for converter in _converters(stream, lanes, stage.name, slowest):
            built.append(converter)
            stream = converter.output
        output = dataclasses.replace(stage.output, lanes=out_lanes)
        changes: dict[str, Any] = {"inputs": (stream,), "outputs": (output,)}
        if isinstance(stage, MatrixVector):
            changes["memory"] = chosen[stage.name].memory or stage.memory
        elif isinstance(stage, Pad | Window):
            changes["queue"] = 0  # of the folding that was; `queued` gives the new one
        built.append(dataclasses.replace(stage, **changes))
        stream = output
    return queued(dataclasses.replace(accelerator, stages=tuple(built)))


def folding_of(accelerator: Accelerator) -> dict[str, Folding]:
    """The folding of each stage as it is."""
    return {
        s.name: Folding(pe=s.pe, simd=s.simd, memory=s.memory)
        if isinstance(s, MatrixVector)
        else Folding(pe=s.output.lanes if isinstance(s, Window) else s.input.lanes)
        for s in foldable(accelerator)
    }


def _check(stages: Iterable[Stage], folding: Mapping[str, Folding]) -> None:
    by_name = {s.name: s for s in stages}
    for name, wanted in folding.items():
        if name not in by_name:
            raise UserError(f"folding: {name}: no such stage; there are {sorted(by_name)}")
        stage = by_name[name]
        limits = [("pe", wanted.pe, _rows(stage))] if wanted.pe not in choices_of(stage) else []
        if isinstance(stage, MatrixVector):
            limits.append(("simd", wanted.simd, stage.input.channels))
        for key, value, size in limits:
            if value < 1 or size % value:
                raise UserError(
                    f"folding: {name}: {key}={value} does not divide {size}; "
                    f"nearest that do: {nearest_divisors(size, value)}"
                )
        if (
            isinstance(stage, MatrixVector)
            and wanted.memory is Memory.HARDWIRED
            and cycles_of(stage, wanted) > stage.vectors
        ):
            raise UserError(f"folding: {name}: hard-wired weights need a fold of 1; use pe={_rows(stage)} and "
                            f"simd={stage.input.channels}, or another memory")  # fmt: skip


def _rows(stage: Stage) -> int:
    return stage.weights.shape[0] if isinstance(stage, MatrixVector) else stage.input.channels


def choices_of(stage: Stage) -> list[int]:
    """What `pe` may be: it divides the rows or channels, or is a whole window."""
    whole = [math.prod(stage.kernel) * stage.input.channels] if isinstance(stage, Window) else []
    return sorted({*divisors(_rows(stage)), *whole})


def lanes_of(stage: Stage, folding: Folding) -> tuple[int, int]:
    """Lanes of a stage's input and output."""
    if isinstance(stage, MatrixVector):
        return folding.simd, folding.pe
    if isinstance(stage, Window):
        return min(folding.pe, stage.input.channels), folding.pe
    return folding.pe, 1 if isinstance(stage, LabelSelect) else folding.pe


def cycles_of(stage: Stage, folding: Folding) -> int:
    """Cycles a frame of a stage at this folding."""
    lanes, out_lanes = lanes_of(stage, folding)
    if isinstance(stage, MatrixVector):
        return stage.vectors * (_rows(stage) // out_lanes) * (stage.input.channels // lanes)
    return max(stage.input.elements // lanes, stage.output.elements // out_lanes)


def _converters(stream: Stream, lanes: int, name: str, slowest: int) -> list[WidthConverter]:
    """One converter where one lane count divides the other, else two."""
    path = lane_path(stream, lanes, slowest)
    converters = []
    for k, step in enumerate(path):
        single = len(path) == 1
        out = dataclasses.replace(stream, lanes=step, name=f"{name}_in" if step == path[-1] else f"{name}_mid")
        converters.append(WidthConverter(name=f"{name}_width{'' if single else k}", inputs=(stream,), outputs=(out,)))
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
