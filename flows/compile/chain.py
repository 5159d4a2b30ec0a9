# SPDX-License-Identifier: Apache-2.0
"""Element-wise float operations of a model, kept as they are so that they can be run, and where each node stands.

Shapes: N rows, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from adiabit.errors import UserError

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node stands, for messages: file, name, kind and position in the file's list of nodes."""

    file: Path
    name: str
    op: str
    index: int  # from 1
    total: int

    def __str__(self) -> str:
        return f"{self.file}: node {self.name!r} ({self.op}, {self.index} of {self.total})"

    def refuse(self, why: str) -> NoReturn:
        """Raise the `UserError` of this node; `why` tells what is wrong, what was expected and what to do."""
        raise UserError(f"{self}: {why}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One element-wise operation on the data with constants, e.g. Mul, Add or BatchNormalization."""

    place: Place
    node: onnx.NodeProto
    data: int  # which of the node's inputs the data is
    constants: dict[int, npt.NDArray[np.float32]]  # the other inputs by index

    def affine(self, channels: int) -> tuple[Reals, Reals]:
        """Factor and addend of each channel, in float64; `UserError` where the step is not affine."""
        one, zero = np.ones(channels), np.zeros(channels)
        op, first = self.node.op_type, self.data == 0
        if op == "BatchNormalization":
            gamma, beta, mean, variance = (self.constants[i].astype(float) for i in range(1, 5))
            epsilon = next((a.f for a in self.node.attribute if a.name == "epsilon"), 1e-5)
            factor = gamma / np.sqrt(variance + epsilon)
            return one * factor, beta - mean * factor
        value = one * next(iter(self.constants.values()), np.float32(0)).astype(float).reshape(-1)
        if op == "Mul":
            return value, zero
        if op == "Div" and first:
            return one / value, zero
        if op == "Add":
            return one, value
        if op != "Sub":
            self.place.refuse(
                "is no factor and addend; only Add, Sub, Mul, Div and BatchNormalization can stand here; remove it"
            )
        return (one, -value) if first else (-one, value)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Element-wise operations in the order and in the float32 arithmetic of the model."""

    steps: tuple[Step, ...]
    opset: int

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The chain's value for each element of x (N, C), as onnxruntime computes it."""
        if not self.steps:
            return x
        nodes, constants = self._nodes()
        graph = helper.make_graph(
            nodes,
            "chain",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": x.astype(np.float32)})[0])

    def _nodes(self) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[np.float32]]]:
        nodes, constants, tensor = [], {}, "x"
        for k, step in enumerate(self.steps):
            node = onnx.NodeProto()
            node.CopyFrom(step.node)
            node.input[step.data] = tensor
            for i, value in step.constants.items():
                node.input[i] = f"x_{k}_{i}"
                constants[node.input[i]] = value
            tensor = f"x_{k}"
            del node.output[1:]
            node.output[0] = tensor
            nodes.append(node)
        return nodes, constants

    @property
    def linear(self) -> Chain:
        """The chain without its Relus: an affine stand-in that rises and falls where the chain does."""
        return Chain(steps=tuple(step for step in self.steps if step.node.op_type != "Relu"), opset=self.opset)

    def signs(self, channels: int) -> Reals:
        """Whether each channel rises (1), falls (-1) or stays (0)."""
        signs = np.ones(channels)
        for step in self.steps:
            if step.node.op_type != "Relu":
                signs = signs * np.sign(step.affine(channels)[0])
        return signs

    def affine(self, channels: int) -> tuple[Reals, Reals]:
        """Factor and addend of each channel for the whole chain; `UserError` where a step is not affine."""
        factor, addend = np.ones(channels), np.zeros(channels)
        for step in self.steps:
            a, b = step.affine(channels)
            factor, addend = factor * a, addend * a + b
        return factor, addend


def constant(value: Any) -> npt.NDArray[np.float32]:
    """A float32 array of its own."""
    return np.array(value, dtype=np.float32)
