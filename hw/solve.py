# SPDX-License-Identifier: Apache-2.0
"""The folding for a target: a frame rate, a LUT budget, or the room that a part has."""

from __future__ import annotations

import dataclasses
import itertools
import math
from bisect import bisect_left
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

NO_LIMIT = 1 << 62


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
    found = solve_room(accelerator, estimate.Resources(luts=luts, ffs=NO_LIMIT, bram18=NO_LIMIT, dsps=NO_LIMIT))
    needed = estimate.estimate(found).resources.luts
    if needed > luts:
        raise UserError(
            f"folding: luts={luts} is too few; the smallest folding takes about {needed}; use luts={needed} or more"
        )
    return found


def solve_room(accelerator: Accelerator, room: estimate.Resources) -> Accelerator:
    """The folding with the fewest cycles a frame whose estimate fits into `room`; the smallest where none does.

    The fewer cycles, the more LUTs. Block RAMs go up and down, so where they do not fit slower foldings are tried.
    """
    stages = [_Options.of(s) for s in foldable(accelerator)]
    fastest = max(s.fastest for s in stages)
    candidates = sorted({cycles for s in stages for _, cycles, _ in s.options if cycles >= fastest})
    tried: dict[int, Accelerator] = {}

    def at(index: int) -> Accelerator:
        if index not in tried:
            tried[index] = apply(accelerator, _cheapest(stages, candidates[index])[1])
        return tried[index]

    last = len(candidates) - 1
    first = bisect_left(range(last), True, key=lambda k: estimate.estimate(at(k)).resources.luts <= room.luts)
    slower, step = first, 1
    while slower < last and not fits(at(slower), room):
        first, slower, step = slower + 1, min(slower + step, last), 2 * step
    return at(first + bisect_left(range(first, slower), True, key=lambda k: fits(at(k), room)))


def fits(accelerator: Accelerator, room: estimate.Resources) -> bool:
    """Whether an accelerator's estimate fits into `room`."""
    needed, limits = (dataclasses.astuple(r) for r in (estimate.estimate(accelerator).resources, room))
    return all(n <= limit for n, limit in zip(needed, limits, strict=True))
