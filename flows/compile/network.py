# SPDX-License-Identifier: Apache-2.0
"""A QONNX model, read once into frozen dataclasses: what the float network computes, and where each node stands.

Only what the compiler needs survives: dense layers of integer weights, the element-wise float operations after
each (kept as they are, so that they can be run), and quantizers.

Shapes: N rows, C channels, MH outputs and MW inputs of a dense layer.
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
from adiabit.hw.accelerator import Ints, Kind

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
        nodes, constants = self.nodes("x")
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

    def nodes(self, source: str) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[np.float32]]]:
        """The chain as nodes that read tensor `source`, with unique names made from it, and their constants."""
        nodes, constants, tensor = [], {}, source
        for k, step in enumerate(self.steps):
            node = onnx.NodeProto()
            node.CopyFrom(step.node)
            node.input[step.data] = tensor
            for i, value in step.constants.items():
                node.input[i] = f"{source}_{k}_{i}"
                constants[node.input[i]] = value
            tensor = f"{source}_{k}"
            del node.output[1:]
            node.output[0] = tensor
            nodes.append(node)
        return nodes, constants

    @property
    def affine_only(self) -> bool:
        """Whether each step is a factor and an addend."""
        return all(step.node.op_type != "Relu" for step in self.steps)

    def affine(self, channels: int) -> tuple[Reals, Reals]:
        """Factor and addend of each channel for the whole chain."""
        factor, addend = np.ones(channels), np.zeros(channels)
        for step in self.steps:
            a, b = step.affine(channels)
            factor, addend = factor * a, addend * a + b
        return factor, addend


@dataclass(frozen=True, kw_only=True)
class Quantizer:
    """Float to integer levels: -1/+1, or 0...2**bits - 1 steps of `scale`."""

    place: Place
    kind: Kind
    bits: int
    scale: float  # value of one step (of +1 for bipolar)
    tensor: str  # the model's name of the output
    node: onnx.NodeProto

    @property
    def steps(self) -> int:
        """How many thresholds it has."""
        return (1 << self.bits) - 1

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """How many thresholds each x reaches, 0...steps, rounded as QONNX does (half to even)."""
        if self.kind is Kind.BIPOLAR:
            return (x >= 0).astype(np.int64)
        levels: Ints = np.clip(np.rint(x / np.float32(self.scale)), 0, self.steps).astype(np.int64)
        return levels


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A matrix product: value = scale * (weights @ x), one scale an output."""

    place: Place
    weights: Ints  # (MH, MW)
    scale: Reals  # (MH,)

    @property
    def bipolar(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A matrix product, what is done to its elements, and the quantizer; the last layer has none."""

    dense: Dense
    chain: Chain
    quantizer: Quantizer | None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A chain of dense layers, behind a quantizer of the input or none."""

    file: Path
    input_name: str
    input_shape: tuple[int, ...]  # as the file has it, batch axis and all
    head: Chain  # what is done to the input before its quantizer, or before the first product
    quantizer: Quantizer | None  # of the input
    layers: tuple[Layer, ...]

    @property
    def features(self) -> int:
        """Elements of a frame."""
        return int(np.prod(self.input_shape))

    @property
    def quantizers(self) -> list[Quantizer]:
        """All quantizers of activations, in order."""
        found = [self.quantizer, *(layer.quantizer for layer in self.layers)]
        return [q for q in found if q is not None]


def constant(value: Any) -> npt.NDArray[np.float32]:
    """A float32 array of its own."""
    return np.array(value, dtype=np.float32)
