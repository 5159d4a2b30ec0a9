# SPDX-License-Identifier: Apache-2.0
"""Element-wise float operations of a model, kept as ONNX nodes so that they can be executed, and each node's place.

Shapes: N rows, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from adiabit.errors import UserError

Reals = npt.NDArray[np.float64]
RISING = ("PRelu", "Relu")  # not affine, but never falling


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a node, for messages: file, name, kind and position in the file's list of nodes."""

    file: Path
    name: str
    op: str
    index: int  # from 1
    total: int

    def __str__(self) -> str:
        return f"{self.file}: node {self.name!r} ({self.op}, {self.index} of {self.total})"

    def refuse(self, why: str) -> NoReturn:
        """Raise a `UserError` at this node; `why` says what is wrong, what is expected and what to do."""
        raise UserError(f"{self}: {why}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One element-wise operation of data with constants, e.g. Mul, Add or BatchNormalization."""

    place: Place
    node: onnx.NodeProto
    data: int  # the index of the input that carries the data
    constants: dict[int, npt.NDArray[np.float32]]  # the other inputs by index

    @classmethod
    def by(cls, op: str, value: npt.NDArray[np.float32], place: Place) -> Step:
        """The data Mul or Add a constant, for messages at a place of the file."""
        return cls(place=place, node=onnx.helper.make_node(op, ["", "value"], [""]), data=0, constants={1: value})

    def affine(self, channels: int) -> tuple[Reals, Reals]:
        """Factor and addend of each channel (C,), in float64; `UserError` if the step is not affine."""
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
                "is not affine; only Add, Sub, Mul, Div and BatchNormalization are allowed here; remove it"
            )
        return (one, -value) if first else (-one, value)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Element-wise operations in the model's order and float32 arithmetic."""

    steps: tuple[Step, ...]
    opset: int

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The result for x (N, C), as onnxruntime computes it."""
        for step in self.steps:
            inputs = {step.data: x.astype(np.float32), **step.constants}
            x = run_node(step.node, [inputs[i] for i in sorted(inputs)], self.opset)
        return x

    @property
    def straight(self) -> bool:
        """Whether it is affine: without Relus and PRelus."""
        return len(self.linear.steps) == len(self.steps)

    @property
    def linear(self) -> Chain:
        """The chain without its Relus and PRelus: an affine function that rises and falls like the chain."""
        return Chain(steps=tuple(step for step in self.steps if step.node.op_type not in RISING), opset=self.opset)

    def signs(self, channels: int) -> Reals:
        """Whether each channel (C,) rises (1), falls (-1) or is constant (0)."""
        signs = np.ones(channels)
        for step in self.linear.steps:
            signs = signs * np.sign(step.affine(channels)[0])
        return signs

    def affine(self, channels: int) -> tuple[Reals, Reals]:
        """Factor and addend of each channel (C,) for the whole chain; `UserError` if a step is not affine."""
        factor, addend = np.ones(channels), np.zeros(channels)
        for step in self.steps:
            a, b = step.affine(channels)
            factor, addend = factor * a, addend * a + b
        return factor, addend


def run_node(node: onnx.NodeProto, inputs: Sequence[npt.NDArray[Any]], opset: int) -> npt.NDArray[Any]:
    """A node's first output, computed by onnxruntime from its inputs; run alone, it is not fused with other nodes."""
    session = _session(node.SerializeToString(), opset, tuple((str(x.dtype), x.ndim) for x in inputs))
    made = session.run(None, {f"x{k}": np.ascontiguousarray(x) for k, x in enumerate(inputs)})
    return np.asarray(made[0])


@lru_cache(maxsize=512)
def _session(content: bytes, opset: int, kinds: tuple[tuple[str, int], ...]) -> onnxruntime.InferenceSession:
    node = onnx.NodeProto.FromString(content)
    names = iter(f"x{k}" for k in range(len(kinds)))
    for i, name in enumerate(node.input):
        node.input[i] = next(names) if name or len(node.input) == len(kinds) else ""
    del node.output[1:]
    node.output[0] = "y"
    types = [helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind, _ in kinds]
    sources = [
        helper.make_tensor_value_info(f"x{k}", kind, [None] * rank)
        for k, (kind, (_, rank)) in enumerate(zip(types, kinds, strict=True))
    ]
    graph = helper.make_graph([node], "node", sources, [helper.make_tensor_value_info("y", types[0], None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def constant(value: Any) -> npt.NDArray[np.float32]:
    """A new float32 array."""
    return np.array(value, dtype=np.float32)
