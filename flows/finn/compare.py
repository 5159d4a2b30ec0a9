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
from adiabit.flows.frontend.levels import factors, layer_inputs
from adiabit.flows.frontend.network import Network, Pool
from adiabit.flows.frontend.trace import trace
from adiabit.flows.ladder import Rung, RungName, Vectors
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind

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
        rows = ((RungName.FINN, finn, model, self._model_stages), (RungName.GOLDEN, ours, finn, self._finn_stages))
        found = []
        widths = {s.name: s.outputs[0].channels for s in self.accelerator.stages}
        for name, outcome, before, stages in rows:
            same = outcome.equal(before)
            text = ""
            if not same.all():
                k = int(np.argmin(same))
                here = self._golden_stages(frames[k]) if name is RungName.GOLDEN else self._finn_stages(frames[k])
                text = _difference(name, here, stages(frames[k]), k, widths) or _labels(name, outcome, before, k)
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

        The product of quantized inputs is an integer, so rounding recovers it exactly from float32 logits.
        """
        layer, levels = self.network.layers[-1], layer_inputs(self.network, self.config)[-1]
        labels = vectors.predictions if len(layer.dense.weights) > 1 else None
        factor, addend = factors(layer, levels)
        pixels = 1 if self.network.tail is None else self.network.tail.count
        products = np.rint((vectors.logits.astype(float) - addend) * pixels / factor) * self.streamlined.flips[-1]
        stage = self.theirs.product
        return Outcome(
            labels=labels,
            accumulators=(products + pixels * stage.weights.shape[1]) / 2 if stage.xnor else products,
        )

    def _run_finn(self, frames: Array) -> Outcome:
        stages, tensors = self.accelerator.stages, self.theirs.tensors
        last, end = tensors[self.theirs.sums.name], tensors[stages[-1].name]
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

    def _golden_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        values = {s.name: v for s, v in golden.stream_values(self.accelerator, frame[None])}
        return ((stage.name, values[stage.outputs[0].name][0].reshape(-1)) for stage in self.accelerator.stages)

    def _finn_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        _, results = next(run_finn(self.streamlined.model, frame[None]))
        for name, tensor in self.theirs.tensors.items():
            factor, addend = self.theirs.maps[name]
            yield name, np.rint(factor * results[tensor][0] + addend).astype(np.int64)

    def _model_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        """The outputs of the model's own quantizers, in the form of the stages that correspond to them."""
        tensors = trace(self.source, self.network, self.config, frame[None])
        activations = self.theirs.activations
        layers = [None] * (len(activations) - len(self.network.layers) + 1) + list(self.network.layers)
        for (stage, pools_after), layer, quantizer in zip(activations, layers, self.network.quantizers, strict=False):
            pools = 0 if layer is None else sum(isinstance(move, Pool) for move in layer.pools)
            end = pools_after[pools - 1] if pools else stage
            integers = tensors[quantizer.tensor].integers
            assert integers is not None  # noqa: S101  # a quantizer's output has integers
            values = integers[0].astype(np.int64)
            if quantizer.kind is not Kind.BIPOLAR:
                values -= quantizer.low
            values = _channel_last(values)
            if layer is not None:
                values = np.where(layer.inversions, -values, values)
            yield end.name, values.reshape(-1)


def _channel_last(values: Array) -> Array:
    """(C, H, W) as (H, W, C), (C, W) as (W, C), a vector unchanged."""
    return np.moveaxis(values, 0, -1)


def _difference(
    name: str, here: Iterator[tuple[str, Array]], before: Iterator[tuple[str, Array]], k: int, widths: dict[str, int]
) -> str:
    """Where two rungs first differ: stage, frame, position (row * columns + column), channel and both values."""
    ours = dict(here)
    for stage, value in before:
        unequal = np.flatnonzero(ours[stage] != value)
        if len(unequal):
            c, channels = int(unequal[0]), widths[stage]
            what = "channels" if channels == len(value) else "elements"
            return (
                f"stage {stage}, frame {k}, position {c // channels}, channel {c % channels}: {name} has "
                f"{ours[stage][c]}, the rung before {value[c]} ({len(unequal)} of {len(value)} {what} differ)"
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
