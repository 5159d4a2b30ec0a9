# SPDX-License-Identifier: Apache-2.0
"""Element-wise float operations of a model, kept as ONNX nodes so that they can be executed, and each node's place.

Shapes: N rows, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnx

from adiabit.errors import UserError
from adiabit.flows.frontend.nodes import run_node

Reals = npt.NDArray[np.float64]
RISING = ("Clip", "HardSigmoid", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh")  # not affine, but never falling
POSITIVE = ("HardSigmoid", "Relu", "Sigmoid")  # never below 0


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

    @property
    def never_negative(self) -> bool:
        """Whether its result is at least 0."""
        if self.node.op_type != "Clip":
            return self.node.op_type in POSITIVE
        limits = [*([float(self.constants[1])] if 1 in self.constants else ()),
                  *(a.f for a in self.node.attribute if a.name == "min")]  # fmt: skip
        return any(limit >= 0 for limit in limits)

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
        """Whether it is affine."""
        return len(self.linear.steps) == len(self.steps)

    @property
    def linear(self) -> Chain:
        """The chain without what only rises: an affine function that rises and falls like the chain."""
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


def constant(value: Any) -> npt.NDArray[np.float32]:
    """A new float32 array."""
    return np.array(value, dtype=np.float32)
