# SPDX-License-Identifier: Apache-2.0
"""The folding for a target: a frame rate, a LUT budget, or the room that a part has.

The cheapest folding within some cycles a frame is a minimum over all lanes of a sum of LUTs: of each stage, which
depend on its own lanes, and of the width converters on each edge, which depend on the lanes of both ends. It is found
exactly by eliminating one set of lanes after the other (Dechter, Bucket elimination, 1999).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import resources_of
from adiabit.hw.folding.buffers import FULL_RATE, Buffers, buffered
from adiabit.hw.folding.fold import edges_of, foldable, lane_path, refolded
from adiabit.hw.folding.memories import placed
from adiabit.hw.stages import Folding, Ints, Stage, Stream
from adiabit.hw.stages.cost import LUT_WORDS, Resources, resources
from adiabit.hw.stages.width_converter import conversion_terms

NEVER = 1 << 40  # LUTs of what cannot be
NO_LIMIT = 1 << 62


def _conversion(stream: Stream, source: int, target: int, slowest: int) -> int:
    """LUTs of joining `source` lanes to `target` lanes."""
    lanes = [source, *lane_path(dataclasses.replace(stream, lanes=source), target, slowest)]
    return sum(resources(conversion_terms(stream.bits, a, b)).luts for a, b in itertools.pairwise(lanes))


@dataclass(frozen=True, kw_only=True)
class _Options:
    """All foldings of one stage with their cycles and LUTs."""

    stage: Stage
    options: tuple[tuple[Folding, int, int], ...]  # folding, cycles, LUTs

    @classmethod
    def of(cls, stage: Stage) -> _Options:
        return cls(stage=stage, options=tuple((f, stage.cycles_at(f), stage.cost(f).luts) for f in stage.foldings()))

    @property
    def fastest(self) -> int:
        """Fewest cycles a frame."""
        return min(cycles for _, cycles, _ in self.options)


Side = tuple[str, bool]  # a stage's name, and whether it is the side of its outputs


@dataclass(frozen=True)
class _Table:
    """LUTs by the choices of some sides."""

    sides: tuple[Side, ...]
    luts: Ints  # an axis a side


@dataclass(frozen=True)
class _Problem:
    """The cheapest folding of an accelerator within some cycles."""

    accelerator: Accelerator
    stages: tuple[_Options, ...]

    @classmethod
    def of(cls, accelerator: Accelerator) -> _Problem:
        return cls(accelerator, tuple(_Options.of(s) for s in foldable(accelerator)))

    @property
    def fastest(self) -> int:
        """Fewest cycles a frame."""
        return max(s.fastest for s in self.stages)

    def cheapest(self, cycles: int) -> dict[str, Folding]:
        """The folding with the fewest LUTs, converters too, with every stage within `cycles`."""
        lanes: dict[Side, list[tuple[int, ...]]] = {}
        tables, foldings = [], {}
        for options in self.stages:
            table, best = self._stage(options, cycles, lanes)
            tables.append(table)
            foldings[options.stage.name] = best
        chosen = _eliminated([*tables, *self._edges(lanes, cycles)], {side: len(c) for side, c in lanes.items()})
        return {
            o.stage.name: foldings[o.stage.name][chosen[o.stage.name, False], chosen[o.stage.name, True]]
            for o in self.stages
        }

    @staticmethod
    def _stage(
        options: _Options, cycles: int, lanes: dict[Side, list[tuple[int, ...]]]
    ) -> tuple[_Table, dict[tuple[int, int], Folding]]:
        """LUTs by the lanes of both sides, and the folding that has them."""
        name = options.stage.name
        within = [(f, luts, options.stage.lanes(f)) for f, needed, luts in options.options if needed <= cycles]
        given = lanes[name, False] = list(dict.fromkeys(found.inputs for _, _, found in within))
        made = lanes[name, True] = list(dict.fromkeys(found.outputs for _, _, found in within))
        luts, best = np.full((len(given), len(made)), NEVER), {}
        for folding, cost, found in within:
            place = given.index(found.inputs), made.index(found.outputs)
            if cost < luts[place]:
                luts[place], best[place] = cost, folding
        return _Table(((name, False), (name, True)), luts), best

    def _edges(self, lanes: Mapping[Side, list[tuple[int, ...]]], cycles: int) -> list[_Table]:
        """LUTs of the width converters between every two stages; the host sends as many lanes as are wanted."""
        edges = edges_of(self.accelerator)
        writers = {s.name: (o.stage, k) for o in self.stages for k, s in enumerate(o.stage.outputs)}
        tables = []
        for options in self.stages:
            for number, stream in enumerate(options.stage.inputs):
                if edges[stream.name] not in writers:
                    continue
                writer, port = writers[edges[stream.name]]
                ends = (writer.name, True), (options.stage.name, False)
                sources, targets = [c[port] for c in lanes[ends[0]]], [c[number] for c in lanes[ends[1]]]
                known = {(a, b): _conversion(stream, a, b, cycles) for a in {*sources} for b in {*targets}}
                tables.append(_Table(ends, np.array([[known[a, b] for b in targets] for a in sources])))
        return tables


def _eliminated(tables: Sequence[_Table], sizes: Mapping[Side, int]) -> dict[Side, int]:
    """The choice of each side whose sum over the tables is the least."""
    left, order = list(tables), []
    remaining = dict(sizes)
    while remaining:
        side = min(remaining, key=lambda s: _joined_size(left, s, sizes))
        mine, left = [t for t in left if side in t.sides], [t for t in left if side not in t.sides]
        others = tuple(dict.fromkeys(s for t in mine for s in t.sides if s != side))
        total = sum((_spread(t, (*others, side)) for t in mine), np.zeros((1,) * (len(others) + 1), np.int64))
        order.append((side, others, total.argmin(axis=-1)))
        left.append(_Table(others, total.min(axis=-1)))
        del remaining[side]
    chosen: dict[Side, int] = {}
    for side, others, best in reversed(order):
        chosen[side] = int(best[tuple(chosen[s] for s in others)])
    return chosen


def _joined_size(tables: Sequence[_Table], side: Side, sizes: Mapping[Side, int]) -> int:
    """Entries of the table that joins all that depend on a side."""
    return math.prod(sizes[s] for s in {s for t in tables if side in t.sides for s in t.sides})


def _spread(table: _Table, sides: tuple[Side, ...]) -> Ints:
    """The table with an axis for each of `sides`, in their order."""
    order = sorted(range(len(table.sides)), key=lambda axis: sides.index(table.sides[axis]))
    moved = table.luts.transpose(order)
    present = {table.sides[axis]: size for axis, size in enumerate(table.luts.shape)}
    spread: Ints = moved.reshape([present.get(s, 1) for s in sides])
    return spread


def solve(accelerator: Accelerator, *, fps: float, clock_hz: float, buffers: Buffers = FULL_RATE) -> Accelerator:
    """The folding with the fewest estimated LUTs that takes at most clock_hz / fps cycles a frame."""
    problem, cycles = _Problem.of(accelerator), int(clock_hz / fps)
    if cycles < problem.fastest:
        raise UserError(
            f"folding: fps={fps:g} leaves {cycles} cycles a frame at {clock_hz / 1e6:g} MHz; fully parallel it takes "
            f"{problem.fastest}; at most fps={math.floor(clock_hz / problem.fastest)} can be reached"
        )
    return buffered(refolded(accelerator, problem.cheapest(cycles)), buffers)


def solve_luts(
    accelerator: Accelerator,
    *,
    luts: int,
    blocks: int = NO_LIMIT,
    buffers: Buffers = FULL_RATE,
    lut_words: int = LUT_WORDS,
) -> Accelerator:
    """The folding with the fewest cycles a frame whose estimated LUTs do not exceed `luts`.

    `blocks` and `lut_words` as in :func:`adiabit.hw.folding.memories.placed`; block RAMs do not limit the folding.
    """
    room = Resources(luts=luts, ffs=NO_LIMIT, bram18=NO_LIMIT, dsps=NO_LIMIT)
    found = solve_room(accelerator, room, buffers, blocks=blocks, lut_words=lut_words)
    needed = resources_of(found).luts
    if needed > luts:
        raise UserError(
            f"folding: luts={luts} is too few; the smallest folding takes about {needed}; use luts={needed} or more"
        )
    return found


def solve_room(
    accelerator: Accelerator,
    room: Resources,
    buffers: Buffers = FULL_RATE,
    *,
    blocks: int | None = None,
    lut_words: int = LUT_WORDS,
) -> Accelerator:
    """The folding with the fewest cycles a frame whose estimate fits into `room`; the smallest where none does.

    The fewer cycles, the more LUTs. Block RAMs and FIFOs go up and down, so where they do not fit slower foldings are
    tried. `blocks` for weights, those of the room by default, and `lut_words` are as in
    :func:`adiabit.hw.folding.memories.placed`.
    """
    problem = _Problem.of(accelerator)
    candidates = sorted({n for s in problem.stages for _, n, _ in s.options if n >= problem.fastest})

    @cache
    def bare(index: int) -> Accelerator:
        return refolded(accelerator, problem.cheapest(candidates[index]))

    @cache
    def at(index: int) -> Accelerator:
        return buffered(placed(bare(index), room.bram18 if blocks is None else blocks, lut_words), buffers)

    last = len(candidates) - 1
    first = bisect_left(range(last), True, key=lambda k: resources_of(bare(k)).luts <= room.luts)
    slower, step = first, 1
    while slower < last and not fits(at(slower), room):
        first, slower, step = slower + 1, min(slower + step, last), 2 * step
    return at(first + bisect_left(range(first, slower), True, key=lambda k: fits(at(k), room)))


def fits(accelerator: Accelerator, room: Resources) -> bool:
    """Whether an accelerator's estimate fits into `room`."""
    needed, limits = (dataclasses.astuple(r) for r in (resources_of(accelerator), room))
    return all(n <= limit for n, limit in zip(needed, limits, strict=True))
