# SPDX-License-Identifier: Apache-2.0
"""Exact execution of a QONNX model: its meaning, without the rounding of float32 sums.

A quantized tensor *is* an array of integers; its real values are scale * integer + offset. So a product of quantized
data and weights is a sum of integers times their scales: it is computed here in integers, scaled in float64 and rounded
once to float32. The nodes between a product and the next quantizer run one by one in float32, as the model has them.
docs/compile.md explains why this is the model's meaning. Execution follows the nodes of the file, not the network that
the compiler has read from it, so that the ladder checks the reader too.

Shapes: N frames, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.flows.frontend.chain import Reals
from adiabit.flows.frontend.kinds import CONVOLUTIONS, PRODUCTS, QUANTIZERS, SHAPES
from adiabit.flows.frontend.nodes import attribute, quantized, run_node

Array = npt.NDArray[Any]
ONE, ZERO = np.ones(()), np.zeros(())


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """Real values and, where known, the integers behind them: real = scale * integers + offset."""

    real: Array  # float32, as the model computes it
    constant: bool = False  # whether it is one of the model's constants
    integers: Reals | None = None
    level: bool = False  # whether the integers are those of quantizers, and not sums of a product
    scale: Reals = field(default_factory=lambda: ONE)  # it and the offset broadcast against the integers
    offset: Reals = field(default_factory=lambda: ZERO)

    @property
    def exact(self) -> Reals:
        """The values in float64, from the integers if known."""
        return self.real.astype(float) if self.integers is None else self.scale * self.integers + self.offset

    @property
    def ordered(self) -> bool:
        """Whether integers compare like their values: all elements share one offset and one scale > 0."""
        return self.integers is not None and self.scale.size == self.offset.size == 1 and bool(np.all(self.scale > 0))


def execute(model: ModelWrapper, source: Tensor) -> dict[str, Tensor]:
    """Every tensor that a model's nodes compute for the input `source` (N, ...); its constants must be folded."""
    graph, opset = model.graph, model.get_opset_imports()[""]
    known = {t.name: Tensor(real=numpy_helper.to_array(t), constant=True) for t in graph.initializer}
    known[graph.input[0].name] = source
    made = {}
    for node in graph.node:
        inputs = [known[name] for name in node.input if name]
        known[node.output[0]] = made[node.output[0]] = _NODES.get(node.op_type, _float)(node, inputs, opset)
    return made


def _float(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """The result of a node in float32 only, without integers."""
    return Tensor(real=run_node(node, [t.real for t in inputs], opset))


def _quantize(node: onnx.NodeProto, inputs: list[Tensor], _: int) -> Tensor:
    if node.op_type == "MultiThreshold":
        real, factor = quantized(node, [t.real for t in inputs]), np.array(attribute(node, "out_scale", 1.0), float)
        if inputs[1].real.shape[1] == 1 and attribute(node, "out_bias", 0.0) == -factor / 2:  # -1 and +1
            factor = factor / 2
        return Tensor(real=real, integers=np.rint(real / factor), scale=factor, level=True)
    real, made = quantized(node, [t.real for t in inputs]), inputs[4 if node.op_type == "Trunc" else 1]
    step = made.real.astype(float)
    return Tensor(real=real, integers=np.rint(real / step), scale=step, level=True)


def _move(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """A node that moves elements or takes the largest of some, which acts on the integers as on the values."""
    x, others = inputs[0], [t.real for t in inputs[1:]]
    if node.op_type == "Reshape" and others[0][0] == 1:  # the batch axis, which is 1 in the file
        others = [np.array([len(x.real), *others[0][1:]])]

    def moved(values: Array) -> Array:
        return run_node(node, [values, *others], opset)

    made = Tensor(real=moved(x.real))
    if x.integers is None or (node.op_type == "MaxPool" and not x.ordered):
        return made
    scale, offset = (
        v.reshape(()) if v.size == 1 else moved(np.broadcast_to(v, x.real.shape)) for v in (x.scale, x.offset)
    )
    return replace(made, integers=moved(x.integers), scale=scale, offset=offset, level=x.level)


def _pad(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """A Pad; integers are known if some integer stands for the padding value."""
    made, x = _float(node, inputs, opset), inputs[0]
    if not x.ordered:
        return made
    levels = np.rint((made.real - x.offset) / x.scale)
    known = np.all(np.abs(x.scale * levels + x.offset - made.real) <= 1e-6 * x.scale)
    return replace(made, integers=levels, scale=x.scale, offset=x.offset, level=x.level) if known else made


def _known(integers: Reals, scale: Reals, offset: Reals) -> Tensor:
    """A tensor of integers, whose real values are rounded once."""
    return Tensor(real=(scale * integers + offset).astype(np.float32), integers=integers, scale=scale, offset=offset)


def _average(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """Means of windows, or their sums: sums of integers, for means with the scale divided."""
    made, x = _float(node, inputs, opset), inputs[0]
    channels, *sides = x.real.shape[1:]
    if x.integers is None or not sides:
        return made
    kernel = attribute(node, "kernel_shape", None) if node.op_type == "AveragePool" else None
    kernel = tuple(kernel or sides)
    if not (_uniform_over_pixels(x.scale, x.real) and _uniform_over_pixels(x.offset, x.real)):
        return made
    first = (slice(None), slice(None), *(slice(1),) * len(sides))
    shape = (1, channels, *(1,) * (made.real.ndim - 2))
    scale, offset = (
        v.reshape(()) if v.size == 1 else np.broadcast_to(v, (1, channels, *sides))[first].reshape(shape)
        for v in (x.scale, x.offset)
    )
    steps, pads = (attribute(node, name, None) for name in ("strides", "pads"))
    image = x.integers
    if any(pads or ()):
        if x.scale.size > 1 or np.any(x.offset) or not attribute(node, "count_include_pad", 0):
            return made
        image = np.pad(image, ((0, 0), (0, 0), *zip(pads[: len(sides)], pads[len(sides) :], strict=True)))
    total = _window_sums(image, kernel, tuple(steps or (1,) * len(sides))).reshape(made.real.shape)
    pixels = math.prod(kernel)
    if node.op_type == "ReduceSum":
        return replace(_known(total, scale, offset * pixels), level=x.level)
    return replace(_known(total, scale / pixels, offset), level=x.level)


def _window_sums(image: Reals, kernel: tuple[int, ...], steps: tuple[int, ...]) -> Reals:
    """Sums of windows of images (N, C, *sides): (N, C, *grid)."""
    axes = tuple(range(2, image.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel, axis=axes)
    every = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
    return np.asarray(windows[every].sum(axis=tuple(range(-len(kernel), 0))))


def _uniform_over_pixels(value: Reals, image: Array) -> bool:
    """Whether a value that broadcasts against images (N, C, ...) is one number, or one per channel."""
    full = (1,) * (image.ndim - value.ndim) + value.shape
    return math.prod(full) in (1, full[1])


def _affine(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """An affine node: the integers stay, scale and offset change."""
    made, data = _float(node, inputs, opset), [k for k, t in enumerate(inputs) if t.integers is not None]
    if len(data) == 2 and node.op_type == "Add":
        return _join(made, *inputs)
    if len(data) != 1 or (len(inputs) == 2 and not inputs[1 - data[0]].constant):
        return made
    x = inputs[data[0]]
    factor, addend = _factors(node, inputs, data[0])
    return replace(made, integers=x.integers, scale=x.scale * factor, offset=x.offset * factor + addend, level=x.level)


def _join(made: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A sum of two branches: of their integers, where these have one scale and are not the sums of a product."""
    assert a.integers is not None and b.integers is not None  # noqa: S101, PT018  # the caller has checked
    if not (a.level and b.level and a.scale.size == b.scale.size == 1 and a.scale.item() == b.scale.item()):
        return made
    joined = _known(a.integers + b.integers, a.scale, a.offset + b.offset)
    return replace(joined, level=True)


def _concat(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """Channels of branches: of their integers, where these stand for the same values."""
    made, first = _float(node, inputs, opset), inputs[0]
    if any(t.integers is None or t.scale.size != 1 or t.offset.size != 1 for t in inputs):
        return made
    if len({(t.scale.item(), t.offset.item()) for t in inputs}) > 1:
        return made
    integers = np.concatenate([t.integers for t in inputs], axis=attribute(node, "axis", 1))
    return replace(made, integers=integers, scale=first.scale, offset=first.offset, level=first.level)


def _factors(node: onnx.NodeProto, inputs: list[Tensor], data: int) -> tuple[Reals, Reals]:
    if node.op_type == "BatchNormalization":
        shape = (-1, *(1,) * (inputs[0].real.ndim - 2))
        gamma, beta, mean, variance = (t.real.astype(float).reshape(shape) for t in inputs[1:5])
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        return factor, beta - mean * factor
    value = inputs[1 - data].real.astype(float)
    if node.op_type in ("Mul", "Div"):
        return value if node.op_type == "Mul" else 1 / value, ZERO
    if node.op_type == "Add":
        return ONE, value
    return (ONE, -value) if data == 0 else (-ONE, value)


def _product(node: onnx.NodeProto, inputs: list[Tensor], opset: int) -> Tensor:
    """A product: a sum of integers, then its scales, then the bias, if any, in float32."""
    x, weights, *bias = inputs
    if weights.constant and weights.integers is None and np.array_equal(weights.real, np.rint(weights.real)):
        weights = replace(weights, integers=weights.real.astype(float))
    rows = _rows(weights, transposed=node.op_type != "Conv" and not attribute(node, "transB", 0))
    if x.integers is None or x.scale.size > 1 or x.offset.size > 1 or rows is None:
        return _float(node, inputs, opset)
    filters, scale = rows
    columns = (-1, *(1,) * (x.real.ndim - 2))  # broadcasts a value per row of weights
    multiply = _convolve(node) if node.op_type == "Conv" else _multiply
    total, shift = multiply(x.integers, filters), ZERO
    if np.any(x.offset):
        shift = x.offset * multiply(np.ones(x.real.shape), filters)
    scale = scale.reshape(columns)
    made = _known(total, scale * x.scale, scale * shift)
    if not bias:
        return made
    value = bias[0].real.reshape(columns)
    return replace(made, real=made.real + value, offset=made.offset + value.astype(float))


def _rows(weights: Tensor, *, transposed: bool) -> tuple[Reals, Reals] | None:
    """Integer weights (MH, ...) and the scale of each row (MH,); None if they are not quantized that way."""
    if weights.integers is None or np.any(weights.offset):
        return None
    integers, scale = weights.integers, np.broadcast_to(weights.scale, weights.real.shape)
    if transposed:
        integers, scale = integers.T, scale.T
    scale = scale.reshape(len(scale), -1)
    return None if np.any(scale != scale[:, :1]) else (integers, scale[:, 0])


def _multiply(x: Reals, weights: Reals) -> Reals:
    """(N, MW) by weights (MH, MW): (N, MH)."""
    return x @ weights.T


def _convolve(node: onnx.NodeProto) -> Callable[[Reals, Reals], Reals]:
    """The convolution of a node, x (N, C, *sides) by weights (OC, C, *kernel), with its zero padding."""

    def convolve(x: Reals, weights: Reals) -> Reals:
        groups = attribute(node, "group", 1)
        if groups > 1:
            parts = zip(np.split(x, groups, axis=1), np.split(weights, groups), strict=True)
            return np.concatenate([one(*part) for part in parts], axis=1)
        return one(x, weights)

    def one(x: Reals, weights: Reals) -> Reals:
        kernel = weights.shape[2:]
        rank = len(kernel)
        strides, dilations = (attribute(node, name, None) or [1] * rank for name in ("strides", "dilations"))
        pads = attribute(node, "pads", None) or [0] * (2 * rank)
        x = np.pad(x, ((0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)))
        span = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=tuple(range(2, 2 + rank)))
        every = tuple(slice(None, None, s) for s in strides)
        inside = tuple(slice(None, None, d) for d in dilations)
        windows = np.moveaxis(windows[(slice(None), slice(None), *every, *inside)], 1, 1 + rank)
        flat = windows.reshape(*windows.shape[: 1 + rank], -1)
        return np.moveaxis(flat @ weights.reshape(len(weights), -1).T, -1, 1)

    return convolve


_NODES: dict[str, Callable[[onnx.NodeProto, list[Tensor], int], Tensor]] = {
    **dict.fromkeys(QUANTIZERS, _quantize),
    **dict.fromkeys(("Add", "BatchNormalization", "Div", "Mul", "Sub"), _affine),
    **dict.fromkeys((*CONVOLUTIONS, *PRODUCTS), _product),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"), _average),
    **dict.fromkeys(("MaxPool", "Transpose", *SHAPES), _move),
    "Concat": _concat,
    "Pad": _pad,
}
