# SPDX-License-Identifier: Apache-2.0
"""A normalized network as a QONNX model of integers, the input of FINN's transformations.

Frames have the host's layout, (1, features) or (1, H, W, C); weights are integers, factors positive, the scales of
quantizers 1. Convolutions and pools are between transposes, which QONNX's lowering removes.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from adiabit.flows.frontend.levels import factors, host_levels, layer_inputs
from adiabit.flows.frontend.network import Average, Dense, Filter, Layer, Levels, Move, Network, Pad, Pool, Quantizer
from adiabit.hw.stages import Ints, Kind, signed_bits

Constant = npt.NDArray[np.float32] | npt.NDArray[np.int64]
OPSET = 18  # the first in which Pad has axes
QONNX = "qonnx.custom_op.general"
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def canonical(network: Network, config: CompileConfig) -> ModelWrapper:
    """The network as a QONNX model."""
    writer = _Writer(network.frame)
    writer.moves(network.head_moves)
    if network.quantizer is not None:
        host, (factor, addend) = host_levels(config), network.head.linear.affine(network.channels)
        writer.quantizer(network.quantizer, factor * host.scale, addend + factor * host.offset)
    for layer, levels in zip(network.layers, layer_inputs(network, config), strict=True):
        writer.moves(layer.moves)
        writer.layer(layer, levels, network.tail)
    return writer.model()


def row_signs(layer: Layer, levels: Levels) -> Ints:
    """The sign (MH,) of each weight row: -1 where the row must be negated so that the step after it rises."""
    signs = layer.chain.signs(len(layer.dense.weights)) * np.sign(layer.dense.scale * levels.scale)
    return np.where(signs * np.where(layer.inversions, -1, 1) < 0, -1, 1)


class _Writer:
    """Appends nodes to a chain that starts at the tensor `image`."""

    def __init__(self, frame: tuple[int, ...]) -> None:
        self.frame = self.shape = frame  # `shape` is that of the current tensor, without the batch axis
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Constant] = {}
        self.types: dict[str, DataType] = {}
        self.tensor = "image"

    def _append(self, op: str, constants: Sequence[Constant], domain: str = "", **attributes: object) -> None:
        k = len(self.nodes)
        names = [f"c{k}_{i}" for i in range(len(constants))]
        self.constants.update(zip(names, constants, strict=True))
        self.nodes.append(helper.make_node(op, [self.tensor, *names], [f"t{k}"], domain=domain, **attributes))
        self.tensor = f"t{k}"

    def moves(self, moves: tuple[Move, ...]) -> None:
        for move in moves:
            if isinstance(move, Pad):
                self._pad(move)
            elif isinstance(move, Pool):
                self._pool(move)
            else:
                self._sum(move)

    def _pad(self, pad: Pad) -> None:
        (top, left), (bottom, right), (height, width, channels) = pad.before, pad.after, self.shape
        amounts, axes = np.array([top, left, bottom, right]), np.array([1, 2])
        self._append("Pad", [amounts, np.array(pad.level, np.float32), axes])
        self.shape = (top + height + bottom, left + width + right, channels)

    def _pool(self, pool: Pool) -> None:
        kernel, stride, (height, width, channels) = pool.kernel, pool.stride, self.shape
        self._append("Transpose", [], perm=TO_NCHW)
        self._append("MaxPool", [], kernel_shape=kernel, strides=stride, pads=[0] * 4, ceil_mode=0)
        self._append("Transpose", [], perm=TO_NHWC)
        self.shape = ((height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1, channels)

    def _sum(self, _: Average) -> None:
        channels = self.shape[2]
        self._append("ReduceSum", [np.array([1, 2])], keepdims=1)
        self.shape = (1, 1, channels)

    def layer(self, layer: Layer, levels: Levels, tail: Average | None) -> None:
        """Append a product, its factor and addend, and its quantizer.

        Rows are negated here already: FINN would do it too, but with a Python call for each weight.
        """
        signs, (factor, addend) = row_signs(layer, levels), factors(layer, levels)
        self._product(layer.dense, signs[:, None] * layer.dense.weights)
        factor = np.abs(np.where(factor == 0, 1, factor))  # gamma = 0: the exact threshold is set later
        if layer.quantizer is not None:
            self.quantizer(layer.quantizer, factor, addend)
            return
        if tail is not None:
            self._sum(tail)
            factor = factor / tail.count
        self._flatten()
        self._affine(factor, addend)

    def _product(self, dense: Dense, weights: Ints) -> None:
        bits = signed_bits(int(weights.min()), int(weights.max()))
        if dense.filter is None:
            self._flatten()
            self._append("MatMul", [weights.T.astype(np.float32)])
            product, self.shape = self.nodes[-1], (len(weights),)
        else:
            self._append("Transpose", [], perm=TO_NCHW)
            product = self._convolve(dense.filter, weights)
            self._append("Transpose", [], perm=TO_NHWC)
        self.types[product.input[1]] = DataType["BIPOLAR" if dense.bipolar else f"INT{bits}"]

    def _convolve(self, geometry: Filter, weights: Ints) -> onnx.NodeProto:
        (kh, kw), (sy, sx), (dy, dx) = geometry.kernel, geometry.stride, geometry.dilation
        height, width, channels = self.shape
        filters = weights.reshape(len(weights), kh, kw, channels).transpose(0, 3, 1, 2).astype(np.float32)
        self._append("Conv", [filters], kernel_shape=[kh, kw], strides=[sy, sx], dilations=[dy, dx], pads=[0] * 4,
                     group=1)  # fmt: skip
        rows, columns = (height - (kh - 1) * dy - 1) // sy + 1, (width - (kw - 1) * dx - 1) // sx + 1
        self.shape = (rows, columns, len(weights))
        return self.nodes[-1]

    def _flatten(self) -> None:
        if len(self.shape) > 1:
            self._append("Reshape", [np.array([1, -1])])
            self.shape = (int(np.prod(self.shape)),)

    def quantizer(self, quantizer: Quantizer, factor: Reals, addend: Reals) -> None:
        """Append a quantizer after factor and addend; its thresholds by FINN are replaced by exact ones later."""
        if quantizer.kind is Kind.BIPOLAR:
            self._affine(factor, addend)
            self._append("BipolarQuant", [constant([1])], QONNX)
            return
        self._affine(factor / quantizer.scale, addend / quantizer.scale - quantizer.low)
        constants = [constant(value) for value in (1, 0, quantizer.bits)]
        self._append("Quant", constants, QONNX, signed=0, narrow=0, rounding_mode="ROUND")

    def _affine(self, factor: Reals, addend: Reals) -> None:
        for op, value, idle in (("Mul", factor, 1), ("Add", addend, 0)):
            if np.any(value != idle):
                self._append(op, [constant(value if np.ptp(value) else value[:1])])

    def model(self) -> ModelWrapper:
        float32 = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", float32, [1, *self.frame])],
            [helper.make_tensor_value_info(self.tensor, float32, [1, *self.shape])],
        )
        model = ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, datatype)
        return model.transform(InferShapes())
