# SPDX-License-Identifier: Apache-2.0
"""Warnings where equal rungs show little: outputs that never change, and an input that its quantizer clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import host_levels
from adiabit.flows.frontend.network import Activation, Network
from adiabit.flows.frontend.normalize import host_range
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, Stage, Stream

Array = npt.NDArray[Any]
RARE = 0.02  # share of the host's integers below which a sign counts as rare
REMEDY = "check compile.input_scale, compile.input_offset and the training"


@dataclass
class Changes:
    """Records which streams have differed from their first frame in some later frame."""

    first: dict[str, Array] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def watch(self, stream: Stream, values: Array) -> None:
        """Record a block of a stream's values (F, *shape)."""
        first = self.first.setdefault(stream.name, values[0].copy())
        if stream.name not in self.changed and np.any(values != first):
            self.changed.add(stream.name)

    def warnings(self, accelerator: Accelerator, labels: Array | None, frames: int) -> tuple[str, ...]:
        """A line for the first stage whose output is the same for all frames, and one if all labels are the same."""
        if frames < 2:
            return ()
        constant = [s.name for s in accelerator.stages if not s.labels and self._constant(s)]
        found = [f"stage {constant[0]} outputs the same for all {frames:,} frames"] if constant else []
        if labels is not None and not np.ptp(labels):
            found.append(f"the label is {labels.flat[0]:g} for all {frames:,} frames")
        return tuple(f"{what}, so equality shows little; {REMEDY}" for what in found)

    def _constant(self, stage: Stage) -> bool:
        return all(stream.name not in self.changed for stream in stage.outputs)


def unfit_input(network: Network, config: CompileConfig) -> tuple[str, ...]:
    """A line if the input's quantizer maps most of the host's integers to the same level.

    `network` is the network as read, before normalization. Without a quantizer of the input there is no warning.
    """
    head = network.head
    if head is None:
        return ()
    quantizer, (n, reals) = head.quantizer, host_range(network, config)
    reached = head.reached(reals)
    bipolar = quantizer.kind is Kind.BIPOLAR
    lowest, highest = ((reached == end).mean(axis=0) for end in (0, quantizer.steps))
    if np.all(np.minimum(lowest, highest) >= RARE) if bipolar else np.all(lowest + highest <= 0.5):
        return ()
    what = "are nearly all of one sign for" if bipolar else "lie mostly at or beyond an end of"
    return (
        f"the host's integers {n[0]} to {n[-1]}, times input_scale = {config.input_scale:g}, plus input_offset = "
        f"{config.input_offset:g}, {what} the input's quantizer {head.place.name!r}; set them to what the model "
        f"was trained on{_example(network, head, config)}",
    )


def _example(network: Network, head: Activation, config: CompileConfig) -> str:
    """The scale and offset that spread the host's integers over the quantizer's range, if known."""
    chain = head.edge.chain
    if not chain.straight:
        return ""
    factor, addend = (values[0] for values in chain.affine(network.channels))
    if not factor:  # the input has no effect
        return ""
    host, levels = host_levels(config), head.quantizer.levels
    low, high = ((levels.scale[0] * level - addend) / factor for level in (levels.low, levels.high))
    scale = (high - low) / (host.high - host.low)
    return f", e.g. to input_scale = {scale:.6g}, input_offset = {low - scale * host.low:.6g}"
