# SPDX-License-Identifier: Apache-2.0
"""How many beats must fit on each edge so that the circuit cannot deadlock.

Only a stage that joins streams can wait for a beat that never comes: while it waits for one input, the other must
hold what a fork upstream sends meanwhile. Times do not matter for it, only counts. For each turn of a join, `_work`
counts what every stage before it must do, and `_held` the beats of this that no stage can hold while the join stands
still. They are the places of the FIFO before it; with one place less, that turn never comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    """The fewest places before an input of a join."""
    return max(_held(accelerator, join, number, stand, fifos) for stand in _stands(join))


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


def _held(accelerator: Accelerator, join: Stage, number: int, stand: _Stand, fifos: Mapping[str, int]) -> int:
    """Beats before an input of a join that no stage can hold when all stages do what the join's turns need."""
    work = _work(accelerator, join, stand)
    leave: dict[str, Ints] = {}  # by stream: beats that must leave its writer
    for stage, made, turns in reversed(work):
        schedule = stage.actor
        for n, stream in enumerate(stage.inputs):
            if stream.name in leave:
                for k, intake in enumerate(schedule.intakes):
                    if n in intake.beats:
                        beats = leave[stream.name] - fifos.get(stream.name, 0)
                        turns[k] = np.maximum(turns[k], _turns(_all(intake.beats[n], intake.turns), beats))
        turns = _with_others(schedule, turns)
        for k, stream in enumerate(stage.outputs):
            needs = [
                _before(intake.room.get(k), t, stream.beats) for intake, t in zip(schedule.intakes, turns, strict=True)
            ]
            if k in made:
                needs.append(_before(schedule.emissions[k].room, made[k], stream.beats))
            leave[stream.name] = np.max(needs, axis=0)
    name = join.inputs[number].name
    return max(0, int(np.max(leave[name] - stand.taken[number]))) if name in leave else 0


def _work(accelerator: Accelerator, join: Stage, stand: _Stand) -> list[tuple[Stage, dict[int, Ints], list[Ints]]]:
    """Stages before a join, the last first, up to where paths meet, with the beats that each makes and its turns."""
    demand, work = {s.name: beats for s, beats in zip(join.inputs, stand.demand, strict=True)}, []
    for stage in reversed(accelerator.stages[: accelerator.stages.index(join)]):
        made = {k: demand.pop(s.name) for k, s in enumerate(stage.outputs) if s.name in demand}
        if not made:
            continue
        turns = _wanted(stage.actor, made)
        work.append((stage, made, turns))
        for intake, count in zip(stage.actor.intakes, turns, strict=True):
            for n, turn in intake.beats.items():
                demand[stage.inputs[n].name] = np.searchsorted(_all(turn, intake.turns), count, side="left")
        if len(demand) == 1:
            break  # all that comes before is common to all paths
    return work


def _turns(turns: Ints, beats: Ints) -> Ints:
    """How many turns take so many beats, the n-th in turns[n]."""
    return np.where(beats > 0, turns[np.clip(beats - 1, 0, len(turns) - 1)] + 1, 0)


def _wanted(schedule: Schedule, made: Mapping[int, Ints]) -> list[Ints]:
    """Turns of each intake with which so many beats are made."""
    wanted = [np.zeros_like(next(iter(made.values()))) for _ in schedule.intakes]
    for k, count in made.items():
        for number, wait in schedule.emissions[k].needs.items():
            turns = _required(wait, count - 1, schedule.intakes[number].turns)
            wanted[number] = np.maximum(wanted[number], np.where(count > 0, turns, 0))
    return _with_others(schedule, wanted)


def _with_others(schedule: Schedule, turns: Sequence[Ints]) -> list[Ints]:
    """Turns of each intake, with those that turns of the others need."""
    needed = list(turns)
    for theirs, count in zip(schedule.intakes, turns, strict=True):
        for n, wait in theirs.after.items():
            needed[n] = np.maximum(needed[n], _before(wait, count, schedule.intakes[n].turns))
    return needed


def _before(wait: Wait | None, events: Ints, theirs: int) -> Ints:
    """Events of another sequence, `theirs` a frame, before so many events."""
    return np.where(events > 0, _required(wait, events - 1, theirs), 0)
