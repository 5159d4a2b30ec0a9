# SPDX-License-Identifier: Apache-2.0
"""QONNX models made by hand, node by node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "qonnx.custom_op.general"


class Net:
    """A chain of nodes that begins at the input `x`; each method appends and returns the net."""

    def __init__(self, *shape: int | str, domain: str = DOMAIN) -> None:
        self.shape, self.domain, self.tensor = shape, domain, "x"
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any) -> str:
        """Add a constant; its name."""
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        array = array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *constants: Any, domain: str = "", **attributes: Any) -> Self:
        """Append a node that reads the data, then constants."""
        inputs = [self.tensor, *(self.constant(c) for c in constants)]
        self.node(kind, inputs, domain, **attributes)
        return self

    def node(self, kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        """Append a node; the name of its output, which is the data from now on."""
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=f"{kind.lower()}_{len(self.nodes)}",
                                           domain=domain, **attributes))  # fmt: skip
        self.tensor = out
        return out

    def sign(self, scale: float = 1.0) -> Self:
        """Append a BipolarQuant."""
        return self.op("BipolarQuant", scale, domain=self.domain)

    def quant(self, bits: int, scale: float, **attributes: Any) -> Self:
        """Append an activation quantizer, unsigned unless told."""
        attributes = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        return self.op("Quant", scale, 0.0, float(bits), domain=self.domain, **attributes)

    def dense(self, weights: Any, scale: Any = 1.0, bits: int = 1) -> Self:
        """`weights` (MH, MW), quantized to +-scale, or to `bits` bits in steps of scale."""
        data = self.tensor
        if bits == 1:
            quantized = self.node("BipolarQuant", [self.constant(weights), self.constant(scale)], self.domain)
        else:
            inputs = [self.constant(v) for v in (weights, scale, 0.0, float(bits))]
            quantized = self.node("Quant", inputs, self.domain, signed=1, narrow=0, rounding_mode="ROUND")
        turned = self.node("Transpose", [quantized], perm=[1, 0])
        self.node("MatMul", [data, turned])
        return self

    def conv(self, weights: Any, scale: Any = 1.0, **attributes: Any) -> Self:
        """`weights` (OC, C, KH, KW) or (OC, C, K), quantized to +-scale."""
        data, spatial = self.tensor, np.asarray(weights).ndim - 2
        quantized = self.node("BipolarQuant", [self.constant(weights), self.constant(scale)], self.domain)
        defaults = {"kernel_shape": np.asarray(weights).shape[2:], "strides": [1] * spatial, "group": 1,
                    "dilations": [1] * spatial, "pads": [0] * 2 * spatial}  # fmt: skip
        self.node("Conv", [data, quantized], **{**defaults, **attributes})
        return self

    def max_pool(self, kernel: tuple[int, ...], strides: tuple[int, ...] | None = None, **attributes: Any) -> Self:
        """Append a max pool; its blocks do not overlap unless told."""
        return self.op("MaxPool", kernel_shape=kernel, strides=strides or kernel, **attributes)

    def pad(self, pads: list[int], value: float) -> Self:
        """Append a Pad of every axis, the batch first."""
        return self.op("Pad", np.array(pads), value)

    def norm(self, gamma: Any, beta: Any, mean: Any, variance: Any) -> Self:
        """Append a batch norm."""
        return self.op("BatchNormalization", *(np.asarray(v, np.float32) for v in (gamma, beta, mean, variance)))

    def save(self, path: Path, outputs: list[str] | None = None) -> Path:
        """Write the model."""

        def info(name: str, shape: Any) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        ends = [info(name, (None, None)) for name in outputs or [self.tensor]]
        graph = helper.make_graph(self.nodes, "net", [info("x", self.shape)], ends, self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(self.domain, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


@pytest.fixture(scope="session")
def net() -> Callable[..., Net]:
    """Makes an empty `Net` of an input shape, batch axis first."""
    return Net
