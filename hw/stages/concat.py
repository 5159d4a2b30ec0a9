# SPDX-License-Identifier: Apache-2.0
"""Concatenation: several streams become one with the channels of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adiabit.hw.stages.base import Call, Caption, Folding, Instance, Lanes, Stage
from adiabit.hw.stages.cost import Terms, summed
from adiabit.hw.stages.integers import Array, Ints
from adiabit.hw.stages.modules import counters, fifo
from adiabit.hw.stages.schedule import Schedule, joining
from adiabit.hw.stages.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Stage):
    """Concatenates channels: each pixel has those of the first input, then those of the second, and so on.

    Either the lanes of all streams are equal and divide the channels of each input, or every beat is a whole pixel.
    """

    def check(self) -> None:
        """Check that elements and pixels are equal, and the lanes."""
        if len(self.inputs) < 2 or len(self.outputs) != 1:
            self.refuse(f"{len(self.inputs)} inputs and {len(self.outputs)} outputs; a concatenation has at least two "
                        "inputs and one output")  # fmt: skip
        out = self.output
        for a in self.inputs:
            if (a.bits, a.kind, a.pixels) != (out.bits, out.kind, self.inputs[0].pixels):
                self.refuse(f"input {a} and output {out} must have equal elements and pixels")
        self._check_output(out, *self.inputs[0].shape[:-1], sum(self._channels))
        if not self.parallel and any(a.lanes != out.lanes for a in self.inputs):
            self.refuse(
                f"{[a.lanes for a in self.inputs]} lanes to {out.lanes}: equal lanes, or {self._channels} to "
                f"{sum(self._channels)}, are needed"
            )

    @property
    def output(self) -> Stream:
        """The output stream."""
        return self.outputs[0]

    @property
    def parallel(self) -> bool:
        """Whether a beat is a whole pixel."""
        return self.output.lanes == sum(self._channels) and all(a.lanes == a.channels for a in self.inputs)

    @property
    def _channels(self) -> list[int]:
        return [a.channels for a in self.inputs]

    def golden(self, *values: Array) -> tuple[Array, ...]:
        """The channels of all inputs (F, pixels, C)."""
        flat = [v.reshape(len(v), s.pixels, s.channels) for v, s in zip(values, self.inputs, strict=True)]
        return (np.concatenate(flat, axis=-1),)

    def rtl(self) -> Instance:
        """`bnn_join` if a beat is a whole pixel, else `bnn_concat`."""
        count = len(self.inputs)
        if self.parallel:
            return Instance(module="bnn_join", parameters={"Inputs": count, "Width": self.output.width})
        words = [a.words for a in self.inputs]
        return Instance(module="bnn_concat", parameters={"Width": self.output.width, "Inputs": count, "Words": words})

    def hls(self) -> Call:
        """`concat_pixels` if a beat is a whole pixel, else `concat`."""
        words = [a.words for a in self.inputs]
        template = [self.inputs[0].pixels, f"bnn::Words<{', '.join(map(str, words))}>"]
        return Call(
            function="concat_pixels" if self.parallel else "concat",
            header="bnn_concat.hpp",
            template=template[:1] if self.parallel else template,
            streams=(self.output, *self.inputs),
        )

    def schedule(self) -> Schedule:
        """Takes a beat a cycle, from the inputs in turn or from all at once; a skid buffer follows."""
        return joining(self._turns(), self.output.beats, depth=2, latency=1)

    def _turns(self) -> dict[int, Ints]:
        """By input: the output beat that each input beat becomes, or becomes part of."""
        pixels = np.arange(self.inputs[0].pixels)
        if self.parallel:
            return dict.fromkeys(range(len(self.inputs)), pixels)
        turns, first = {}, 0
        for number, a in enumerate(self.inputs):
            turns[number] = (pixels[:, None] * self.output.beats // len(pixels) + first + np.arange(a.words)).ravel()
            first += a.words
        return turns

    def terms(self, folding: Folding) -> Terms:
        """A multiplexer and a skid buffer."""
        bits = self.lanes(folding).outputs[0] * self.output.bits
        choose = 0 if folding.pe > max(self._channels) else bits * len(self.inputs)
        words = max(self._channels) // self.lanes(folding).inputs[0]
        return summed(fifo(bits), counters(words, len(self.inputs)), {"mask": choose // 3})

    @property
    def folding(self) -> Folding:
        """The lanes of the output."""
        return Folding(pe=self.output.lanes)

    def foldings(self) -> Sequence[Folding]:
        """Lanes that divide the channels of each input, or a whole pixel."""
        return [*super().foldings(), Folding(pe=sum(self._channels))]

    def lanes(self, folding: Folding) -> Lanes:
        """The same on all streams, or whole pixels."""
        if folding.pe == sum(self._channels):
            return Lanes(tuple(self._channels), (folding.pe,))
        return super().lanes(folding)

    def caption(self) -> Caption:
        """Channels of the inputs, and PE."""
        channels = " + ".join(map(str, self._channels))
        return Caption(tag="concat", lines=(channels, f"PE {self.output.lanes}"))
