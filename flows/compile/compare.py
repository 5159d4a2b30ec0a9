# SPDX-License-Identifier: Apache-2.0
"""The two rungs of compiling: FINN's graph against the model, our golden model against FINN's graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.flows.compile.config import CompileConfig
from adiabit.flows.compile.levels import layer_inputs
from adiabit.flows.compile.lower import hardware_nodes
from adiabit.flows.compile.network import Network
from adiabit.flows.compile.run_finn import run_finn
from adiabit.flows.compile.streamline import Streamlined
from adiabit.flows.compile.trace import trace
from adiabit.flows.ladder import Rung, Vectors
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator, Kind, MatrixVector

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one rung computed: labels (F,), and the last layer's accumulators (F, classes) where they are known."""

    labels: Array
    accumulators: Array | None

    def equal(self, before: Outcome) -> npt.NDArray[np.bool_]:
        """Which frames agree with the rung before in every integer that it has."""
        same = np.asarray(self.labels == before.labels)
        if self.accumulators is not None and before.accumulators is not None:
            same &= np.all(self.accumulators == before.accumulators, axis=1)
        return same


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One compiled model with all that is needed to run it on every rung."""

    source: ModelWrapper
    network: Network
    config: CompileConfig
    streamlined: Streamlined
    accelerator: Accelerator

    def rungs(self, vectors: Vectors) -> list[Rung]:
        """Run FINN's graph and the golden model on all frames; each is compared with the rung before."""
        frames = vectors.frames.reshape(len(vectors.frames), -1).astype(np.int64)
        model, finn, ours = self._expected(vectors), self._run_finn(frames), self._run_golden(frames)
        rows = (("FINN graph", finn, model, self._model_stages), ("golden", ours, finn, self._finn_stages))
        found = []
        for name, outcome, before, stages in rows:
            same = outcome.equal(before)
            text = ""
            if not same.all():
                k = int(np.argmin(same))
                here = self._golden_stages(frames[k]) if name == "golden" else self._finn_stages(frames[k])
                text = _difference(name, here, stages(frames[k]), k) or _labels(name, outcome, before, k)
            found.append(
                Rung(
                    name=name,
                    frames=len(frames),
                    equal=int(same.sum()),
                    accuracy=vectors.accuracy(outcome.labels),
                    compared="labels" if before.accumulators is None else "labels, accumulators",
                    difference=text,
                )
            )
        return found

    def _expected(self, vectors: Vectors) -> Outcome:
        """What the model's logits say of the last accumulators: logit = factor * product + addend, undone.

        The product of quantized inputs is an integer, so rounding recovers it exactly from float32 logits.
        """
        layer, inputs = self.network.layers[-1], layer_inputs(self.network, self.config)[-1]
        if not self.network.quantizers:
            return Outcome(labels=vectors.predictions, accumulators=None)
        factor, addend = layer.chain.affine(len(layer.dense.weights))
        products = np.rint((vectors.logits.astype(float) - addend) / (factor * layer.dense.scale * inputs.scale))
        products *= self.streamlined.flips[-1]
        stage = self._product
        return Outcome(
            labels=vectors.predictions,
            accumulators=(products + stage.weights.shape[1]) / 2 if stage.xnor else products,
        )

    @property
    def _product(self) -> MatrixVector:
        return [s for s in self.accelerator.stages if isinstance(s, MatrixVector)][-1]

    def _run_finn(self, frames: Array) -> Outcome:
        nodes = hardware_nodes(self.streamlined.model)
        last = max(k for k, node in enumerate(nodes) if node.op_type == "MVAU")
        sums, labels = [], []
        for _, results in run_finn(self.streamlined.model, frames):
            sums.append(results[last])
            labels.append(results[-1][:, 0] if self.config.label_select else results[-1].argmax(axis=1))
        return Outcome(labels=np.concatenate(labels), accumulators=np.concatenate(sums))

    def _run_golden(self, frames: Array, block: int = 4096) -> Outcome:
        sums, labels = [], []
        for start in range(0, len(frames), block):
            streams = {s.name: v for s, v in golden.stream_values(self.accelerator, frames[start : start + block])}
            sums.append(streams[self._product.output.name])
            last = streams[self.accelerator.output.name]
            labels.append(last[:, 0] if self.config.label_select else last.argmax(axis=1))
        return Outcome(labels=np.concatenate(labels), accumulators=np.concatenate(sums))

    def _golden_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        values = {s.name: v for s, v in golden.stream_values(self.accelerator, frame[None])}
        return ((stage.name, values[stage.output.name][0]) for stage in self.accelerator.stages)

    def _finn_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        _, results = next(run_finn(self.streamlined.model, frame[None]))
        for stage, result in zip(self.accelerator.stages, results, strict=True):
            binary = stage.output.kind is Kind.BIPOLAR and result.min() >= 0
            yield stage.name, (2 * result - 1 if binary else result)[0].astype(np.int64)

    def _model_stages(self, frame: Array) -> Iterator[tuple[str, Array]]:
        tensors = trace(self.source, self.network, self.config, frame[None])
        steps = [s for s in self.accelerator.stages if getattr(s, "thresholds", None) is not None]
        for stage, quantizer in zip(steps, self.network.quantizers, strict=True):
            yield stage.name, np.rint(tensors[quantizer.tensor].reshape(-1) / quantizer.scale).astype(np.int64)


def _difference(name: str, here: Iterator[tuple[str, Array]], before: Iterator[tuple[str, Array]], k: int) -> str:
    """Where two rungs first part: stage, frame, channel and both values."""
    ours = dict(here)
    for stage, value in before:
        unequal = np.flatnonzero(ours[stage] != value)
        if len(unequal):
            c = int(unequal[0])
            return (
                f"stage {stage}, frame {k}, position 0, channel {c}: {name} has {ours[stage][c]}, "
                f"the rung before {value[c]} ({len(unequal)} of {len(value)} channels differ)"
            )
    return ""


def _labels(name: str, here: Outcome, before: Outcome, k: int) -> str:
    """The difference of two outcomes whose stages agree as far as both have them."""
    if here.accumulators is not None and before.accumulators is not None:
        unequal = np.flatnonzero(here.accumulators[k] != before.accumulators[k])
        if len(unequal):
            c = int(unequal[0])
            values = f"{name} has {here.accumulators[k, c]:g}, the rung before {before.accumulators[k, c]:g}"
            return f"last layer, frame {k}, position 0, channel {c}: {values}"
    return f"label, frame {k}: {name} has {here.labels[k]:g}, the rung before {before.labels[k]:g}"
