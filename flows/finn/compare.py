# SPDX-License-Identifier: Apache-2.0
"""The two rungs of the compile stage: FINN's graph against the model, and the golden model against FINN's graph."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.flows.finn.lower import Lowered
from adiabit.flows.finn.run_finn import run_finn
from adiabit.flows.finn.streamline import Streamlined
from adiabit.flows.finn.vacuous import Changes
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, levels_of
from adiabit.flows.frontend.network import Activation, Concat, Join, Network, Pool
from adiabit.flows.frontend.trace import trace
from adiabit.flows.ladder import Rung, RungName, Vectors
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Stage

Array = npt.NDArray[Any]
GOLDEN_ELEMENTS = 1 << 24  # in the largest stream of a block of frames


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one rung: labels (F,), and the last layer's accumulators (F, classes) where known.

    With a single class there is no label, only its accumulator.
    """

    labels: Array | None
    accumulators: Array | None

    def equal(self, before: Outcome) -> npt.NDArray[np.bool_]:
        """Which frames (F,) agree with the rung before in every integer that both have."""
        same = [np.asarray(self.labels == before.labels)] if self._both("labels", before) else []
        if self._both("accumulators", before):
            same.append(np.all(self.accumulators == before.accumulators, axis=1))
        return np.asarray(np.logical_and.reduce(same))

    def _both(self, what: str, before: Outcome) -> bool:
        return getattr(self, what) is not None and getattr(before, what) is not None

    def compared(self, before: Outcome) -> str:
        """The names of what `equal` compares."""
        return ", ".join(what for what in ("labels", "accumulators") if self._both(what, before))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One compiled model and everything needed to run it on each rung."""

    source: ModelWrapper
    network: Network
    config: CompileConfig
    streamlined: Streamlined
    accelerator: Accelerator
    theirs: Lowered  # maps the accelerator's streams to tensors of FINN's graph

    def rungs(self, vectors: Vectors) -> list[Rung]:
        """Run FINN's graph and the golden model on all frames, and compare each with the rung before."""
        frames = vectors.frames.reshape(len(vectors.frames), *self.accelerator.input.shape).astype(np.int32)
        changes = Changes()
        model, finn, ours = self._expected(vectors), self._run_finn(frames), self._run_golden(frames, changes)
        rows = ((RungName.FINN, finn, model, self._model_streams), (RungName.GOLDEN, ours, finn, self._finn_streams))
        found = []
        makers = self.accelerator.producers
        for name, outcome, before, stages in rows:
            same = outcome.equal(before)
            text = ""
            if not same.all():
                k = int(np.argmin(same))
                here = self._golden_streams(frames[k]) if name is RungName.GOLDEN else self._finn_streams(frames[k])
                text = _difference(name, here, stages(frames[k]), k, makers) or _labels(name, outcome, before, k)
            found.append(
                Rung(
                    name=name,
                    frames=len(frames),
                    equal=int(same.sum()),
                    accuracy=None if outcome.labels is None else vectors.accuracy(outcome.labels),
                    compared=outcome.compared(before),
                    difference=text,
                )
            )
        vacuous = changes.warnings(self.accelerator, ours.labels, len(frames))
        return [found[0], dataclasses.replace(found[1], warnings=vacuous)]

    def _expected(self, vectors: Vectors) -> Outcome:
        """The last accumulators, recovered from the model's logits by inverting logit = factor * product + addend.

        The sum of integers is an integer, so rounding recovers it exactly from float32 logits.
        """
        last, output = self.network.last, self.network.output
        levels = edge_levels(output, levels_of(self.network, self.config))
        labels = vectors.predictions if last.channels > 1 else None
        sums = np.rint((vectors.logits.astype(float) - levels.offset) / levels.scale)
        sums *= self.streamlined.signs[last.name]
        stage = self.theirs.product
        pixels = math.prod(self.network.shape_of(last.name)[:-1])
        if stage.xnor:
            sums = (sums + pixels * stage.weights.shape[1]) / 2
        return Outcome(labels=labels, accumulators=sums)

    def _run_finn(self, frames: Array) -> Outcome:
        tensors = self.theirs.tensors
        last, end = tensors[self.theirs.sums.outputs[0].name], tensors[self.accelerator.output.name]
        sums, labels = [], []
        for _, results in run_finn(self.streamlined.model, frames, {last, end}):
            sums.append(results[last])
            labels.append(results[end])
        return self._outcome(labels, sums)

    def _outcome(self, results: list[Array], sums: list[Array]) -> Outcome:
        """The outcome from blocks of outputs, (F, 1) labels or (F, classes) accumulators, and of last accumulators."""
        out = np.concatenate(results)
        single = out.shape[1] == 1
        labels = out[:, 0] if self.accelerator.labels else None if single else out.argmax(axis=1)
        return Outcome(labels=labels, accumulators=np.concatenate(sums))

    def _run_golden(self, frames: Array, changes: Changes) -> Outcome:
        sums, labels, name = [], [], self.theirs.sums.outputs[0].name
        block = max(1, GOLDEN_ELEMENTS // max(stream.elements for stream in self.accelerator.streams))
        for start in range(0, len(frames), block):
            for stream, values in golden.stream_values(self.accelerator, frames[start : start + block]):
                changes.watch(stream, values)
                if stream.name == name:
                    sums.append(values.reshape(len(values), -1))
                last = values.reshape(len(values), -1)
            labels.append(last)
        return self._outcome(labels, sums)

    def _golden_streams(self, frame: Array) -> Iterator[tuple[str, Array]]:
        values = golden.stream_values(self.accelerator, frame[None])
        return ((stream.name, value[0].reshape(-1)) for stream, value in values)

    def _finn_streams(self, frame: Array) -> Iterator[tuple[str, Array]]:
        """The tensors of FINN's graph, in our encoding."""
        _, results = next(run_finn(self.streamlined.model, frame[None]))
        for stream in self.accelerator.streams:
            if stream.name in self.theirs.tensors:
                factor, addend = self.theirs.maps[stream.name]
                yield stream.name, factor * results[self.theirs.tensors[stream.name]][0] + addend

    def _model_streams(self, frame: Array) -> Iterator[tuple[str, Array]]:
        """The model's own quantized tensors, for the streams that carry them."""
        tensors = trace(self.source, self.network, self.config, frame[None])
        streams = {tensor: stream for stream, tensor in self.theirs.tensors.items()}
        for node in self.network.nodes:
            stream = streams.get(self.streamlined.tensors.get(node.name, ""))
            if stream is None or node.tensor is None or not isinstance(node, Activation | Pool | Join | Concat):
                continue
            integers = tensors[node.tensor].integers
            assert integers is not None  # noqa: S101  # quantized tensors, and what is made of them, have integers
            values = np.moveaxis(integers[0].astype(np.int64), 0, -1)
            yield stream, np.where(node.inversions, -values, values).reshape(-1)


def _difference(
    name: str, here: Iterator[tuple[str, Array]], before: Iterator[tuple[str, Array]], k: int, makers: dict[str, Stage]
) -> str:
    """Where two rungs first differ: stage, frame, position (row * columns + column), channel and both values.

    Both give values by stream; `makers` are the stages that write them.
    """
    ours = dict(here)
    for stream, value in before:
        unequal = np.flatnonzero(ours[stream] != value)
        if len(unequal):
            stage = makers[stream]
            (out,) = (s for s in stage.outputs if s.name == stream)
            c, channels = int(unequal[0]), out.channels
            what = "channels" if channels == len(value) else "elements"
            return (
                f"stage {stage.name}, frame {k}, position {c // channels}, channel {c % channels}: {name} has "
                f"{ours[stream][c]:g}, the rung before {value[c]:g} ({len(unequal)} of {len(value)} {what} differ)"
            )
    return ""


def _labels(name: str, here: Outcome, before: Outcome, k: int) -> str:
    """The difference of two outcomes whose common stages all agree."""
    if here.accumulators is not None and before.accumulators is not None:
        unequal = np.flatnonzero(here.accumulators[k] != before.accumulators[k])
        if len(unequal):
            c = int(unequal[0])
            values = f"{name} has {here.accumulators[k, c]:g}, the rung before {before.accumulators[k, c]:g}"
            return f"last layer, frame {k}, position 0, channel {c}: {values}"
    assert here.labels is not None and before.labels is not None  # noqa: S101, PT018  # only labels are left to differ
    return f"label, frame {k}: {name} has {here.labels[k]:g}, the rung before {before.labels[k]:g}"
