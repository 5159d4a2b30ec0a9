# SPDX-License-Identifier: Apache-2.0
"""Lowers FINN's hardware graph to our `Accelerator`, with one lane per stream; we choose the widths, not FINN.

FINN's conventions: weights (MW, MH), bipolar ones as {0, 1}; thresholds (MH, steps) or (1, steps); y = number of
T <= x; images NHWC, windows (KH, KW, C). A pool is a window generator and a `Pool` there; without overlap it is a
single stage here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.errors import UserError
from adiabit.flows.finn.lower_base import SAME, Map, Read, text
from adiabit.flows.finn.lower_images import ImageLowering
from adiabit.flows.finn.order import by_reader, in_order
from adiabit.flows.finn.streamline import Streamlined, content
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, levels_of
from adiabit.flows.frontend.network import Network, Product, Ranking
from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.fuse import fused
from adiabit.hw.stages import (
    Add,
    Affine,
    Concat,
    Fork,
    GroupedMatrixVector,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Stage,
    Stream,
    Threshold,
    integer_type,
)
from adiabit.hw.stages.stream import BITS


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """An accelerator and, for each of its streams, FINN's tensor and the map from its values to ours."""

    accelerator: Accelerator
    tensors: dict[str, str]  # stream to FINN's tensor
    maps: dict[str, Map]  # by stream

    @property
    def product(self) -> MatrixVector | GroupedMatrixVector:
        """The last product."""
        return [s for s in self.accelerator.stages if isinstance(s, MatrixVector | GroupedMatrixVector)][-1]

    @property
    def sums(self) -> Stage:
        """The stage whose output becomes the logits: the last product, or the sum after it."""
        return self.accelerator.stages[-1 - len(self.ends)]

    @property
    def ends(self) -> list[Stage]:
        """The stages behind it."""
        return [s for s in self.accelerator.stages if isinstance(s, LabelSelect | Affine)]


def hardware_nodes(model: ModelWrapper) -> list[onnx.NodeProto]:
    """The nodes that become stages, or change how one's output is read, in order."""
    return [n for n in model.graph.node if n.op_type in _LOWER]


def lower(streamlined: Streamlined, config: CompileConfig, network: Network) -> Lowered:
    """The accelerator of a streamlined graph; `UserError` if FINN left another operation among the layers.

    Classes that are ranked by scores get these, and their label, behind FINN's last layer: FINN computes in float32,
    whose integers end at 24 bits.
    """
    model, file = streamlined.model, network.file
    left = next((n for n in model.graph.node if n.op_type not in _LOWER), None)
    if left is not None:
        raise UserError(f"{file}: FINN left {left.op_type} {left.name!r} among the layers; "
                        f"only {', '.join(_LOWER)} can be lowered; please report this model")  # fmt: skip
    work = _Lowering(model, file, _host_stream(model, config), streamlined.grouped)
    for node in in_order(model):
        _LOWER[node.op_type](work, node)
    if config.label_select and network.ranking is not None:
        work.scores(model.graph.output[0].name, network.ranking)
    end = work.reads[model.graph.output[0].name].map
    meaning = None if config.label_select else _meaning(end, streamlined, network, config)
    accelerator = fused(Accelerator(name=config.name, stages=tuple(work.stages), meaning=meaning))
    kept = {stream.name for stream in accelerator.streams}
    tensors = {stream: tensor for stream, tensor in work.tensors.items() if stream in kept}
    return Lowered(accelerator=accelerator, tensors=tensors, maps=work.maps)


def _meaning(mapped: Map, streamlined: Streamlined, network: Network, config: CompileConfig) -> Meaning:
    """What the sums stand for in the model, given their map from FINN's values."""
    factor, addend = mapped
    logits = edge_levels(network.output, levels_of(network, config))
    signs = 1 if network.last is None else streamlined.signs[network.last.name]
    scale = np.ones(network.classes) * logits.scale * signs / factor
    offset = logits.offset - addend * scale
    return Meaning(scale=tuple(scale.tolist()), offset=tuple(offset.tolist()))


def _host_stream(model: ModelWrapper, config: CompileConfig) -> Stream:
    shape = tuple(model.get_tensor_shape(model.graph.input[0].name)[1:])
    kind = Kind.BIPOLAR if config.input_bits == 1 else Kind.SIGNED if config.input_signed else Kind.UNSIGNED
    return Stream(name="image", shape=shape, bits=config.input_bits, kind=kind, lanes=1)


class _Lowering(ImageLowering):
    """Lowers all nodes."""

    def threshold(self, node: onnx.NodeProto) -> None:
        """Thresholds T <= signs * (x - addend) / factor on our x; where that falls with x, the output is inverted."""
        read, name = self.reads[node.input[0]], self.name("threshold")
        stream, (factor, addend) = read.stream, read.map
        low, high = stream.range
        signs = np.ones(stream.channels, np.int64) if read.signs is None else read.signs
        given = np.broadcast_to(self.model.get_initializer(node.input[1]), (stream.channels, self.steps(node)))
        rising = np.ceil(factor * given.astype(float) + addend)
        falling = np.floor(addend - factor * given.astype(float))[:, ::-1] + 1
        steps = np.clip(np.where(signs[:, None] > 0, rising, falling), low, high + 1).astype(np.int64)
        inverted = {"inverted": (signs < 0).astype(np.int64)} if np.any(signs < 0) else {}
        self.append(node, Threshold(name=name, inputs=(stream,), outputs=(self.levels(node, name),),
                                  thresholds=steps, **inverted))  # fmt: skip

    def matrix_vector(self, node: onnx.NodeProto) -> None:
        """A product; with thresholds, these are mapped to our accumulators."""
        read = self.plain(node)
        stream = read.stream
        weights = self._weights(node)
        if DataType[text(node, "weightDataType")] == DataType["BINARY"]:
            weights = 2 * weights - 1
        shape = self.shape(node)
        name = self.name("conv" if len(shape) > 1 else "fc")
        bare = Stream(name=f"{name}_out", shape=shape, bits=32, kind=Kind.SIGNED, lanes=1)
        probe = MatrixVector(name=name, inputs=(stream,), outputs=(bare,), weights=weights)
        if (grouped := self.grouped.get(content(weights))) is not None:
            self._grouped(node, read, probe, grouped)
            return
        low, high = probe.accumulator_range
        factor, addend = SAME if probe.xnor else read.map  # popcounts are the same here and there
        shift = addend * weights.sum(axis=1)[:, None]
        if len(node.input) == 3:
            given = np.broadcast_to(self.model.get_initializer(node.input[2]), (len(weights), self.steps(node)))
            steps = np.clip(np.ceil(factor * given.astype(float) + shift), low, high + 1).astype(np.int64)
            out = self.levels(node, name)
            self.append(node, dataclasses.replace(probe, outputs=(out,), thresholds=steps))
            return
        if np.ptp(shift) or (shift.size and shift[0, 0]):
            self.refuse(node, "reads counts, so that each of its sums needs its own addend")
        kind, bits = integer_type(low, high)
        out = Stream(name=f"{name}_out", shape=shape, bits=bits, kind=kind, lanes=1)
        self.append(node, dataclasses.replace(probe, outputs=(out,)), (factor, 0.0))

    def _weights(self, node: onnx.NodeProto) -> Ints:
        """Weights (MH, MW) of a product; those of a VVAU, (C, 1, KH, KW), with the zeros of the other channels."""
        given: Ints = self.model.get_initializer(node.input[1]).astype(np.int64)
        if node.op_type == "MVAU":
            return given.T
        channels, pixels = len(given), math.prod(given.shape[2:])
        whole = np.zeros((channels, pixels, channels), np.int64)
        each = np.arange(channels)
        whole[each, :, each] = given.reshape(channels, pixels)
        return whole.reshape(channels, -1)

    def scores(self, tensor: str, ranking: Ranking) -> None:
        """Scores of what FINN's output holds, and the label."""
        read = self.reads[tensor]
        stream, (factor, addend) = read.stream, read.map
        factors = np.rint(ranking.factors / factor).astype(np.int64)
        addends = np.rint(ranking.addends - ranking.factors * (addend / factor)).astype(np.int64)
        bare = Stream(name="scores_out", shape=stream.shape, bits=BITS, kind=Kind.SIGNED, lanes=1)
        stage = Affine(name="scores", inputs=(stream,), outputs=(bare,), factors=factors, addends=addends)
        kind, bits = integer_type(*stage.results)
        out = dataclasses.replace(bare, kind=kind, bits=bits)
        self.stages.append(dataclasses.replace(stage, outputs=(out,)))
        self._select(out)

    def _grouped(self, node: onnx.NodeProto, read: Read, probe: MatrixVector, product: Product) -> None:
        """A grouped product, which FINN has as a VVAU or a matrix with zeros; its sums are those of -1 and +1 there."""
        assert product.filter is not None  # noqa: S101  # a dense layer has no groups
        own = dataclasses.replace(product, weights=probe.weights).own
        bare = dataclasses.replace(probe.output, lanes=1)
        stage = GroupedMatrixVector(
            name=probe.name, inputs=probe.inputs, outputs=(bare,), weights=own, groups=product.groups,
            kernel=math.prod(product.filter.kernel),
        )  # fmt: skip
        low, high = stage.value_range
        (factor, addend), half = read.map, 0.5 if stage.xnor else 1.0
        shift = half * (addend * own.sum(axis=1) + (own.shape[1] if stage.xnor else 0))[:, None]
        if len(node.input) == 3:
            given = np.broadcast_to(self.model.get_initializer(node.input[2]), (len(own), self.steps(node)))
            steps = np.clip(np.ceil(half * factor * given.astype(float) + shift), low, high + 1).astype(np.int64)
            out = self.levels(node, probe.name)
            self.append(node, dataclasses.replace(stage, outputs=(out,), thresholds=steps))
            return
        if np.ptp(shift):
            self.refuse(node, "reads counts, so that each of its sums needs its own addend")
        kind, bits = integer_type(low, high)
        out = dataclasses.replace(bare, bits=bits, kind=kind)
        self.append(node, dataclasses.replace(stage, outputs=(out,)), (half * factor, float(shift[0, 0])))

    def label_select(self, node: onnx.NodeProto) -> None:
        """The label."""
        out = self._select(self.plain(node).stream)
        self.kept(node, out, None)

    def _select(self, stream: Stream) -> Stream:
        bits = max(1, (stream.channels - 1).bit_length())
        shape = (*stream.shape[:-1], 1) if stream.pixels > 1 else (1,)
        out = Stream(name="label_out", shape=shape, bits=bits, kind=Kind.UNSIGNED, lanes=1)
        self.stages.append(LabelSelect(name="label", inputs=(stream,), outputs=(out,)))
        return out

    def fork(self, node: onnx.NodeProto) -> None:
        """One stream for several readers."""
        read, name = self.reads[node.input[0]], self.name("fork")
        outputs = tuple(dataclasses.replace(read.stream, name=f"{name}_out{k}") for k in range(len(node.output)))
        self.stages.append(Fork(name=name, inputs=(read.stream,), outputs=outputs))
        for tensor, out in zip(by_reader(self.model, node.output), outputs, strict=True):
            self.reads[tensor] = dataclasses.replace(read, stream=out)

    def add(self, node: onnx.NodeProto) -> None:
        """The sum of two streams."""
        a, b = (self.reads[name] for name in node.input)
        if a.signs is not None or b.signs is not None or a.map[0] != b.map[0]:
            self.refuse(node, "adds streams of different scales")
        name = self.name("add")
        bare = Stream(name=f"{name}_out", shape=self.shape(node), bits=32, kind=Kind.SIGNED, lanes=1)
        stage = Add(name=name, inputs=(a.stream, b.stream), outputs=(bare,))
        kind, bits = integer_type(*stage.sums)
        out = dataclasses.replace(bare, bits=bits, kind=kind)
        self.append(node, dataclasses.replace(stage, outputs=(out,)), (a.map[0], a.map[1] + b.map[1]))

    def concat(self, node: onnx.NodeProto) -> None:
        """The channels of several streams."""
        reads = [self.reads[name] for name in node.input]
        first = reads[0]
        if any(read.signs is not None or read.map != first.map for read in reads):
            self.refuse(node, "joins streams of different scales")
        name = self.name("concat")
        out = self.same(first.stream, name, self.shape(node))
        self.append(node, Concat(name=name, inputs=tuple(r.stream for r in reads), outputs=(out,)), first.map)

    def flatten(self, node: onnx.NodeProto) -> None:
        """Give the stage before its output in the new shape; the order of its elements is the same."""
        read = self.plain(node)
        stream = dataclasses.replace(read.stream, shape=self.shape(node))
        for k, stage in enumerate(self.stages):
            if read.stream in stage.outputs:
                outputs = tuple(stream if out == read.stream else out for out in stage.outputs)
                self.stages[k] = dataclasses.replace(stage, outputs=outputs)
        self.reads[node.output[0]] = dataclasses.replace(read, stream=stream)

    def scale(self, node: onnx.NodeProto) -> None:
        """A factor or an addend, which the readers take into account."""
        read, value = self.reads[node.input[0]], np.asarray(self.model.get_initializer(node.input[1]), float)
        factor, addend = read.map
        if node.op_type == "Mul" and value.size > 1 and read.signs is None and np.all(np.abs(value) == 1):
            self.reads[node.output[0]] = dataclasses.replace(read, signs=value.reshape(-1).astype(np.int64))
            return
        if read.signs is not None or np.ptp(value) or (node.op_type == "Mul" and value.flat[0] <= 0):
            self.refuse(node, "scales or shifts channels differently before a layer that cannot")
        number = float(value.flat[0])
        mapped = (factor / number, addend) if node.op_type == "Mul" else (factor, addend - factor * number)
        self.reads[node.output[0]] = dataclasses.replace(read, map=mapped)


_LOWER: dict[str, Callable[[_Lowering, onnx.NodeProto], None]] = {
    "Thresholding": _Lowering.threshold,
    "MVAU": _Lowering.matrix_vector,
    "VVAU": _Lowering.matrix_vector,
    "LabelSelect": _Lowering.label_select,
    "ConvolutionInputGenerator": _Lowering.window,
    "Pool": _Lowering.pool,
    "MaxPoolNHWC": _Lowering.pool,
    "FMPadding": _Lowering.pad,
    "Pad": _Lowering.pad,
    "GlobalAccPool": _Lowering.global_sum,
    "DuplicateStreams": _Lowering.fork,
    "ElementwiseAdd": _Lowering.add,
    "StreamingConcat": _Lowering.concat,
    "Reshape": _Lowering.flatten,
    "Mul": _Lowering.scale,
    "Add": _Lowering.scale,
}
