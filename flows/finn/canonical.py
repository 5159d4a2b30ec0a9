# SPDX-License-Identifier: Apache-2.0
"""A normalized network as a QONNX model of integers, the input of FINN's transformations.

Frames have the host's layout, (1, features) or (1, H, W, C); weights are integers, factors positive, the scales of
quantizers 1. Convolutions and pools are between transposes, which QONNX's lowering removes. The tensor of node k is
named `n{k}`, and FINN's transformations keep the names of quantized ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import qonnx_make_model

from adiabit.flows.frontend.chain import Reals, constant
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, levels_of
from adiabit.flows.frontend.network import (
    Activation,
    Average,
    Concat,
    Filter,
    Join,
    Network,
    Node,
    Pad,
    Pool,
    Product,
    Selection,
)
from adiabit.flows.frontend.quantizer import Levels
from adiabit.hw.stages import Ints, Kind, signed_bits

Constant = npt.NDArray[np.float32] | npt.NDArray[np.int64]
OPSET = 18  # the first in which Pad has axes
QONNX = "qonnx.custom_op.general"
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """The model, the name of each node's tensor in it, and the signs that make every quantizer rise."""

    model: ModelWrapper
    tensors: dict[str, str]  # by node, and the input
    signs: dict[str, Ints]  # by activation and product, (C,) of -1 and +1: what it reads, or its rows, was negated


def canonical(network: Network, config: CompileConfig) -> Canonical:
    """The network as a QONNX model."""
    writer = _Writer(network, levels_of(network, config))
    for k, node in enumerate(network.nodes):
        writer.write(node, f"n{k}")
    return Canonical(model=writer.model(), tensors=writer.tensors, signs=writer.signs)


def _negations(node: Activation, levels: Levels) -> Ints:
    """The sign (C,) of what an activation reads: -1 where it must be negated so that the output rises."""
    signs = node.signs() * np.sign(levels.scale)
    return np.where(signs * np.where(node.inversions, -1, 1) < 0, -1, 1) * np.ones(node.channels, np.int64)


class _Writer:
    """Appends nodes to a graph whose input is the tensor `image`."""

    def __init__(self, network: Network, levels: dict[str, Levels]) -> None:
        self.network, self.levels = network, levels
        self.logits = edge_levels(network.output, levels)
        self.tensors = {network.input_name: "image"}
        self.signs: dict[str, Ints] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Constant] = {}
        self.types: dict[str, DataType] = {}
        self.tensor, self.shape = "image", network.frame  # what the next node reads; without the batch axis

    def write(self, node: Node, name: str) -> None:
        """Append a node of the network, whose output gets a name."""
        edge = node.inputs[0]
        self.tensor, self.shape = self.tensors[edge.source], self.network.shape_of(edge.source)
        if isinstance(node, Product):
            self._product(node)
        elif isinstance(node, Activation):
            self._activation(node)
        elif isinstance(node, Pad):
            self._pad(node)
        elif isinstance(node, Pool):
            self._pool(node)
        elif isinstance(node, Average):
            self._average(node)
        elif isinstance(node, Join):
            self._append("Add", [], also=[self.tensors[other.source] for other in node.inputs[1:]])
        elif isinstance(node, Concat):
            self._append("Concat", [], also=[self.tensors[other.source] for other in node.inputs[1:]],
                         axis=len(node.shape))  # fmt: skip
        self.nodes[-1].output[0] = self.tensors[node.name] = name

    def _append(
        self, op: str, constants: Sequence[Constant], domain: str = "", also: Sequence[str] = (), **attributes: object
    ) -> None:
        k = len(self.nodes)
        names = [f"c{k}_{i}" for i in range(len(constants))]
        self.constants.update(zip(names, constants, strict=True))
        inputs = [self.tensor, *also, *names]
        self.nodes.append(helper.make_node(op, inputs, [f"t{k}"], domain=domain, **attributes))
        self.tensor = f"t{k}"

    def _pad(self, pad: Pad) -> None:
        front, back = pad.around
        sides, axes = [*pad.before, *pad.after], [1, 2]
        if front or back:
            sides, axes = [*pad.before, front, *pad.after, back], [1, 2, 3]
        self._append("Pad", [np.array(sides), np.array(pad.level, np.float32), np.array(axes)])

    def _pool(self, pool: Pool) -> None:
        self._append("Transpose", [], perm=TO_NCHW)
        self._append("MaxPool", [], kernel_shape=pool.kernel, strides=pool.stride, pads=[0] * 4, ceil_mode=0)
        self._append("Transpose", [], perm=TO_NHWC)

    def _average(self, average: Average) -> None:
        if average.kernel == self.shape[:2]:  # a whole image
            self._append("ReduceSum", [np.array([1, 2])], keepdims=1)
            return
        levels = self.levels[average.edge.source]
        bits = signed_bits(levels.low, levels.high)
        self._append("QuantAvgPool2d", [], QONNX, kernel=average.kernel[0], stride=average.stride[0], ibits=bits,
                     obits=32, signed=int(levels.low < 0), data_layout="NHWC")  # fmt: skip

    def _product(self, product: Product) -> None:
        """Append a product.

        Rows are negated here already where their quantizer falls: FINN would do it too, but with a Python call for each
        weight. Where several nodes read the product, each negates for itself.
        """
        signs = np.ones(product.channels, np.int64)
        readers = self.network.readers[product.name]
        ranked = self.network.ranking is not None
        if product is self.network.last and not ranked and np.all(self.logits.scale < 0):
            signs = -signs  # the largest sum must be the largest logit
        if len(readers) == 1 and isinstance(readers[0], Activation):
            signs = _negations(readers[0], self.levels[product.name])
        self.signs[product.name] = signs
        weights = signs[:, None] * product.weights
        bits = signed_bits(int(weights.min()), int(weights.max()))
        if product.filter is None:
            self._flatten()
            self._append("MatMul", [weights.T.astype(np.float32)])
            made = self.nodes[-1]
        else:
            self._append("Transpose", [], perm=TO_NCHW)
            made = self._convolve(product.filter, weights)
            self._append("Transpose", [], perm=TO_NHWC)
        self.types[made.input[1]] = DataType["BIPOLAR" if product.bipolar and product.groups == 1 else f"INT{bits}"]

    def _convolve(self, geometry: Filter, weights: Ints) -> onnx.NodeProto:
        (kh, kw), channels = geometry.kernel, self.shape[2]
        filters = weights.reshape(len(weights), kh, kw, channels).transpose(0, 3, 1, 2).astype(np.float32)
        self._append("Conv", [filters], kernel_shape=[kh, kw], strides=geometry.stride, dilations=geometry.dilation,
                     pads=[0] * 4, group=1)  # fmt: skip
        return self.nodes[-1]

    def _flatten(self) -> None:
        if len(self.shape) > 1:
            self._append("Reshape", [np.array([1, -1])])

    def _activation(self, node: Activation) -> None:
        """Append a quantizer after factor and addend; its thresholds by FINN are replaced by exact ones later."""
        levels, quantizer = edge_levels(node.edge, self.levels), node.quantizer
        signs = _negations(node, self.levels[node.edge.source])
        factor, addend = np.abs(np.where(levels.scale == 0, 1, levels.scale)), levels.offset
        if isinstance(node, Selection):
            factor, addend = np.ones(1), np.zeros(1)
        read = self.network.by_name.get(node.edge.source)
        if not isinstance(read, Product) or not np.array_equal(self.signs[read.name], signs):
            self._scale(signs)
        self.signs[node.name] = signs
        if quantizer.kind is Kind.BIPOLAR:
            self._affine(factor, addend)
            self._append("BipolarQuant", [constant([1])], QONNX)
            return
        self._affine(factor / quantizer.scale, addend / quantizer.scale)
        constants = [constant(value) for value in (1, 0, quantizer.bits)]
        self._append("Quant", constants, QONNX, signed=int(quantizer.kind is Kind.SIGNED), narrow=0,
                     rounding_mode="ROUND")  # fmt: skip

    def _scale(self, signs: Ints) -> None:
        """Negate the channels that must fall, where no weights can be negated instead."""
        if np.any(signs < 0):
            self._append("Mul", [constant(signs)])
            self.types[self.nodes[-1].input[1]] = DataType["BIPOLAR"]

    def _affine(self, factor: Reals, addend: Reals) -> None:
        for op, value, idle in (("Mul", factor, 1), ("Add", addend, 0)):
            if np.any(value != idle):
                self._append(op, [constant(value if np.ptp(value) else value[:1])])

    def model(self) -> ModelWrapper:
        """The model; its logits are the sums of the last product, or their sums over an image."""
        output = self.network.output
        self.tensor, self.shape = self.tensors[output.source], self.network.shape_of(output.source)
        if len(self.shape) == 1 or self.shape[:2] == (1, 1):
            self._flatten()
            self.shape = (self.shape[-1],)
        if self.network.ranking is None and self.logits.ordered:
            self._affine(np.abs(self.logits.scale), self.logits.offset)
        float32 = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", float32, [1, *self.network.frame])],
            [helper.make_tensor_value_info(self.tensor, float32, [1, *self.shape])],
        )
        model = ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, datatype)
        for node in self.network.nodes:  # without them, qonnx does not infer the shape of an average
            model.set_tensor_shape(self.tensors[node.name], [1, *node.shape])
        return model.transform(InferShapes())
