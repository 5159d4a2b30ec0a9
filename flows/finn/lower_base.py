# SPDX-License-Identifier: Apache-2.0
"""What the lowering of each node of FINN's shares: the stages so far, names, and maps between values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import get_by_name

from adiabit.errors import UserError
from adiabit.flows.finn.streamline import Content
from adiabit.flows.frontend.network import Product
from adiabit.hw.stages import Ints, Kind, Stage, Stream

Map = tuple[float, float]  # from FINN's values to ours: ours = factor * theirs + addend
SAME: Map = (1.0, 0.0)


@dataclass(frozen=True)
class Read:
    """What a tensor of FINN's holds of a stream: theirs = (ours - addend) / factor, then times `signs`."""

    stream: Stream
    map: Map = SAME
    signs: Ints | None = None  # (C,) of -1 and +1


class Lowering:
    """The stages so far, and what each tensor of FINN's holds of their streams."""

    def __init__(self, model: ModelWrapper, file: Path, host: Stream, grouped: Mapping[Content, Product]) -> None:
        self.model, self.file, self.grouped = model, file, grouped
        self.stages: list[Stage] = []
        self.counts: dict[str, int] = {}
        self.reads = {model.graph.input[0].name: Read(host)}
        self.tensors: dict[str, str] = {}
        self.maps: dict[str, Map] = {}

    def plain(self, node: onnx.NodeProto) -> Read:
        """What the first input holds, which must not be negated."""
        read = self.reads[node.input[0]]
        if read.signs is not None:
            self.refuse(node, "reads negated channels")
        return read

    def refuse(self, node: onnx.NodeProto, why: str) -> NoReturn:
        """Raise a `UserError` that names the node."""
        raise UserError(f"{self.file}: FINN's {node.op_type} {node.name!r} {why}; please report this model")

    def append(self, node: onnx.NodeProto, stage: Stage, mapped: Map | None = None) -> None:
        """Add the stage that a node becomes."""
        self.stages.append(stage)
        (stream,) = stage.outputs
        self.kept(node, stream, mapped)

    def kept(self, node: onnx.NodeProto, stream: Stream, mapped: Map | None) -> None:
        """Remember the stream that carries what a node makes."""
        tensor = node.output[0]
        if mapped is None:
            binary = self.model.get_tensor_datatype(tensor) == DataType["BINARY"]
            mapped = (2.0, -1.0) if binary and stream.kind is Kind.BIPOLAR else SAME
        self.reads[tensor] = Read(stream, mapped)
        self.maps[stream.name], self.tensors[stream.name] = mapped, tensor

    def name(self, kind: str) -> str:
        """A new name: the kind and its number."""
        k = self.counts.get(kind, 0)
        self.counts[kind] = k + 1
        return f"{kind}{k}"

    def shape(self, node: onnx.NodeProto) -> tuple[int, ...]:
        """The shape that a node makes, without the batch."""
        return tuple(self.model.get_tensor_shape(node.output[0])[1:])

    def same(self, stream: Stream, name: str, shape: tuple[int, ...]) -> Stream:
        """A stream of the same elements in another shape."""
        return dataclasses.replace(stream, name=f"{name}_out", shape=shape, lanes=1)

    def steps(self, node: onnx.NodeProto) -> int:
        """The number of thresholds of a channel."""
        return int(self.model.get_initializer(node.input[-1]).shape[1])

    def levels(self, node: onnx.NodeProto, name: str) -> Stream:
        """The stream of a stage with thresholds."""
        datatype = DataType[text(node, "outputDataType")]
        bits = datatype.bitwidth()
        kind = Kind.BIPOLAR if bits == 1 else Kind.SIGNED if datatype.signed() else Kind.UNSIGNED
        return Stream(name=f"{name}_out", shape=self.shape(node), bits=bits, kind=kind, lanes=1)


def text(node: onnx.NodeProto, name: str) -> str:
    """An attribute that is text."""
    return str(get_by_name(node.attribute, name).s.decode())


def pair(node: onnx.NodeProto, name: str) -> tuple[int, int]:
    """An attribute that is two numbers."""
    first, second = get_by_name(node.attribute, name).ints
    return int(first), int(second)
