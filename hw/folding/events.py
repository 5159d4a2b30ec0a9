# SPDX-License-Identifier: Apache-2.0
"""Self-timed execution of an accelerator's schedules: when each beat moves, if every stage works as soon as it can.

Times are cycles, of all frames one after the other, in one array a sequence of events. An event that waits for
nothing happens at `NEVER`, long before the first cycle. Recurrences over a sequence are cumulative maxima, so that
an execution takes milliseconds (max-plus algebra: Baccelli et al., Synchronization and Linearity, 1992).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Ints, Stage
from adiabit.hw.stages.schedule import Intake, Schedule, Wait, every_frame

NEVER = -(1 << 60)
MOST_ROUNDS = 20  # through all stages


@dataclass(frozen=True, eq=False)
class Moves:
    """When the beats of a stage move: those it takes by input, and those that become visible by output."""

    taken: tuple[Ints, ...]
    made: tuple[Ints, ...]
    turns: tuple[Ints, ...]  # by intake

    def same(self, other: Moves) -> bool:
        """Whether all happens at the same times."""
        pairs = zip((*self.turns, *self.made), (*other.turns, *other.made), strict=True)
        return all(np.array_equal(a, b) for a, b in pairs)


def follow(times: Ints, interval: int) -> Ints:
    """The times of events that happen at `times` at the earliest and `interval` cycles after each other."""
    slack = interval * np.arange(len(times))
    spaced: Ints = np.maximum.accumulate(times - slack) + slack
    return spaced


def before(times: Ints, interval: int) -> Ints:
    """The latest times of events that happen at `times` at the latest and `interval` cycles after each other."""
    return -follow(-times[::-1], interval)[::-1]


def when(times: Ints, wait: Wait, frames: int) -> Ints:
    """The earliest times of the events that wait for those at `times`."""
    index, delay = _places(wait, len(times) // frames, frames)
    return np.where(index < 0, NEVER, times[np.maximum(index, 0)] + delay)


def perform(
    stage: Stage, offered: Sequence[Ints], frames: int, pace: int = 0, bounds: Mapping[int, Ints] | None = None
) -> Moves:
    """The moves of a stage whose inputs see their beats `offered`, and whose own leave as soon as they are made.

    It makes those of a frame in no fewer than `pace` cycles. `bounds`: by output, times before which they cannot
    leave.
    """
    schedule, bounds = stage.actor, bounds or {}
    turns = [_offered(intake, offered, frames) for intake in schedule.intakes]
    takes = [follow(t, 1) for t in turns]
    while True:  # its events depend on each other through what it can hold, always on earlier ones
        made = _all_made(stage, schedule, takes, frames, pace, bounds)
        left = [np.maximum(m, bounds[k]) if k in bounds else m for k, m in enumerate(made)]
        again = [_take(i, t, takes, made, left, frames) for i, t in zip(schedule.intakes, turns, strict=True)]
        if all(np.array_equal(a, b) for a, b in zip(again, takes, strict=True)):
            return Moves(_beats(schedule, takes, frames, len(stage.inputs)), tuple(made), tuple(takes))
        takes = again


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


def _not_after(bound: Ints, events: Ints, wait: Wait, frames: int) -> None:
    """Lower the times `bound` to those that let the waiting `events` happen when they do."""
    index, delay = _places(wait, len(bound) // frames, frames)
    known = index >= 0
    np.minimum.at(bound, index[known], (events - delay)[known])


def _places(wait: Wait, per_frame: int, frames: int) -> tuple[Ints, Ints]:
    """For each event: which event of the other sequence it waits for (below 0: none), and the delay."""
    index = every_frame(wait.counts, per_frame, frames) - 1
    return index, np.tile(np.broadcast_to(wait.delay, wait.counts.shape), frames)


def _offered(intake: Intake, offered: Sequence[Ints], frames: int) -> Ints:
    """The earliest time of each turn by the beats that it takes."""
    times = np.full(intake.turns * frames, NEVER)
    for number, turn in intake.beats.items():
        places = every_frame(turn, intake.turns, frames)
        times[places] = np.maximum(times[places], offered[number])
    return times


def _take(
    intake: Intake, offered: Ints, takes: Sequence[Ints], made: Sequence[Ints], left: Sequence[Ints], frames: int
) -> Ints:
    times = offered
    for sequences, waits in ((left, intake.room), (takes, intake.after), (made, intake.made)):
        for number, wait in waits.items():
            times = np.maximum(times, when(sequences[number], wait, frames))
    return follow(times, 1)


def _all_made(
    stage: Stage, schedule: Schedule, takes: Sequence[Ints], frames: int, pace: int, bounds: Mapping[int, Ints]
) -> list[Ints]:
    """When the beats of each output are made."""
    made = []
    for k, (stream, emission) in enumerate(zip(stage.outputs, schedule.emissions, strict=True)):
        times = np.max([when(takes[number], wait, frames) for number, wait in emission.needs.items()], axis=0)
        if k in bounds and emission.room is not None:
            times = np.maximum(times, when(bounds[k], emission.room, frames))
        made.append(follow(times, max(emission.interval, pace // stream.beats)))
    return made


def _beats(schedule: Schedule, takes: Sequence[Ints], frames: int, inputs: int) -> tuple[Ints, ...]:
    """When the beats of each input are taken."""
    found: dict[int, Ints] = {}
    for intake, times in zip(schedule.intakes, takes, strict=True):
        for number, turn in intake.beats.items():
            found[number] = times[every_frame(turn, intake.turns, frames)]
    return tuple(found[number] for number in range(inputs))


def execute(
    accelerator: Accelerator, source: Ints, frames: int, delayed: Mapping[str, int] | None = None, pace: int = 0
) -> dict[str, Moves]:
    """The moves of each stage when the host offers its beats at `source` and nothing that was made waits for a place.

    `delayed`: cycles between a beat that is made and one that is offered, by stream. No stage makes the beats of a
    frame in fewer than `pace` cycles.
    """
    offered = {accelerator.input.name: source}
    moves: dict[str, Moves] = {}
    for stage in accelerator.stages:
        moves[stage.name] = perform(stage, [offered[s.name] for s in stage.inputs], frames, pace)
        for stream, made in zip(stage.outputs, moves[stage.name].made, strict=True):
            offered[stream.name] = made + (delayed or {}).get(stream.name, 0)
    return moves


def bounded(
    accelerator: Accelerator,
    source: Ints,
    frames: int,
    depths: Mapping[str, int],
    latest: int,
    rounds: int = MOST_ROUNDS,
) -> dict[str, Moves] | None:
    """The moves of each stage with FIFOs of these depths, and none on any other edge.

    None where the last result comes after `latest`, or where more `rounds` are needed to tell.
    """
    moves = execute(accelerator, source, frames, dict.fromkeys(depths, 1))
    seen: dict[str, tuple[object, ...]] = {}  # by stage: what its moves depend on, as of the last round
    offered = {accelerator.input.name: source}
    for _ in range(rounds):
        settled = True
        for stage in accelerator.stages:
            readers = [accelerator.consumers.get(s.name) for s in stage.outputs]
            depends = *(offered[s.name] for s in stage.inputs), *(moves[r.name] for r in readers if r)
            if stage.name in seen and all(a is b for a, b in zip(depends, seen[stage.name], strict=True)):
                continue
            seen[stage.name], settled = depends, False
            bounds = {
                k: _free(accelerator, s.name, moves, depths.get(s.name, 0))
                for k, (s, reader) in enumerate(zip(stage.outputs, readers, strict=True))
                if reader
            }
            again = perform(stage, [offered[s.name] for s in stage.inputs], frames, 0, bounds)
            if not again.same(moves[stage.name]):
                moves[stage.name] = again
            for k, (stream, made) in enumerate(zip(stage.outputs, again.made, strict=True)):
                times = follow(np.maximum(made, bounds[k]), 1) + 1 if stream.name in depths else made
                if stream.name not in offered or not np.array_equal(times, offered[stream.name]):
                    offered[stream.name] = times
        if settled:
            return moves
        if offered[accelerator.output.name][-1] > latest:
            return None
    return None


def _free(accelerator: Accelerator, stream: str, moves: Mapping[str, Moves], depth: int) -> Ints:
    """Before which times the beats of a stream cannot leave their writer: until they are read, or have a place."""
    reader = accelerator.consumers[stream]
    read = moves[reader.name].taken[[s.name for s in reader.inputs].index(stream)]
    if not depth:
        return read
    return np.concatenate([np.full(min(depth, len(read)), NEVER), read[:-depth] + 1])


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
        for stream, times in zip(stage.inputs, _beats(schedule, takes, frames, len(stage.inputs)), strict=True):
            latest[stream.name] = times
    return latest[accelerator.input.name]
