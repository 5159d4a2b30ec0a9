# SPDX-License-Identifier: Apache-2.0
"""The two rungs of the compile stage: FINN's graph against the model, and the golden model against FINN's graph."""

from __future__ import annotations

import dataclasses
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
from adiabit.flows.frontend.network import Activation, Average, Concat, Join, Network, Pool
from adiabit.flows.frontend.trace import trace
from adiabit.flows.ladder import Rung, RungName, Vectors
from adiabit.flows.progress import counting
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Stage

Array = npt.NDArray[Any]
GOLDEN_ELEMENTS = 1 << 24  # in the largest stream of a block of frames


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one rung: labels (F, pixels), and the last layer's accumulators (F, pixels * classes) where known.

    The output has one pixel, unless it is an image. With a single class there is no label, only its accumulator.
    """

    labels: Array | None
    accumulators: Array | None

    def equal(self, before: Outcome) -> npt.NDArray[np.bool_]:
        """Which frames (F,) agree with the rung before in every integer that both have."""
        same = [np.all(self.labels == before.labels, axis=1)] if self._both("labels", before) else []
        if self._both("accumulators", before):
            known = np.asarray(before.accumulators)
            same.append(np.all((self.accumulators == known) | np.isnan(known), axis=1))
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
    theirs: Lowered  # the accelerator, whose streams it maps to tensors of FINN's graph

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator, not folded."""
        return self.theirs.accelerator

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
                text = _difference(name, here, stages(frames[k]), k, makers) or _labels(
                    name, outcome, before, k, self.network.classes
                )
            found.append(
                Rung(
                    name=name,
                    frames=len(frames),
                    equal=int(same.sum()),
                    accuracy=None if outcome.labels is None else vectors.accuracy(outcome.labels[:, 0]),
                    compared=outcome.compared(before),
                    difference=text,
                )
            )
        vacuous = changes.warnings(self.accelerator, ours.labels, len(frames))
        return [found[0], dataclasses.replace(found[1], warnings=vacuous)]

    def _expected(self, vectors: Vectors) -> Outcome:
        """The last accumulators or levels, recovered from the model's logits by inverting logit = factor * n + addend.

        The sum of integers is an integer, so rounding recovers it exactly from float32 logits. A factor of 0 leaves it
        unknown: NaN.
        """
        last, count = self.network.last, len(vectors.frames)
        levels = edge_levels(self.network.output, levels_of(self.network, self.config))
        labels = vectors.predictions.reshape(count, -1) if self.network.classes > 1 else None
        scale = np.where(levels.scale == 0, np.nan, levels.scale)
        sums = np.rint((vectors.logits.astype(float) - levels.offset) / scale)
        if last is not None:
            sums *= self.streamlined.signs[last.name]
            stage = self.theirs.product
            end = self.network.by_name[self.network.output.source]
            if stage.xnor:
                sums = (sums + (end.count if isinstance(end, Average) else 1) * stage.weights.shape[1]) / 2
        return Outcome(labels=labels, accumulators=sums.reshape(count, -1))

    def _run_finn(self, frames: Array) -> Outcome:
        tensors, labels, sums = self.theirs.tensors, list[Array](), list[Array]()
        name = self.theirs.sums.outputs[0].name
        last, (factor, addend) = tensors[name], self.theirs.maps[name]
        end = tensors.get(self.accelerator.output.name, last)
        for _, results in run_finn(self.streamlined.model, frames, {last, end}):
            sums.append(factor * results[last] + addend)
            labels.append(results[end] if end != last else self._label(sums[-1]))
        return self._outcome(labels, sums)

    def _outcome(self, results: list[Array], sums: list[Array]) -> Outcome:
        """The outcome from blocks of outputs, labels or accumulators (F, elements), and of last accumulators."""
        out, classes = np.concatenate(results), self.network.classes
        if (meaning := self.accelerator.meaning) is not None:
            out = meaning.reals(out.reshape(len(out), -1, classes)).argmax(axis=2)
        labels = out if classes > 1 else None
        return Outcome(labels=labels, accumulators=np.concatenate(sums))

    def _label(self, sums: Array) -> Array:
        """The labels (F, pixels) of the last sums, by the stages that FINN's graph lacks."""
        for stage in self.theirs.ends:
            (sums,) = stage.golden(sums.reshape(len(sums), *stage.inputs[0].shape))
        return sums.reshape(len(sums), -1)

    def _run_golden(self, frames: Array, changes: Changes) -> Outcome:
        sums, labels, name = [], [], self.theirs.sums.outputs[0].name
        block = max(1, GOLDEN_ELEMENTS // max(stream.elements for stream in self.accelerator.streams))
        with counting("golden model, frames", len(frames)) as done:
            for start in range(0, len(frames), block):
                for stream, values in golden.stream_values(self.accelerator, frames[start : start + block]):
                    changes.watch(stream, values)
                    if stream.name == name:
                        sums.append(values.reshape(len(values), -1))
                    last = values.reshape(len(values), -1)
                labels.append(last)
                done(len(last))
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
            values = integers[0].astype(np.int64)
            values = values if node.last else np.moveaxis(values, 0, -1)
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


def _labels(name: str, here: Outcome, before: Outcome, k: int, channels: int) -> str:
    """The difference of two outcomes whose common stages all agree."""
    if here.accumulators is not None and before.accumulators is not None:
        unequal = np.flatnonzero(here.accumulators[k] != before.accumulators[k])
        if len(unequal):
            c = int(unequal[0])
            values = f"{name} has {here.accumulators[k, c]:g}, the rung before {before.accumulators[k, c]:g}"
            return f"last layer, frame {k}, position {c // channels}, channel {c % channels}: {values}"
    assert here.labels is not None and before.labels is not None  # noqa: S101, PT018  # only labels are left to differ
    p = int(np.argmax(here.labels[k] != before.labels[k]))
    where = f"label, frame {k}" + (f", position {p}" if here.labels.shape[1] > 1 else "")
    return f"{where}: {name} has {here.labels[k, p]:g}, the rung before {before.labels[k, p]:g}"
