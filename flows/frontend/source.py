# SPDX-License-Identifier: Apache-2.0
"""Access to a model's nodes, constants and attributes; errors name the node's place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from adiabit.flows.frontend.chain import Place
from adiabit.flows.frontend.nodes import attribute
from adiabit.flows.frontend.simplify import known_shape, why_unknown

TINY = float(np.finfo(np.float32).tiny)  # smallest scale; float32 numbers below it lose digits


@dataclass(frozen=True, kw_only=True)
class Source:
    """A simplified model, and the places of its nodes in the file."""

    path: Path
    model: onnx.ModelProto
    places: dict[str, Place]  # by the first output of the node

    def place(self, node: onnx.NodeProto) -> Place:
        """The place of a node in the file."""
        return self.places[node.output[0]]

    @cached_property
    def _consumers(self) -> dict[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def _producers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def _initializers(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...] | None]:
        graph = self.model.graph
        return {v.name: known_shape(v) for v in (*graph.value_info, *graph.input, *graph.output)}

    @property
    def output(self) -> str:
        """The name of the network's output tensor."""
        return str(self.model.graph.output[0].name)

    def consumers(self, tensor: str) -> list[onnx.NodeProto]:
        """The nodes that read `tensor`."""
        return self._consumers.get(tensor, [])

    @property
    def live_nodes(self) -> list[onnx.NodeProto]:
        """The nodes on which the output depends, in order."""
        wanted, found = {self.output}, []
        for node in reversed(self.model.graph.node):
            if not wanted.isdisjoint(node.output):
                wanted.update(filter(None, node.input))
                found.append(node)
        return found[::-1]

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """The node that computes `tensor`, if any."""
        return self._producers.get(tensor)

    def known(self, tensor: str) -> tuple[int, ...] | None:
        """The shape of a tensor, including the batch axis; None if it is unknown."""
        return self._shapes.get(tensor)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of a tensor, including the batch axis; an unknown shape is refused."""
        shape = self.known(tensor)
        if shape is None:
            self.check_shapes()
        assert shape is not None  # noqa: S101  # otherwise a node makes it, and `check_shapes` has refused that node
        return shape

    def check_shapes(self) -> None:
        """Refuse the first node that makes a tensor of unknown shape, without which no model can be executed."""
        for node in self.model.graph.node:
            for name in filter(None, node.output):
                if self.known(name) is None:
                    why = why_unknown(self.model)
                    self.place(node).refuse(
                        f"the shape of {name!r} is unknown{f' ({why})' if why else ''}; it must follow from the "
                        "input's shape; check the model"
                    )

    def array(self, node: onnx.NodeProto, i: int) -> npt.NDArray[Any]:
        """Input `i` of a node, which must be a constant."""
        name = node.input[i]
        if name not in self._initializers:
            self.place(node).refuse(
                f"input {name!r} is not a constant; only one input may be data; precompute it before the export"
            )
        return np.array(numpy_helper.to_array(self._initializers[name]))

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is a constant."""
        return tensor in self._initializers

    def constant(self, node: onnx.NodeProto, i: int) -> npt.NDArray[np.float32]:
        """Input `i` of a node, which must be a constant of finite float32 numbers."""
        value, place, name = self.array(node, i), self.place(node), node.input[i]
        if value.dtype != np.float32:
            place.refuse(f"constant {name!r} has type {value.dtype}; float32 is needed; export it again")
        if not value.size:
            place.refuse(f"constant {name!r} has shape {value.shape}; at least one number is needed; check the model")
        if not np.all(np.isfinite(value)):
            place.refuse(f"constant {name!r} has NaN or infinity; finite numbers are needed; train or export it again")
        return value

    def scalar(self, node: onnx.NodeProto, i: int, what: str) -> float:
        """Input `i` of a node, one number."""
        value = self.constant(node, i)
        if value.size != 1:
            self.place(node).refuse(
                f"{what} has shape {value.shape}; one number for the whole tensor is needed; quantize per tensor"
            )
        if value.ndim > (axes := len(self.shape(node.input[0]))):
            self.place(node).refuse(
                f"{what} has shape {value.shape}, but the data has {axes} axes; it must not have more; export it again"
            )
        return float(value.reshape(-1)[0])

    def optional(self, node: onnx.NodeProto, i: int) -> list[int] | None:
        """The integers of input `i`; None if the node lacks that input."""
        if len(node.input) <= i or not node.input[i]:
            return None
        value = self.array(node, i)
        if value.dtype.kind != "i":
            self.place(node).refuse(
                f"constant {node.input[i]!r} has type {value.dtype}; integers are needed; export it again"
            )
        return [int(v) for v in value.reshape(-1)]

    def integers(self, node: onnx.NodeProto, name: str, count: int, default: int) -> list[int]:
        """The `count` integers of an attribute; if it is not given, `count` times `default`."""
        found = [int(v) for v in attribute(node, name, [default] * count)]
        if len(found) != count:
            self.place(node).refuse(f"attribute {name} is {found}; {count} numbers are needed; check the model")
        return found
