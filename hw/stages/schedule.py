# SPDX-License-Identifier: Apache-2.0
"""When a stage takes and gives its beats, as data.

No stage's timing depends on values, so each is a cyclo-static actor (Bilsen et al., Cyclo-static dataflow, 1996): the
n-th event of a frame waits for counts of other events that do not depend on data. What a stage can hold is part of
it: an input beat waits until enough output beats have left. :mod:`adiabit.hw.folding.buffers` executes schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from adiabit.hw.stages.integers import Ints


@dataclass(frozen=True, eq=False)
class Wait:
    """Event n of a frame waits until `counts[n]` events of another sequence have happened, and `delay` cycles more.

    A delay may differ by event, and may be negative: an event whose time is known from a later one.

    Counts begin with the frame; 0 and less reach into the frames before.
    """

    counts: Ints
    delay: int | Ints = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Intake:
    """Turns in which a stage takes beats, at most one turn a cycle; a turn takes its beats of all inputs at once."""

    turns: int  # a frame
    beats: Mapping[int, Ints]  # by input: the turn in which each beat is taken
    room: Mapping[int, Wait] = field(default_factory=dict)  # by output: beats that must have left
    after: Mapping[int, Wait] = field(default_factory=dict)  # by intake: its turns
    made: Mapping[int, Wait] = field(default_factory=dict)  # by output: beats made; only timing, `room` implies it


@dataclass(frozen=True, kw_only=True, eq=False)
class Emission:
    """Beats of an output as they become visible to the reader."""

    needs: Mapping[int, Wait]  # by intake: turns
    interval: int = 1  # cycles from one beat to the next
    room: Wait | None = None  # beats of this output that must have left; None where `room` of the intakes implies it


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """A frame of a stage."""

    intakes: tuple[Intake, ...]
    emissions: tuple[Emission, ...]  # by output

    def ahead(self, offered: Sequence[int]) -> list[int]:
        """Beats of a frame that each output can have when of the frame only so many of each input are there."""
        turns = [
            min([intake.turns, *(int(turn[offered[n]]) for n, turn in intake.beats.items() if offered[n] < len(turn))])
            for intake in self.intakes
        ]
        short = [
            np.any([wait.counts > turns[n] for n, wait in emission.needs.items()], axis=0)
            for emission in self.emissions
        ]
        return [int(np.argmax(missing)) if missing.any() else len(missing) for missing in short]


def every_frame(counts: Ints, per_frame: int, frames: int) -> Ints:
    """Counts of one frame for each of several, which have `per_frame` events each."""
    repeated: Ints = (counts + per_frame * np.arange(frames)[:, None]).ravel()
    return repeated


def passing(beats: int, *, depth: int, latency: int, outputs: int = 1, reuse: int = 1) -> Schedule:
    """A beat out for each beat in, `latency` cycles later, from a buffer that holds `depth` beats.

    A place is free again `reuse` cycles after its beat has left.
    """
    count = np.arange(1, beats + 1)
    room = Wait(count - depth, reuse)
    intake = Intake(turns=beats, beats={0: count - 1}, room=dict.fromkeys(range(outputs), room))
    return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(count, latency)}),) * outputs)


def joining(turns: Mapping[int, Ints], beats: int, *, depth: int, latency: int) -> Schedule:
    """A beat out for each turn, in which some of the inputs are read."""
    count = np.arange(1, beats + 1)
    intake = Intake(turns=beats, beats=turns, room={0: Wait(count - depth, 1)})
    return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(count, latency)}),))
