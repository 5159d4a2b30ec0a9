# SPDX-License-Identifier: Apache-2.0
"""Self-timed execution of an accelerator's schedules: when each beat moves, if every stage works as soon as it can.

Times are cycles, of all frames one after the other, in one array a sequence of events. An event that waits for
nothing happens at `NEVER`, long before the first cycle.

The turns of each intake are a sequence, and so are the beats of each stream as they are made, leave their writer, and
are taken. An event happens at the latest of the times that it waits for (max-plus algebra: Baccelli et al.,
Synchronization and Linearity, 1992), and is computed once, when all of these are known. Large networks have millions
of events a frame, so this loop is compiled, by numba.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Ints, Stage
from adiabit.hw.stages.schedule import Wait, every_frame

NEVER = -(1 << 60)
SOURCE = 0  # the sequence of the host's beats
NO_TABLE = -1


@dataclass(frozen=True, eq=False)
class Moves:
    """When the beats of a stage move: those it takes by input, and those that become visible by output."""

    taken: tuple[Ints, ...]
    made: tuple[Ints, ...]
    turns: tuple[Ints, ...]  # by intake


class _Rule(NamedTuple):
    """Event n of a frame of a sequence waits for `table[n] + lead` events of another, and for a delay."""

    event: int  # number of the sequence
    other: int
    table: int  # place of the counts in the table
    lead: int
    delays: int  # place of a delay for each event in the table, or NO_TABLE: all have `delay`
    delay: int


class Events:
    """The sequences of events of an accelerator, and what they wait for."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.lengths, self.intervals = [accelerator.input.beats], [0]  # by sequence
        self.made, self.left, self.taken = {accelerator.input.name: SOURCE}, dict[str, int](), dict[str, int]()
        self.turns: dict[str, tuple[int, ...]] = {}  # by stage
        self.same: dict[int, int] = {}  # a sequence whose events are those of another
        self.rules: list[_Rule] = []
        self.offers: list[tuple[str, _Rule]] = []  # by stream: the turns that wait until its beats are offered
        self.tables = _Tables()
        for stage in accelerator.stages:
            self._number(stage)
        for stage in accelerator.stages:
            self._connect(stage)
        self.ramp = self.tables.place(np.arange(max(self.lengths)))
        self.table = np.concatenate(self.tables.arrays)

    def free(
        self, source: Ints, frames: int, delayed: Mapping[str, int] | None = None, pace: int = 0
    ) -> dict[str, Moves]:
        """The moves of each stage when the host offers its beats at `source` and nothing waits for a place.

        `delayed`: cycles between a beat that is made and one that is offered, by stream. No stage makes the beats of
        a frame in fewer than `pace` cycles.
        """
        delayed = delayed or {}
        same = {left: self.made[name] for name, left in self.left.items()}
        offers = {name: (made, delayed.get(name, 0)) for name, made in self.made.items()}
        moves = self._run(source, frames, same, [], offers, pace)
        if moves is None:
            raise AssertionError("a schedule waits for itself")
        return moves

    def bounded(self, source: Ints, frames: int, depths: Mapping[str, int]) -> dict[str, Moves] | None:
        """The moves of each stage with FIFOs of these depths and none on any other edge; None if they deadlock."""
        same, rules, offers = dict[int, int](), [], {name: (made, 0) for name, made in self.made.items()}
        for name, left in self.left.items():
            if name in depths:
                rules.append(_Rule(left, self.made[name], self.ramp, 1, NO_TABLE, 0))
                rules.append(_Rule(left, self.taken[name], self.ramp, 1 - depths[name], NO_TABLE, 1))
                offers[name] = (left, 1)
            else:  # a beat leaves when it is taken
                same[left] = self.taken.get(name, self.made[name])
        return self._run(source, frames, same, rules, offers)

    def _number(self, stage: Stage) -> None:
        """Number the sequences of a stage."""
        self.turns[stage.name] = tuple(self._sequence(intake.turns, 1) for intake in stage.actor.intakes)
        for stream in stage.inputs:
            self.taken[stream.name] = self._sequence(stream.beats, 0)
        for stream, emission in zip(stage.outputs, stage.actor.emissions, strict=True):
            self.made[stream.name] = self._sequence(stream.beats, emission.interval)
            self.left[stream.name] = self._sequence(stream.beats, 0)

    def _sequence(self, length: int, interval: int) -> int:
        self.lengths.append(length)
        self.intervals.append(interval)
        return len(self.lengths) - 1

    def _connect(self, stage: Stage) -> None:
        """What the events of a stage wait for, within it."""
        schedule, turns = stage.actor, self.turns[stage.name]
        made, left = ([by[s.name] for s in stage.outputs] for by in (self.made, self.left))
        for mine, intake in zip(turns, schedule.intakes, strict=True):
            for waits, others in ((intake.room, left), (intake.made, made), (intake.after, turns)):
                for other, wait in waits.items():
                    self._wait(mine, others[other], wait)
            for number, turn in intake.beats.items():
                name = stage.inputs[number].name
                if len(turn) == intake.turns:  # each turn takes one
                    self.same[self.taken[name]] = mine
                self._wait(self.taken[name], mine, Wait(turn), lead=1)
                beats = np.searchsorted(turn, np.arange(intake.turns), side="right")  # taken with each turn and before
                self.offers.append((name, _Rule(mine, SOURCE, self.tables.place(beats), 0, NO_TABLE, 0)))
        for k, emission in enumerate(schedule.emissions):
            for other, wait in emission.needs.items():
                self._wait(made[k], turns[other], wait)
            if emission.room is not None:
                self._wait(made[k], left[k], emission.room)

    def _wait(self, event: int, other: int, wait: Wait, lead: int = 0) -> None:
        delays, delay = (NO_TABLE, wait.delay) if isinstance(wait.delay, int) else (self.tables.place(wait.delay), 0)
        self.rules.append(_Rule(event, other, self.tables.place(wait.counts), lead, delays, delay))

    def _run(
        self, source: Ints, frames: int, same: Mapping[int, int], rules: list[_Rule],
        offers: Mapping[str, tuple[int, int]], pace: int = 0,
    ) -> dict[str, Moves] | None:  # fmt: skip
        """The moves of each stage, or None where some never come; `offers`: by stream, a sequence and a delay."""
        alias, same = np.arange(len(self.lengths)), {**same, **self.same}
        alias[[*same]] = [*same.values()]
        alias = alias[alias]  # a beat leaves when it is taken, and is taken with a turn
        offered = [rule._replace(other=offers[name][0], delay=offers[name][1]) for name, rule in self.offers]
        every = np.array([r for r in sorted([*self.rules, *rules, *offered]) if r.event not in same], np.int64)
        every[:, 1] = alias[every[:, 1]]
        every = every[every[:, 0] != every[:, 1]]  # beats that leave when they are made need no place
        firsts = np.searchsorted(every[:, 0], np.arange(len(alias) + 1))
        lengths, intervals = np.array(self.lengths), np.array(self.intervals)
        emissions = [*self.made.values()][1:]
        intervals[emissions] = np.maximum(intervals[emissions], pace // lengths[emissions])
        lengths[[*same]] = 0
        starts = np.concatenate([[0], np.cumsum(lengths * frames)])
        times = np.empty(starts[-1], np.int64)
        times[: starts[1]] = source
        if not _perform(np.ascontiguousarray(every.T), firsts, self.table, lengths, intervals, starts, frames, times):
            return None
        events = [times[starts[s] : starts[s + 1]] for s in alias]
        return {
            stage.name: Moves(
                tuple(events[self.taken[s.name]] for s in stage.inputs),
                tuple(events[self.made[s.name]] for s in stage.outputs),
                tuple(events[number] for number in self.turns[stage.name]),
            )
            for stage in self.accelerator.stages
        }


class _Tables:
    """Arrays behind each other, each once."""

    def __init__(self) -> None:
        self.arrays: list[Ints] = []
        self.places: dict[int, int] = {}  # by the identity of the array
        self.size = 0

    def place(self, array: Ints) -> int:
        """Where an array begins."""
        if id(array) not in self.places:
            self.places[id(array)] = self.size
            self.arrays.append(array)
            self.size += len(array)
        return self.places[id(array)]


def _compiled(function: Callable[..., bool]) -> Callable[..., bool]:
    """The function as machine code, which is kept beside this file or in the user's cache, if either can be written."""
    try:
        return njit(cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(function)  # type: ignore[no-any-return]


@_compiled
def _perform(
    rules: Ints, firsts: Ints, table: Ints, lengths: Ints, intervals: Ints, starts: Ints, frames: int, times: Ints
) -> bool:
    """Write the times of all sequences but the source's; False where events wait for each other.

    rules: (6, R), those of sequence s from firsts[s]; times: the events of sequence s from starts[s].
    """
    others, counts, delays, delay = rules[1], rules[2], rules[4], rules[5]
    lead, begin = rules[3].copy(), starts[others] - 1
    sequences, ends = len(lengths), lengths * frames
    done, place = np.zeros(sequences, np.int64), np.zeros(sequences, np.int64)  # events, all and those of this frame
    done[SOURCE] = ends[SOURCE]
    waiting, after = np.full(sequences, -1), np.full(sequences, -1)  # the first to wait for a sequence, and the next
    queue, head, size = np.arange(1, sequences + 1), 0, sequences - 1  # of sequences that may go on
    while size:
        s = queue[head]
        head, size = (head + 1) % sequences, size - 1
        event, end, n, start, blocked = done[s], ends[s], place[s], starts[s], -1
        while event < end and blocked < 0:
            time = times[start + event - 1] + intervals[s] if event else NEVER
            for r in range(firsts[s], firsts[s + 1]):
                count = table[counts[r] + n] + lead[r]
                if count > done[others[r]]:
                    blocked = others[r]
                    break
                if count > 0:
                    late = times[begin[r] + count] + (delay[r] if delays[r] < 0 else table[delays[r] + n])
                    time = max(time, late)
            if blocked < 0:
                times[start + event] = time
                event, n = event + 1, n + 1
                if n == lengths[s]:
                    n = 0
                    for r in range(firsts[s], firsts[s + 1]):
                        lead[r] += lengths[others[r]]
        if blocked >= 0:
            after[s], waiting[blocked] = waiting[blocked], s
        if event > done[s]:
            done[s], place[s] = event, n
            reader, waiting[s] = waiting[s], -1
            while reader >= 0:
                queue[(head + size) % sequences] = reader
                size += 1
                reader = after[reader]
    return bool(np.all(done == ends))


def follow(times: Ints, interval: int) -> Ints:
    """The times of events that happen at `times` at the earliest and `interval` cycles after each other."""
    slack = interval * np.arange(len(times))
    spaced: Ints = np.maximum.accumulate(times - slack) + slack
    return spaced


def before(times: Ints, interval: int) -> Ints:
    """The latest times of events that happen at `times` at the latest and `interval` cycles after each other."""
    return -follow(-times[::-1], interval)[::-1]


def linger(stage: Stage, moves: Moves, output: int, read: Ints, frames: int) -> Ints:
    """The latest times at which an output's beats, read at `read`, may leave the stage.

    With these it still takes its turns in time: until then it holds the beats itself, or has not made them yet.
    """
    schedule, emission = stage.actor, stage.actor.emissions[output]
    left, made = read.copy(), read.copy()
    for intake, turns in zip(schedule.intakes, moves.turns, strict=True):
        for bound, waits in ((left, intake.room), (made, intake.made)):
            if output in waits:
                _not_after(bound, turns, waits[output], frames)
    while True:
        left = before(left, 1)
        made = before(np.minimum(made, left), emission.interval)
        bound = left.copy()
        if emission.room is not None:
            _not_after(bound, made, emission.room, frames)
        if np.array_equal(bound, left):
            return left
        left = bound


def deadlines(accelerator: Accelerator, due: Ints, frames: int) -> Ints:
    """The latest times of the host's beats with which the results come out at `due`, if nothing waits for a place."""
    latest = {accelerator.output.name: due}
    for stage in reversed(accelerator.stages):
        schedule = stage.actor
        turns = [np.full(intake.turns * frames, -NEVER) for intake in schedule.intakes]
        for stream, emission in zip(stage.outputs, schedule.emissions, strict=True):
            made = before(latest[stream.name], emission.interval)
            for number, wait in emission.needs.items():
                _not_after(turns[number], made, wait, frames)
        takes = [before(t, 1) for t in turns]
        for intake, times in zip(schedule.intakes, takes, strict=True):
            for number, turn in intake.beats.items():
                latest[stage.inputs[number].name] = times[every_frame(turn, intake.turns, frames)]
    return latest[accelerator.input.name]


def _not_after(bound: Ints, events: Ints, wait: Wait, frames: int) -> None:
    """Lower the times `bound` to those that let the waiting `events` happen when they do."""
    index = every_frame(wait.counts, len(bound) // frames, frames) - 1
    delay = np.tile(np.broadcast_to(wait.delay, wait.counts.shape), frames)
    known = index >= 0
    np.minimum.at(bound, index[known], (events - delay)[known])
