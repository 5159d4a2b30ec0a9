# SPDX-License-Identifier: Apache-2.0
"""How many beats must fit on each edge so that the circuit cannot deadlock.

Only a stage that joins streams can wait for a beat that never comes: while it waits for one input, the other must
hold what a fork upstream sends meanwhile. Times do not matter for it, only counts. For each turn of a join, `demand`
counts the beats that must move on every stream before it, and `capacity` those that can while the join stands still.
A FIFO before the join has to make up for the difference; one place less, and that turn never comes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Ints, Stage
from adiabit.hw.stages.schedule import Schedule, Wait, every_frame

FRAMES = 3  # a stage may be two frames ahead of its reader
ENDLESS = 1 << 60


def least(accelerator: Accelerator) -> dict[str, int]:
    """Places of the FIFO on each edge that needs one not to deadlock, by its stream."""
    fifos: dict[str, int] = {}
    for stage in accelerator.stages:
        if len(stage.inputs) > 1:
            for number, stream in enumerate(stage.inputs):
                if stream.name in accelerator.producers and (places := _places(accelerator, stage, number, fifos)):
                    fifos[stream.name] = max(2, places)
    return fifos


def _places(accelerator: Accelerator, join: Stage, number: int, fifos: Mapping[str, int]) -> int:
    """The fewest places before an input of a join; with one for each beat it cannot be short of any."""
    stands, stream = list(_stands(join)), join.inputs[number]

    def enough(places: int) -> bool:
        held = {**fifos, stream.name: places}
        return all(_moves(accelerator, join, number, stand, held) for stand in stands)

    return bisect_left(range(FRAMES * stream.beats), True, key=enough)


@dataclass(frozen=True, eq=False)
class _Stand:
    """A join before each turn of one of its intakes: by input, beats that it needs and those that it has taken."""

    demand: tuple[Ints, ...]
    taken: tuple[Ints, ...]


def _stands(join: Stage) -> Iterator[_Stand]:
    schedule = join.actor
    for mine, intake in enumerate(schedule.intakes):
        turns = np.arange(FRAMES * intake.turns)
        demand, taken = {}, {}
        for number, turn in intake.beats.items():
            places = _all(turn, intake.turns)
            demand[number] = np.searchsorted(places, turns, side="right")  # beats of the turns up to this one
            taken[number] = np.searchsorted(places, turns, side="left")
        for other, others in enumerate(schedule.intakes):
            if other == mine:
                continue
            wanted = _required(intake.after.get(other), turns, others.turns)
            free = _allowed(others.after.get(mine), turns, intake.turns)
            for number, turn in others.beats.items():
                places = _all(turn, others.turns)
                demand[number] = np.searchsorted(places, wanted, side="left")
                taken[number] = np.searchsorted(places, free, side="left")
        inputs = range(len(join.inputs))
        yield _Stand(tuple(demand[n] for n in inputs), tuple(taken[n] for n in inputs))


def _all(counts: Ints, per_frame: int) -> Ints:
    """Counts of one frame for all frames."""
    return every_frame(counts, per_frame, FRAMES)


def _required(wait: Wait | None, events: Ints, theirs: int) -> Ints:
    """Events of another sequence, `theirs` a frame, before each of these events."""
    if wait is None:
        return np.zeros_like(events)
    counts = np.maximum.accumulate(_all(wait.counts, theirs))
    return np.maximum(counts[np.minimum(events, len(counts) - 1)], 0)


def _allowed(wait: Wait | None, happened: Ints, theirs: int) -> Ints:
    """How many events can come when so many of another sequence, `theirs` a frame, have happened."""
    if wait is None:
        return np.full_like(happened, ENDLESS)
    counts = np.maximum.accumulate(_all(wait.counts, theirs))
    return np.where(happened >= counts[-1], ENDLESS, np.searchsorted(counts, happened, side="right"))


def _moves(accelerator: Accelerator, join: Stage, number: int, stand: _Stand, fifos: Mapping[str, int]) -> bool:
    """Whether every stage before the join can do what the join's turns need of it, by the path over one input."""
    names = [s.name for s in join.inputs]
    demand = dict(zip(names, stand.demand, strict=True))
    room = {name: np.full_like(stand.taken[0], ENDLESS) for name in names}
    room[names[number]] = stand.taken[number]
    for stage in reversed(accelerator.stages[: accelerator.stages.index(join)]):
        made = {k: demand.pop(s.name) for k, s in enumerate(stage.outputs) if s.name in demand}
        left = {k: room.pop(s.name) + fifos.get(s.name, 0) for k, s in enumerate(stage.outputs) if s.name in room}
        if not made:
            continue
        schedule = stage.actor
        wanted, able = _wanted(schedule, made), _able(stage, schedule, left)
        for k, count in made.items():
            emission = schedule.emissions[k]
            if k in left and np.any(count > _allowed(emission.room, left[k], stage.outputs[k].beats)):
                return False
        if any(np.any(w > a) for w, a in zip(wanted, able, strict=True)):
            return False
        for intake, turns, most in zip(schedule.intakes, wanted, able, strict=True):
            for n, turn in intake.beats.items():
                places = _all(turn, intake.turns)
                demand[stage.inputs[n].name] = np.searchsorted(places, turns, side="left")
                beats = np.searchsorted(places, most, side="left")
                room[stage.inputs[n].name] = np.where(most >= FRAMES * intake.turns, ENDLESS, beats)
        if len(demand) == 1:
            return True  # all that comes before is common to all paths
    return True


def _wanted(schedule: Schedule, made: Mapping[int, Ints]) -> list[Ints]:
    """Turns of each intake with which so many beats are made."""
    wanted = [np.zeros_like(next(iter(made.values()))) for _ in schedule.intakes]
    for k, count in made.items():
        for number, wait in schedule.emissions[k].needs.items():
            turns = _required(wait, count - 1, schedule.intakes[number].turns)
            wanted[number] = np.maximum(wanted[number], np.where(count > 0, turns, 0))
    return [
        np.max([turns, *(_after(schedule, n, k, wanted[k]) for k in range(len(wanted)) if k != n)], axis=0)
        for n, turns in enumerate(wanted)
    ]


def _after(schedule: Schedule, number: int, other: int, turns: Ints) -> Ints:
    """Turns of intake `number` before so many of another."""
    mine, theirs = schedule.intakes[number], schedule.intakes[other]
    required = _required(theirs.after.get(number), turns - 1, mine.turns)
    return np.where(turns > 0, required, 0)


def _able(stage: Stage, schedule: Schedule, left: Mapping[int, Ints]) -> list[Ints]:
    """Turns that each intake can take when so many beats have left."""
    able = []
    for intake in schedule.intakes:
        turns = [_allowed(intake.room.get(k), count, stage.outputs[k].beats) for k, count in left.items()]
        able.append(np.min(turns, axis=0))
    limited = []
    for number, turns in enumerate(able):
        others = [(k, i) for k, i in enumerate(schedule.intakes) if k != number]
        after = schedule.intakes[number].after
        limited.append(np.min([turns, *(_allowed(after.get(k), able[k], i.turns) for k, i in others)], axis=0))
    return limited
