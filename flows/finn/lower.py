# SPDX-License-Identifier: Apache-2.0
"""Lowers FINN's hardware graph to our `Accelerator`, with one lane per stream; we choose the widths, not FINN.

FINN's conventions: weights (MW, MH), bipolar ones as {0, 1}; thresholds (MH, steps) or (1, steps); y = number of
T <= x; images NHWC, windows (KH, KW, C). A pool is a window generator and a `Pool` there; without overlap it is a
single stage here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import get_by_name

from adiabit.errors import UserError
from adiabit.flows.frontend.config import CompileConfig
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import (
    GlobalSum,
    Ints,
    Kind,
    LabelSelect,
    MatrixVector,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    Window,
    integer_type,
)


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """An accelerator and, for the output of each stage, FINN's tensor: ours = factor * theirs + addend."""

    accelerator: Accelerator
    tensors: dict[str, str]  # stage to FINN's tensor
    maps: dict[str, tuple[float, float]]  # stage to factor and addend

    @property
    def product(self) -> MatrixVector:
        """The last product."""
        return [s for s in self.accelerator.stages if isinstance(s, MatrixVector)][-1]

    @property
    def sums(self) -> Stage:
        """The stage whose output becomes the logits: the last product, or the sum after it."""
        return [s for s in self.accelerator.stages if isinstance(s, MatrixVector | GlobalSum)][-1]

    @property
    def activations(self) -> tuple[tuple[Stage, tuple[Stage, ...]], ...]:
        """The stages with thresholds, each with all the pools after it."""
        stages = self.accelerator.stages
        return tuple(
            (stage, tuple(s for s in stages[k:] if isinstance(s, Pool)))
            for k, stage in enumerate(stages)
            if isinstance(stage, Threshold | MatrixVector) and stage.thresholds is not None
        )


def hardware_nodes(model: ModelWrapper) -> list[onnx.NodeProto]:
    """The nodes that become stages, or change the shape of one, in order."""
    return [n for n in model.graph.node if n.op_type in _LOWER]


def lower(model: ModelWrapper, config: CompileConfig, file: Path) -> Accelerator:
    """The accelerator of a streamlined graph; `UserError` if FINN left another operation among the layers."""
    return lowered(model, config, file).accelerator


def lowered(model: ModelWrapper, config: CompileConfig, file: Path) -> Lowered:
    """The accelerator as by `lower`, with FINN's tensor for each stage."""
    nodes = list(model.graph.node)
    hardware = hardware_nodes(model)
    if nodes[: len(hardware)] != hardware or (config.label_select and len(nodes) != len(hardware)):
        left = next(n for n, h in zip(nodes, [*hardware, None], strict=False) if n is not h and n != h)
        raise UserError(f"{file}: FINN left {left.op_type} {left.name!r} among the layers; "
                        f"only {', '.join(_LOWER)} can be lowered; please report this model")  # fmt: skip
    work = _Lowering(model, _host_stream(model, config))
    for node in hardware:
        _LOWER[node.op_type](work, node)
    accelerator = Accelerator(name=config.name, stages=tuple(work.stages))
    return Lowered(accelerator=accelerator, tensors=work.tensors, maps=work.maps)


def _host_stream(model: ModelWrapper, config: CompileConfig) -> Stream:
    shape = tuple(model.get_tensor_shape(model.graph.input[0].name)[1:])
    kind = Kind.BIPOLAR if config.input_bits == 1 else Kind.SIGNED if config.input_signed else Kind.UNSIGNED
    return Stream(name="image", shape=shape, bits=config.input_bits, kind=kind, lanes=1)


@dataclass
class _Lowering:
    """The chain of stages so far."""

    model: ModelWrapper
    stream: Stream
    stages: list[Stage] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    map: tuple[float, float] = (1.0, 0.0)  # factor and addend from FINN's values of `stream` to ours
    tensors: dict[str, str] = field(default_factory=dict)
    maps: dict[str, tuple[float, float]] = field(default_factory=dict)

    def threshold(self, node: onnx.NodeProto) -> None:
        low, high = self.stream.range
        steps = self._thresholds(node.input[1], self.stream.channels, low, high)
        name = self._name("threshold")
        self._add(node, Threshold(name=name, inputs=(self.stream,), outputs=(self._levels(node, name),),
                                  thresholds=steps))  # fmt: skip

    def matrix_vector(self, node: onnx.NodeProto) -> None:
        weights = self.model.get_initializer(node.input[1]).T.astype(np.int64)
        if DataType[_text(node, "weightDataType")] == DataType["BINARY"]:
            weights = 2 * weights - 1
        shape = self._shape(node)
        name = self._name("conv" if len(shape) > 1 else "fc")
        bare = Stream(name=f"{name}_out", shape=shape, bits=32, kind=Kind.SIGNED, lanes=1)
        probe = MatrixVector(name=name, inputs=(self.stream,), outputs=(bare,), weights=weights)
        low, high = probe.accumulator_range
        if len(node.input) == 3:
            factor, addend = (1.0, 0.0) if probe.xnor else self.map  # popcounts are the same here and there
            shift = addend * weights.sum(axis=1)[:, None]
            steps = self._thresholds(node.input[2], len(weights), low, high, factor, shift)
            out = self._levels(node, name)
            self._add(node, dataclasses.replace(probe, outputs=(out,), thresholds=steps))
            return
        kind, bits = integer_type(low, high)
        out = Stream(name=f"{name}_out", shape=shape, bits=bits, kind=kind, lanes=1)
        self._add(node, dataclasses.replace(probe, outputs=(out,)), (1.0, 0.0))

    def label_select(self, node: onnx.NodeProto) -> None:
        count = self.counts.setdefault("label", 0)
        name = f"label{count or ''}"
        bits = max(1, (self.stream.elements - 1).bit_length())
        out = Stream(name=f"{name}_out", shape=(1,), bits=bits, kind=Kind.UNSIGNED, lanes=1)
        self._add(node, LabelSelect(name=name, inputs=(self.stream,), outputs=(out,)))

    def window(self, node: onnx.NodeProto) -> None:
        if _number(node, "depthwise"):
            return  # belongs to a pool, which makes its own window if necessary
        kernel, stride = _pair(node, "ConvKernelDim"), _pair(node, "Stride")
        name = self._name("window")
        self._add(node, Window(name=name, inputs=(self.stream,), outputs=(self._same(name, self._shape(node)),),
                               kernel=kernel, stride=stride, dilation=_pair(node, "Dilation")))  # fmt: skip

    def pool(self, node: onnx.NodeProto) -> None:
        """FINN's `Pool` after its depthwise window, or a `MaxPoolNHWC` whose windows leave gaps."""
        geometry = node
        if node.op_type == "Pool":
            geometry = self.model.find_producer(node.input[0])
            kernel, stride = _pair(geometry, "ConvKernelDim"), _pair(geometry, "Stride")
        else:
            kernel, stride = _pair(node, "kernel_shape"), _pair(node, "strides")
        shape = self._shape(node)
        if kernel == (1, 1) and stride == (1, 1):
            return
        if kernel != stride:
            rows, columns, channels = shape
            wide = (rows, columns * kernel[0] * kernel[1], channels)
            name = self._name("window")
            self._add(geometry, Window(name=name, inputs=(self.stream,), outputs=(self._same(name, wide),),
                                       kernel=kernel, stride=stride))  # fmt: skip
            kernel = (1, kernel[0] * kernel[1])
        name = self._name("pool")
        self._add(node, Pool(name=name, inputs=(self.stream,), outputs=(self._same(name, shape),), kernel=kernel))

    def pad(self, node: onnx.NodeProto) -> None:
        theirs = 0.0
        if node.op_type == "FMPadding":
            top, left, bottom, right = get_by_name(node.attribute, "Padding").ints
        else:
            top, left, bottom, right = self.model.get_initializer(node.input[1])
            theirs = float(self.model.get_initializer(node.input[2]))
        factor, addend = self.map
        name = self._name("pad")
        out = self._same(name, self._shape(node))
        self._add(node, Pad(name=name, inputs=(self.stream,), outputs=(out,), before=(int(top), int(left)),
                            after=(int(bottom), int(right)), value=round(factor * theirs + addend)))  # fmt: skip

    def global_sum(self, node: onnx.NodeProto) -> None:
        name = self._name("sum")
        pixels = self.stream.elements // self.stream.channels
        bare = Stream(name=f"{name}_out", shape=self._shape(node), bits=32, kind=Kind.SIGNED, lanes=1)
        stage = GlobalSum(name=name, inputs=(self.stream,), outputs=(bare,))
        low, high = stage.sums
        kind, bits = integer_type(low, high)
        out = dataclasses.replace(bare, bits=bits, kind=kind)
        factor, addend = self.map
        if self.stream.kind is Kind.BIPOLAR:  # our sum counts the +1
            factor, addend = factor / 2, (addend + 1) / 2
        self._add(node, dataclasses.replace(stage, outputs=(out,)), (factor, addend * pixels))

    def flatten(self, node: onnx.NodeProto) -> None:
        """Give the previous stage's output the new shape; the order of its elements is the same."""
        self.stream = dataclasses.replace(self.stream, shape=self._shape(node))
        if self.stages:
            self.stages[-1] = dataclasses.replace(self.stages[-1], outputs=(self.stream,))

    def _add(self, node: onnx.NodeProto, stage: Stage, mapped: tuple[float, float] | None = None) -> None:
        self.stages.append(stage)
        (self.stream,) = stage.outputs
        tensor = node.output[0]
        if mapped is None:
            binary = self.model.get_tensor_datatype(tensor) == DataType["BINARY"]
            mapped = (2.0, -1.0) if binary and self.stream.kind is Kind.BIPOLAR else (1.0, 0.0)
        self.map = self.maps[stage.name] = mapped
        self.tensors[stage.name] = tensor

    def _name(self, kind: str) -> str:
        k = self.counts.get(kind, 0)
        self.counts[kind] = k + 1
        return f"{kind}{k}"

    def _shape(self, node: onnx.NodeProto) -> tuple[int, ...]:
        return tuple(self.model.get_tensor_shape(node.output[0])[1:])

    def _same(self, name: str, shape: tuple[int, ...]) -> Stream:
        return dataclasses.replace(self.stream, name=f"{name}_out", shape=shape, lanes=1)

    def _levels(self, node: onnx.NodeProto, name: str) -> Stream:
        bits = DataType[_text(node, "outputDataType")].bitwidth()
        kind = Kind.BIPOLAR if bits == 1 else Kind.UNSIGNED
        return Stream(name=f"{name}_out", shape=self._shape(node), bits=bits, kind=kind, lanes=1)

    def _thresholds(
        self, name: str, channels: int, low: int, high: int, factor: float = 1.0, shift: npt.NDArray[Any] | float = 0.0
    ) -> Ints:
        """Thresholds (channels, steps), clipped to the useful range: low (always reached) to high + 1 (never)."""
        steps = np.ceil(factor * np.asarray(self.model.get_initializer(name), float) + shift)
        return np.broadcast_to(np.clip(steps, low, high + 1), (channels, steps.shape[1])).astype(np.int64)


_LOWER: dict[str, Callable[[_Lowering, onnx.NodeProto], None]] = {
    "Thresholding": _Lowering.threshold,
    "MVAU": _Lowering.matrix_vector,
    "LabelSelect": _Lowering.label_select,
    "ConvolutionInputGenerator": _Lowering.window,
    "Pool": _Lowering.pool,
    "MaxPoolNHWC": _Lowering.pool,
    "FMPadding": _Lowering.pad,
    "Pad": _Lowering.pad,
    "GlobalAccPool": _Lowering.global_sum,
    "Reshape": _Lowering.flatten,
}


def _text(node: onnx.NodeProto, name: str) -> str:
    return str(get_by_name(node.attribute, name).s.decode())


def _number(node: onnx.NodeProto, name: str) -> int:
    return int(get_by_name(node.attribute, name).i)


def _pair(node: onnx.NodeProto, name: str) -> tuple[int, int]:
    first, second = get_by_name(node.attribute, name).ints
    return int(first), int(second)
