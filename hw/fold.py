# SPDX-License-Identifier: Apache-2.0
"""Folding: how many lanes each stage works on at once, chosen by hand, for a frame rate, or within a LUT budget.

Folding changes lanes alone, never values; where two neighbours differ in lanes, width converters join them.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adiabit.errors import UserError
from adiabit.hw import estimate
from adiabit.hw.accelerator import (
    Accelerator,
    GlobalSum,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
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
    slowest = max(_cycles(s, chosen[s.name]) for s in stages)
    built: list[Stage] = []
    stream = dataclasses.replace(accelerator.input, lanes=_lanes(stages[0], chosen[stages[0].name])[0])
    for stage in stages:
        lanes, out_lanes = _lanes(stage, chosen[stage.name])
        for converter in _converters(stream, lanes, stage.name, slowest):
            built.append(converter)
            stream = converter.output
        output = dataclasses.replace(stage.output, lanes=out_lanes)
        changes: dict[str, Any] = {"inputs": (stream,), "outputs": (output,)}
        if isinstance(stage, MatrixVector):
            changes["memory"] = chosen[stage.name].memory or stage.memory
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
        limits = [("pe", wanted.pe, _rows(stage))] if wanted.pe not in _choices(stage) else []
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
            and _cycles(stage, wanted) > stage.vectors
        ):
            raise UserError(f"folding: {name}: hard-wired weights need a fold of 1; use pe={_rows(stage)} and "
                            f"simd={stage.input.channels}, or another memory")  # fmt: skip


def _rows(stage: Stage) -> int:
    return stage.weights.shape[0] if isinstance(stage, MatrixVector) else stage.input.channels


def _choices(stage: Stage) -> list[int]:
    """What `pe` may be: it divides the rows or channels, or is a whole window."""
    whole = [math.prod(stage.kernel) * stage.input.channels] if isinstance(stage, Window) else []
    return sorted({*divisors(_rows(stage)), *whole})


def _lanes(stage: Stage, folding: Folding) -> tuple[int, int]:
    """Lanes of a stage's input and output."""
    if isinstance(stage, MatrixVector):
        return folding.simd, folding.pe
    if isinstance(stage, Window):
        return min(folding.pe, stage.input.channels), folding.pe
    return folding.pe, 1 if isinstance(stage, LabelSelect) else folding.pe


def _cycles(stage: Stage, folding: Folding) -> int:
    lanes, out_lanes = _lanes(stage, folding)
    if isinstance(stage, MatrixVector):
        return stage.vectors * (_rows(stage) // out_lanes) * (stage.input.channels // lanes)
    return max(stage.input.elements // lanes, stage.output.elements // out_lanes)


def _converters(stream: Stream, lanes: int, name: str, slowest: int) -> list[WidthConverter]:
    """One converter where one lane count divides the other, else two."""
    path = _path(stream, lanes, slowest)
    converters = []
    for k, step in enumerate(path):
        single = len(path) == 1
        out = dataclasses.replace(stream, lanes=step, name=f"{name}_in" if step == path[-1] else f"{name}_mid")
        converters.append(WidthConverter(name=f"{name}_width{'' if single else k}", inputs=(stream,), outputs=(out,)))
        stream = out
    return converters


def _path(stream: Stream, lanes: int, slowest: int) -> list[int]:
    if stream.lanes == lanes:
        return []
    if stream.lanes % lanes == 0 or lanes % stream.lanes == 0:
        return [lanes]
    common = math.gcd(stream.lanes, lanes)
    return [common if stream.elements // common <= slowest else math.lcm(stream.lanes, lanes), lanes]


def _conversion(stream: Stream, source: int, target: int, slowest: int) -> int:
    """LUTs of joining `source` lanes to `target` lanes."""
    lanes = [source, *_path(dataclasses.replace(stream, lanes=source), target, slowest)]
    return sum(estimate.luts(estimate.converter_terms(stream.bits, a, b)) for a, b in itertools.pairwise(lanes))


@dataclass(frozen=True, kw_only=True)
class _Options:
    """All foldings of one stage with their cycles and LUTs."""

    stage: Stage
    options: tuple[tuple[Folding, int, int], ...]  # folding, cycles, LUTs

    @classmethod
    def of(cls, stage: Stage) -> _Options:
        if isinstance(stage, MatrixVector):
            dims = estimate.Product.of(stage)
            foldings = [Folding(pe=p, simd=s) for p in divisors(dims.mh) for s in divisors(dims.mw)]
            if stage.memory is Memory.HARDWIRED:
                foldings = foldings[-1:]
            luts = [estimate.product(dims, f.pe, f.simd).luts for f in foldings]
        else:
            foldings = [Folding(pe=p) for p in _choices(stage)]
            luts = [_luts(stage, f.pe) for f in foldings]
        return cls(stage=stage, options=tuple((f, _cycles(stage, f), n) for f, n in zip(foldings, luts, strict=True)))

    @property
    def fastest(self) -> int:
        """Fewest cycles a frame."""
        return min(cycles for _, cycles, _ in self.options)


def _luts(stage: Stage, lanes: int) -> int:
    if isinstance(stage, Threshold):
        uniform = not np.ptp(stage.thresholds, axis=0).any()
        steps = stage.thresholds.shape[1]
        return estimate.luts(estimate.threshold_terms(stage.input, steps, stage.output.bits, lanes, uniform))
    if isinstance(stage, LabelSelect):
        return estimate.luts(estimate.label_terms(stage.input, lanes))
    if isinstance(stage, Window):
        return estimate.luts(estimate.window_terms(stage, lanes))
    if isinstance(stage, Pad):
        return estimate.luts(estimate.pad_terms(stage.input, lanes))
    if isinstance(stage, Pool | GlobalSum):
        return estimate.luts(estimate.reduce_terms(stage, lanes))
    return estimate.resources(stage).luts


def _cheapest(stages: list[_Options], cycles: int) -> tuple[int, dict[str, Folding]]:
    """Fewest LUTs with every stage within `cycles`, converters too: the shortest path over the lanes in between."""
    best: dict[int, tuple[int, dict[str, Folding]]] | None = None  # by output lanes
    stream = stages[0].stage.input
    for options in stages:
        reached: dict[int, tuple[int, dict[str, Folding]]] = {}
        arrivals: dict[int, tuple[int, dict[str, Folding]]] = {}
        for folding, needed, luts in options.options:
            if needed > cycles:
                continue
            lanes, out = _lanes(options.stage, folding)
            if lanes not in arrivals:
                arrivals[lanes] = _arrive(best, stream, lanes, cycles)
            total = arrivals[lanes][0] + luts
            if out not in reached or total < reached[out][0]:
                reached[out] = total, {**arrivals[lanes][1], options.stage.name: folding}
        best, stream = reached, options.stage.output
    assert best is not None  # noqa: S101  # there is at least one stage
    return min(best.values(), key=lambda found: found[0])


def _arrive(
    best: dict[int, tuple[int, dict[str, Folding]]] | None, stream: Stream, lanes: int, cycles: int
) -> tuple[int, dict[str, Folding]]:
    if best is None:  # the host sends as many lanes as are wanted
        return 0, {}
    return min(
        ((luts + _conversion(stream, source, lanes, cycles), chosen) for source, (luts, chosen) in best.items()),
        key=lambda found: found[0],
    )


def solve(accelerator: Accelerator, *, fps: float, clock_hz: float) -> Accelerator:
    """The folding with the fewest estimated LUTs that takes at most clock_hz / fps cycles a frame."""
    stages = [_Options.of(s) for s in foldable(accelerator)]
    cycles, fastest = int(clock_hz / fps), max(s.fastest for s in stages)
    if cycles < fastest:
        raise UserError(
            f"folding: fps={fps:g} leaves {cycles} cycles a frame at {clock_hz / 1e6:g} MHz; fully parallel it takes "
            f"{fastest}; at most fps={math.floor(clock_hz / fastest)} can be reached"
        )
    return apply(accelerator, _cheapest(stages, cycles)[1])


def solve_luts(accelerator: Accelerator, *, luts: int) -> Accelerator:
    """The folding with the fewest cycles a frame whose estimated LUTs do not exceed `luts`."""
    stages = [_Options.of(s) for s in foldable(accelerator)]
    fastest = max(s.fastest for s in stages)
    candidates = sorted({cycles for s in stages for _, cycles, _ in s.options if cycles >= fastest})
    smallest = _cheapest(stages, candidates[-1])
    if smallest[0] > luts:
        raise UserError(
            f"folding: luts={luts} is too few; the smallest folding takes about {smallest[0]}; "
            f"use luts={smallest[0]} or more"
        )
    budget = luts
    while True:  # what the queues take is known when the folding is
        low, high, best = 0, len(candidates) - 1, smallest
        while low < high:  # the fewer cycles, the more LUTs
            middle = (low + high) // 2
            tried = _cheapest(stages, candidates[middle])
            if tried[0] <= budget:
                high, best = middle, tried
            else:
                low = middle + 1
        folded = apply(accelerator, best[1])
        excess = estimate.estimate(folded).resources.luts - luts
        if excess <= 0:
            return folded
        if best[0] == smallest[0]:
            raise UserError(
                f"folding: luts={luts} is too few; the smallest folding takes about {luts + excess} with its queues; "
                f"use luts={luts + excess} or more"
            )
        budget = best[0] - excess
