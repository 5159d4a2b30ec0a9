# SPDX-License-Identifier: Apache-2.0
"""Schedules: when a stage accepts and produces its beats, as data.

No stage's timing depends on values, so each stage is a cyclo-static actor (Bilsen et al., Cyclo-static dataflow, 1996):
event n of a frame waits for fixed counts of other events. A schedule includes what the stage can hold: an input beat
waits until enough output beats have left. :mod:`adiabit.hw.folding.buffers` executes schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from adiabit.hw.stages.integers import Ints


@dataclass(frozen=True, eq=False)
class Wait:
    """Event n of a frame waits for `counts[n]` events of another sequence, and `delay` cycles more.

    Counts start with the frame; 0 and below refer to earlier frames. A delay may differ by event. A negative delay
    derives the time of an event from a later one.
    """

    counts: Ints
    delay: int | Ints = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Intake:
    """Turns in which a stage accepts beats: at most one a cycle, each taking one or no beat of every input."""

    turns: int  # a frame
    beats: Mapping[int, Ints]  # by input: the turn that takes each beat
    room: Mapping[int, Wait] = field(default_factory=dict)  # by output: beats that must have left
    after: Mapping[int, Wait] = field(default_factory=dict)  # by intake: turns that must have happened
    made: Mapping[int, Wait] = field(default_factory=dict)  # by output: beats made; timing only, `room` implies it


@dataclass(frozen=True, kw_only=True, eq=False)
class Emission:
    """When the beats of an output become visible to its reader."""

    needs: Mapping[int, Wait]  # by intake: turns that must have happened
    interval: int = 1  # cycles from one beat to the next
    room: Wait | None = None  # beats of this output that must have left; None if `room` of the intakes implies it


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """The events of one frame in a stage."""

    intakes: tuple[Intake, ...]
    emissions: tuple[Emission, ...]  # by output

    def producible(self, offered: Sequence[int]) -> list[int]:
        """Beats of a frame that each output can produce from the first `offered[n]` beats of each input n."""
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
    """Extend the counts of one frame to several frames of `per_frame` events each."""
    repeated: Ints = (counts + per_frame * np.arange(frames)[:, None]).ravel()
    return repeated


def passing(beats: int, *, depth: int, latency: int, outputs: int = 1, reuse: int = 1) -> Schedule:
    """Schedule of a buffer of `depth` beats; each input beat leaves on every output, at least `latency` cycles later.

    A slot is free again `reuse` cycles after its beat has left.
    """
    count = np.arange(1, beats + 1)
    room = Wait(count - depth, reuse)
    intake = Intake(turns=beats, beats={0: count - 1}, room=dict.fromkeys(range(outputs), room))
    return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(count, latency)}),) * outputs)


def joining(turns: Mapping[int, Ints], beats: int, *, depth: int, latency: int) -> Schedule:
    """Schedule of a join with a buffer of `depth` beats: each turn takes a beat of some inputs and produces one.

    `turns`: by input, the turn that takes each of its beats.
    """
    count = np.arange(1, beats + 1)
    intake = Intake(turns=beats, beats=turns, room={0: Wait(count - depth, 1)})
    return Schedule(intakes=(intake,), emissions=(Emission(needs={0: Wait(count, latency)}),))
