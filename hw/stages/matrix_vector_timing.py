# SPDX-License-Identifier: Apache-2.0
"""Cycle-accurate timing of `bnn_mvu.sv`: its schedule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.integers import Ints
from adiabit.hw.stages.schedule import Emission, Intake, Schedule, Wait


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The quantities on which the schedule of a matrix-vector unit depends.

    Each vector is read `passes` times, once for every PE rows, from a replay memory that holds two vectors.
    """

    words: int  # beats of a vector
    passes: int  # MH / PE
    vectors: int  # a frame
    latency: int  # cycles from a vector's last word to its result

    def schedule(self, *, selected: bool) -> Schedule:
        """The unit's schedule; `selected`: a second input chooses the thresholds."""
        if not selected:
            return self._schedule(self._values)
        if self.passes == 1:  # the selector's beat is taken with the last word of its vector
            beats = {**self._values.beats, 1: (self._results + 1) * self.words - 1}
            return self._schedule(dataclasses.replace(self._values, beats=beats))
        # A pass may stand before its last word, for the selector: its other words are read behind the pass before.
        room, after = Wait(self._read - self._depth, 1 + self._word), Wait(self._freed, 1 + self._word)
        values = dataclasses.replace(self._values, room={0: room}, after={1: after}, made={})
        return self._schedule(values, self._selector)

    def _schedule(self, *intakes: Intake) -> Schedule:
        needs = {0: Wait(self._vector_complete, self.latency + (3 if self.passes > 1 else 1))}
        if len(intakes) > 1:
            needs[1] = Wait(self._results + 1, self.latency + 1)
        room = Wait(self._results + 1 - self._depth, self.latency + 1 + self.words)
        return Schedule(intakes=intakes, emissions=(Emission(needs=needs, interval=self.words, room=room),))

    @property
    def _values(self) -> Intake:
        """Intake of the words of the vectors: a slot of the replay memory is free after its word's last pass."""
        taken = np.arange(self.vectors * self.words)
        vector, word = taken // self.words, self._word
        made: Mapping[int, Wait] = {}
        if self.passes > 1:
            room = Wait(self._read - self._depth, 1)
            made = {0: Wait(self._read, np.where(word > 0, word - self.words, 0) - self.latency)}
        else:
            room = Wait(vector + 1 - self._depth, 1)
        return Intake(turns=len(taken), beats={0: taken}, room={0: room}, made=made)

    @property
    def _selector(self) -> Intake:
        """Intake of the selector if vectors are replayed: a beat is taken with the last word of each pass."""
        return Intake(
            turns=len(self._results),
            beats={1: self._results},
            room={0: Wait(self._results + 1 - self._depth, self.words)},
            after={0: Wait(self._vector_complete, 2)},
            made={0: Wait(self._results, self.words - self.latency - 1)},
        )

    @property
    def _results(self) -> Ints:
        """Indices of the output beats, each the result of a pass."""
        return np.arange(self.vectors * self.passes)

    @property
    def _vector_complete(self) -> Ints:
        """By result: words taken when its vector is complete."""
        return (self._results // self.passes + 1) * self.words

    @property
    def _freed(self) -> Ints:
        """By word: the last pass over the vector two before, whose slot of the memory it takes."""
        vector = np.arange(self.vectors * self.words) // self.words
        return (vector - 2) * self.passes + self.passes - 1

    @property
    def _word(self) -> Ints:
        """By word: its place in its vector."""
        return np.arange(self.vectors * self.words) % self.words

    @property
    def _read(self) -> Ints:
        """By word: results begun when its slot is free; a first word is read with the last of the pass before."""
        read: Ints = self._freed + (self._word > 0)
        return read

    @property
    def _depth(self) -> int:
        """Results that the credit FIFO holds, as in bnn_credit_fifo.sv."""
        return math.ceil((self.latency + 2) / self.words) + 1
