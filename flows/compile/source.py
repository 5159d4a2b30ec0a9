# SPDX-License-Identifier: Apache-2.0
"""The nodes of a model file: the one path of data, constants and attributes, each read with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.flows.compile.chain import Place, constant
from adiabit.flows.compile.model_file import HELP


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model with constants folded, and where its nodes stand in the file."""

    path: Path
    model: ModelWrapper
    positions: dict[str, int]  # of the file's nodes, by their first output

    def place(self, node: onnx.NodeProto) -> Place:
        """Where a node stands in the file."""
        index = self.positions.get(node.output[0], 0)
        return Place(
            file=self.path, name=node.name or node.output[0], op=node.op_type, index=index, total=len(self.positions)
        )

    def next(self, tensor: str) -> onnx.NodeProto | None:
        """The one node that reads `tensor`; none at the end of the data."""
        consumers = [n for n in self.model.graph.node if tensor in n.input]
        if len(consumers) > 1:
            self.place(consumers[1]).refuse(
                f"reads {tensor!r}, which {consumers[0].name or consumers[0].op_type!r} reads too; "
                "a chain of layers is expected; remove the branch"
            )
        return consumers[0] if consumers else None

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of a tensor, batch axis and all; empty where it is not known."""
        return tuple(self.model.get_tensor_shape(tensor) or ())

    def constant(self, node: onnx.NodeProto, i: int) -> npt.NDArray[np.float32]:
        """Input `i` of a node, which must be a constant of finite numbers."""
        value = self.model.get_initializer(node.input[i])
        if value is None:
            self.place(node).refuse(f"input {node.input[i]!r} is not a constant; only one input may be data; {HELP}")
        value = constant(value)
        if not np.all(np.isfinite(value)):
            self.place(node).refuse(
                f"constant {node.input[i]!r} holds NaN or infinity; numbers are needed; train or export it anew"
            )
        return value

    def scalar(self, node: onnx.NodeProto, i: int, what: str) -> float:
        """Input `i` of a node, one number."""
        value = self.constant(node, i)
        if value.size != 1:
            self.place(node).refuse(
                f"{what} has shape {value.shape}; one number for the whole tensor is needed; quantize a tensor"
            )
        return float(value.reshape(-1)[0])

    def optional(self, node: onnx.NodeProto, i: int) -> list[int] | None:
        """The integers of input `i` where the node has it."""
        if len(node.input) <= i or not node.input[i]:
            return None
        return [int(v) for v in self.constant(node, i).reshape(-1)]


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node, text as str and lists as lists."""
    for found in node.attribute:
        if found.name == name:
            value = onnx.helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default
