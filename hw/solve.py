# SPDX-License-Identifier: Apache-2.0
"""The folding for a target: a frame rate, a LUT budget, or the room that a part has."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

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
    Window,
    divisors,
)
from adiabit.hw.fold import Folding, apply, choices_of, cycles_of, foldable, lane_path, lanes_of


def _conversion(stream: Stream, source: int, target: int, slowest: int) -> int:
    """LUTs of joining `source` lanes to `target` lanes."""
    lanes = [source, *lane_path(dataclasses.replace(stream, lanes=source), target, slowest)]
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
            foldings = [Folding(pe=p) for p in choices_of(stage)]
            luts = [_luts(stage, f.pe) for f in foldings]
        return cls(stage=stage, options=tuple((f, cycles_of(stage, f), n) for f, n in zip(foldings, luts, strict=True)))

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
            lanes, out = lanes_of(options.stage, folding)
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
