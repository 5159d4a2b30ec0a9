# SPDX-License-Identifier: Apache-2.0
"""How many beats must wait on each edge so that a frame takes no longer than the slowest stage.

Periodic executions are constructed in which every stage keeps this pace. The beats that wait on an edge in one of them
are the edge's depth: a circuit that can hold so many is never later than this execution, for dataflow with bounded
buffers is monotone in its times (Bilsen et al., 1996). So its pace is proven by arithmetic, and simulation only
confirms it. Of several executions, which hurry or spread the beats more or less, the one with the fewest bits counts.

These depths suffice, but may be more than needed. So smaller ones are tried in an execution with bounded FIFOs, and are
taken where it keeps the pace; in large networks those of the largest FIFOs alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.deadlock import least
from adiabit.hw.folding.events import Events, Moves, deadlines, linger
from adiabit.hw.stages import Ints

FRAMES = (4, 8, 16, 32)  # tried until the last two are alike; an execution that spreads beats is given up early
WORK = 3_000_000  # turns of all stages in the trials of single edges; a trial of a large network takes a second
PACES = 8  # trials that an execution which keeps the pace is worth
SPREADS = (0.0, 0.5)  # of a stage's beats over the frame: 0 makes each as soon as it can, 1 evenly


def full_rate(accelerator: Accelerator) -> dict[str, int]:
    """Places of the FIFO on each edge that needs one, by its stream."""
    fewest = least(accelerator)
    events = Events(accelerator)
    late = _Trial.of(events, even=False)
    if late.keeps(fewest) or _Trial.of(events, even=True).keeps(fewest):
        return fewest
    widths = {s.name: s.width for s in accelerator.streams}
    trials = WORK // sum(intake.turns for stage in accelerator.stages for intake in stage.actor.intakes)
    paces = (_Pace(events, spread, even) for spread, even in itertools.product(SPREADS, (False, True)))
    found = (depths for pace in paces if (depths := pace.depths()) is not None)
    some = itertools.islice(found, max(1, trials // PACES))
    ample = min(some, key=lambda depths: sum(widths[name] * places for name, places in depths.items()))
    return _trimmed(late, ample, fewest, trials)


def _trimmed(trial: _Trial, ample: dict[str, int], fewest: dict[str, int], trials: int) -> dict[str, int]:
    """Depths that keep the pace, from `ample` ones down: all by one factor, then up to `trials` edges one by one."""

    def scaled(eighths: int) -> dict[str, int]:
        names = {name: max(fewest.get(name, 0), places * eighths // 8) for name, places in ample.items()}
        return {**fewest, **{name: max(2, places) for name, places in names.items() if places}}

    depths = next((d for d in map(scaled, (2, 4)) if trial.keeps(d)), ample)
    widths = {s.name: s.width for s in trial.events.accelerator.streams}
    for name in sorted(depths, key=lambda n: -depths[n] * widths[n])[:trials]:
        without = {n: d for n, d in depths.items() if n != name}
        less = {**without, name: fewest[name]} if name in fewest else without
        if less != depths and trial.keeps(less):
            depths = less
    return depths


@dataclass(frozen=True, eq=False)
class _Trial:
    """Executions with bounded FIFOs, all with the same beats of the host."""

    events: Events
    source: Ints  # when the host sends its beats

    @classmethod
    def of(cls, events: Events, *, even: bool) -> _Trial:
        """The host sends its beats evenly, or as late as it may."""
        pace = _Pace(events, 0.0, even)
        return cls(events, pace.evenly(FRAMES[0]) if even else pace.late(FRAMES[0]))

    def keeps(self, depths: dict[str, int]) -> bool:
        """Whether a frame takes no longer than the slowest stage with FIFOs of these depths and none elsewhere."""
        moves = self.events.bounded(self.source, FRAMES[0], depths)
        if moves is None:
            return False
        ends = moves[self.events.accelerator.stages[-1].name].made[0].reshape(FRAMES[0], -1)[:, -1]
        return bool(ends[-1] - ends[-3] <= 2 * self.events.accelerator.cycles)


@dataclass(frozen=True)
class _Pace:
    """A way to spread the beats of a frame: those of the stages, and those of the host, evenly or as late as may be."""

    events: Events
    spread: float
    even: bool

    def depths(self) -> dict[str, int] | None:
        """Places of the FIFO on each edge that needs one in this execution; None where it is slower."""
        fifos: dict[str, int] = {}
        while True:
            if (settled := self._settled(fifos)) is None:
                return None
            frames, moves = settled
            edges = {name: self._edge(name, moves, frames, fifos.get(name, 0)) for name in self._edges}
            more = {name: 1 for name, (left, read) in edges.items() if name not in fifos and np.any(left < read)}
            if not more:
                return {name: _depth(*edges[name]) for name in fifos}
            fifos |= more

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator whose beats it spreads."""
        return self.events.accelerator

    @property
    def _edges(self) -> list[str]:
        """Streams from stage to stage."""
        return [name for name in self.accelerator.producers if name in self.accelerator.consumers]

    def _settled(self, delays: dict[str, int]) -> tuple[int, dict[str, Moves]] | None:
        """An execution whose last two frames are alike, and its number of frames; None where it never is."""
        period = self.accelerator.cycles
        for frames in FRAMES[:2] if self.spread else FRAMES:
            source = self.evenly(frames) if self.even else self.late(frames)
            moves = self.events.free(source, frames, delays, int(self.spread * period))
            times = [t for m in moves.values() for t in (*m.taken, *m.made)]
            lasts = [np.split(t, frames)[-2:] for t in times]
            if all(np.array_equal(before + period, after) for before, after in lasts):
                return frames, moves
        return None

    def evenly(self, frames: int) -> Ints:
        """When the host sends its beats, evenly."""
        beats, period = self.accelerator.input.beats, self.accelerator.cycles
        times: Ints = (np.arange(beats) * period // beats + period * np.arange(frames)[:, None]).ravel()
        return times

    def late(self, frames: int) -> Ints:
        """When the host sends its beats: as late as the results allow, the same in each frame."""
        beats, period = self.accelerator.output.beats, self.accelerator.cycles
        due = ((np.arange(frames)[:, None] + 1) * period - beats + np.arange(beats)).ravel()
        first = deadlines(self.accelerator, due, frames)[: self.accelerator.input.beats]
        last = first[0] + period - len(first) + np.arange(len(first))  # the next frame's beats come behind
        times: Ints = (np.minimum(first, last) - first[0] + period * np.arange(frames)[:, None]).ravel()
        return times

    def _edge(self, stream: str, moves: dict[str, Moves], frames: int, delay: int) -> tuple[Ints, Ints]:
        """When the beats of a stream leave its writer, at the latest, and when its reader takes them."""
        writer, reader = self.accelerator.producers[stream], self.accelerator.consumers[stream]
        output, number = ([s.name for s in streams].index(stream) for streams in (writer.outputs, reader.inputs))
        read = moves[reader.name].taken[number]
        return linger(writer, moves[writer.name], output, read - delay, frames), read


def _depth(left: Ints, read: Ints) -> int:
    """Places with which each beat finds one free: it is free again a cycle after its beat was read."""
    waiting = np.arange(len(left)) - np.searchsorted(read, left, side="left") + 1
    return max(2, int(waiting.max()))
