# SPDX-License-Identifier: Apache-2.0
"""The accelerator as data: a graph of stages joined by streams, in integers only, independent of any framework."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.stages import Array, Stage, Stream
from adiabit.legend import NO_LEGEND, Legend


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What integers stand for: scale * integer + offset, each of them by channel."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def reals(self, values: Array) -> Array:
        """The reals for integers (..., C), in float64."""
        reals: Array = np.asarray(self.scale) * values + np.asarray(self.offset)
        return reals


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """Stages in topological order; each stream joins the stage that writes it to the one stage that reads it.

    There is one input, which the host writes, and one output, which it reads. `UserError` if the graph is malformed.
    `meaning` is that of the output, for the host; None if it is a label, or not known. `legend` has the names of the
    classes and the encoding of raw features, as far as there are any.
    """

    name: str
    stages: tuple[Stage, ...]
    meaning: Meaning | None = None
    legend: Legend = NO_LEGEND

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"accelerator {self.name!r}: the name must be an identifier, because it names a module")
        if not self.stages:
            raise UserError(f"accelerator {self.name}: has no stages; at least one is needed")
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise UserError(f"accelerator {self.name}: stage names {names} must be distinct; rename the duplicates")
        made: dict[str, Stream] = {}
        used: set[str] = set()
        for stage in self.stages:
            for stream in stage.inputs:
                if stream.name in used:
                    raise UserError(f"stage {stage.name}: stream {stream.name} is read twice; use a fork")
                used.add(stream.name)
                if made.get(stream.name, stream) != stream:
                    raise UserError(f"stage {stage.name}: reads {stream}, but it was written as {made[stream.name]}")
            for stream in stage.outputs:
                if stream.name in made or stream.name in used:
                    raise UserError(f"stage {stage.name}: stream {stream.name} is written twice, or before it is read")
                made[stream.name] = stream
        channels = self.stages[-1].outputs[0].channels
        if self.meaning and (len(self.meaning.scale), len(self.meaning.offset)) != (channels, channels):
            raise UserError(f"accelerator {self.name}: the meaning of the output needs {channels} scales and offsets")
        self._check_legend()
        sources = [s for stage in self.stages for s in stage.inputs if s.name not in made]
        sinks = [s for s in made.values() if s.name not in used]
        if len(sources) != 1 or len(sinks) != 1:
            raise UserError(
                f"accelerator {self.name}: open inputs {[s.name for s in sources]} and outputs "
                f"{[s.name for s in sinks]}; exactly one of each is needed"
            )

    def _check_legend(self) -> None:
        encoding = self.legend.encoding
        if self.legend.names and len(self.legend.names) != self.classes:
            raise UserError(f"accelerator {self.name}: {len(self.legend.names)} names for {self.classes} classes")
        if encoding and len(encoding.low) not in (1, self.input.elements):
            raise UserError(
                f"accelerator {self.name}: an encoding of {len(encoding.low)} features for an input of "
                f"{self.input.elements}"
            )

    @property
    def classes(self) -> int:
        """The number of classes: of the elements that a label is selected of, or of the sums that are the output."""
        last = self.stages[-1]
        return (last.inputs if self.labels else last.outputs)[0].channels

    @property
    def input(self) -> Stream:
        """The stream from the host."""
        return self.stages[0].inputs[0]

    @property
    def output(self) -> Stream:
        """The stream to the host."""
        return self.stages[-1].outputs[0]

    @property
    def labels(self) -> bool:
        """Whether the output is a class label."""
        return self.stages[-1].labels

    @property
    def streams(self) -> Iterator[Stream]:
        """Each stream once: the input, then the outputs of each stage."""
        yield self.input
        for stage in self.stages:
            yield from stage.outputs

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state, those of the slowest stage."""
        return max(stage.cycles for stage in self.stages)

    @cached_property
    def producers(self) -> dict[str, Stage]:
        """By stream name, the stage that writes it; the input has none."""
        return {stream.name: stage for stage in self.stages for stream in stage.outputs}

    @cached_property
    def consumers(self) -> dict[str, Stage]:
        """By stream name, the stage that reads it; the output has none."""
        return {stream.name: stage for stage in self.stages for stream in stage.inputs}
