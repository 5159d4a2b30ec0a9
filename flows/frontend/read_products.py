# SPDX-License-Identifier: Apache-2.0
"""Reading products with quantized weights: dense layers (MatMul, Gemm) and convolutions (Conv), with their biases."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx

from adiabit.flows.frontend.chain import Place, Reals, Step
from adiabit.flows.frontend.kinds import CONVOLUTIONS
from adiabit.flows.frontend.network import Filter, Pad, Product
from adiabit.flows.frontend.nodes import ROUNDINGS, attribute, rounded
from adiabit.flows.frontend.source import TINY, Source
from adiabit.flows.frontend.value import Value
from adiabit.hw.stages import Ints

Image = tuple[int, int, int]  # (C, H, W), as torch has it


def product(
    source: Source, node: onnx.NodeProto, tensor: str, value: Value, opset: int
) -> tuple[list[Pad], Product, Value]:
    """Read a product of `value`, which `tensor` carries: its zero padding, if any, the product, and its value."""
    if node.op_type in CONVOLUTIONS:
        return _convolution(source, node, tensor, value, opset)
    return [], *_dense(source, node, tensor, value, opset)


def _dense(source: Source, node: onnx.NodeProto, tensor: str, value: Value, opset: int) -> tuple[Product, Value]:
    """Read a MatMul or Gemm on a vector, or on a flattened image, and its bias."""
    place, shape, features = source.place(node), value.shape, math.prod(value.shape)
    if node.input[0] != tensor:
        place.refuse(
            f"has the data as input {list(node.input).index(tensor)}; it must be input 0 and the weights input 1; "
            "transpose the product"
        )
    weights, scale = _weights(source, node, outputs_first=bool(attribute(node, "transB", 0)))
    if weights.ndim != 2 or weights.shape[1] != features or attribute(node, "transA", 0):
        place.refuse(
            f"weights have shape {weights.T.shape}; ({features}, outputs) is needed for {features} inputs; "
            "check the model"
        )
    if attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1:
        place.refuse("has alpha or beta other than 1; both must be 1; export it as MatMul and Add")
    if len(shape) == 3 and not value.last:  # torch flattens (C, H, W), we flatten (H, W, C)
        weights = weights.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(-1, features)
    rows, name = len(weights), node.output[0]
    made = Product(name=name, place=place, inputs=(value.edge(opset),), shape=(rows,),
                   weights=weights, scale=np.broadcast_to(scale, rows))  # fmt: skip
    return made, Value(source=name, shape=(rows,), steps=_bias(source, node, place, rows))


def _convolution(
    source: Source, node: onnx.NodeProto, tensor: str, value: Value, opset: int
) -> tuple[list[Pad], Product, Value]:
    """Read a Conv on an image, and its bias."""
    place, shape = source.place(node), value.shape
    if node.input[0] != tensor:
        place.refuse("has the data as its weights; the weights must be constant; swap its inputs")
    spatial = len(source.shape(tensor)) - 2
    if len(shape) != 3 or spatial not in (1, 2):
        place.refuse(f"reads a flat vector of {math.prod(shape)} elements; an image (1, C, H, W) or sound (1, C, W) "
                     "is needed; reshape it")  # fmt: skip
    groups = attribute(node, "group", 1)
    weights, scale = _weights(source, node, outputs_first=True)
    if shape[0] % groups or len(weights) % groups:
        place.refuse(f"has {groups} groups of {shape[0]} inputs and {len(weights)} outputs; both must be multiples of "
                     "the groups; check the model")  # fmt: skip
    _check_filters(place, node, weights, (shape[0] // groups, spatial))
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    weights = _ungrouped(weights, groups)
    filter_ = Filter(
        kernel=(weights.shape[2], weights.shape[3]),
        stride=_pair(source.integers(node, "strides", spatial, 1)),
        dilation=_pair(source.integers(node, "dilations", spatial, 1)),
    )
    name, rows = node.output[0], len(weights)
    pads = _zero_padding(source, node, value, opset)
    sides = pads[0].shape[:2] if pads else (shape[1], shape[2])
    grid = _grid(place, filter_, (sides[0], sides[1]))
    made = Product(
        name=name,
        place=place,
        inputs=(value.edge(opset, pads[0].name if pads else None),),
        shape=(*grid, rows),
        weights=weights.transpose(0, 2, 3, 1).reshape(rows, -1),
        scale=np.broadcast_to(scale, rows),
        filter=filter_,
        groups=groups,
    )
    return pads, made, Value(source=name, shape=(rows, *grid), steps=_bias(source, node, place, rows))


def _ungrouped(weights: Ints, groups: int) -> Ints:
    """Weights (OC, C / groups, KH, KW) as (OC, C, KH, KW), with 0 for the channels of other groups."""
    outputs, inputs = weights.shape[:2]
    whole = np.zeros((outputs, groups, inputs, *weights.shape[2:]), weights.dtype)
    rows = np.arange(outputs)
    whole[rows, rows // (outputs // groups)] = weights
    return whole.reshape(outputs, groups * inputs, *weights.shape[2:])


def _zero_padding(source: Source, node: onnx.NodeProto, value: Value, opset: int) -> list[Pad]:
    """The padding of a Conv, if any."""
    before, after = padding(source, node, len(source.shape(node.input[0])) - 2)
    if not any((*before, *after)):
        return []
    channels, height, width = value.shape
    shape = (before[0] + height + after[0], before[1] + width + after[1], channels)
    name, edge = f"{node.output[0]}/pad", value.edge(opset)
    return [
        Pad(name=name, place=source.place(node), inputs=(edge,), shape=shape, before=before, after=after, value=0.0)
    ]


def _check_filters(place: Place, node: onnx.NodeProto, weights: Ints, reads: tuple[int, int]) -> None:
    """Refuse weights that are not (outputs, channels, kernel sides...); `reads` are the data's channels and rank."""
    channels, spatial = reads
    if weights.ndim != spatial + 2 or weights.shape[1] != channels:
        sides = "KH, KW" if spatial == 2 else "K"
        place.refuse(f"weights have shape {weights.shape}; (outputs, {channels}, {sides}) is needed; check the model")
    kernel = list(attribute(node, "kernel_shape", weights.shape[2:]))
    if kernel != list(weights.shape[2:]):
        place.refuse(
            f"kernel_shape is {kernel}, but the weights have shape {weights.shape}; they must agree; check the model"
        )


def _pair(values: list[int]) -> tuple[int, int]:
    """A value for rows and one for columns; sound (1, C, W) has a single row."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def padding(source: Source, node: onnx.NodeProto, spatial: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding of a Conv or a pool: (rows, columns) before, and after."""
    place = source.place(node)
    if attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        place.refuse("pads by auto_pad; the amounts must be given in pads; export it with explicit pads")
    pads = source.integers(node, "pads", 2 * spatial, 0)
    if min(pads) < 0:
        place.refuse(f"pads by {pads}; negative pads cannot be compiled; slice the frames before the network")
    return _sides(pads)


def _sides(pads: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    half = len(pads) // 2
    (top, left), (bottom, right) = ([0, *pads[:half]][-2:], [0, *pads[half:]][-2:])
    return (top, left), (bottom, right)


def _grid(place: Place, filter_: Filter, sides: tuple[int, int]) -> tuple[int, int]:
    grid = tuple(
        (side - (k - 1) * d - 1) // s + 1
        for side, k, s, d in zip(sides, filter_.kernel, filter_.stride, filter_.dilation, strict=True)
    )
    if min(grid) < 1:
        place.refuse(f"kernel {filter_.kernel} is larger than the image of {sides[0]} x {sides[1]}; pad it or use a "
                     "smaller kernel")  # fmt: skip
    return grid[0], grid[1]


def _bias(source: Source, node: onnx.NodeProto, place: Place, channels: int) -> tuple[Step, ...]:
    if len(node.input) < 3 or not node.input[2]:
        return ()
    value = source.constant(node, 2)
    if value.size not in (1, channels):
        place.refuse(f"bias has shape {value.shape}; {channels} numbers are needed; check the model")
    return (Step.by("Add", value.reshape(-1), place),)


def _weights(source: Source, node: onnx.NodeProto, *, outputs_first: bool) -> tuple[Ints, Reals]:
    """Integer weights, outputs first, and the scale of each output (or one for all).

    `outputs_first` is the order in which the node reads its weights.
    """
    producer = source.producer(node.input[1])
    transposed = producer is not None and producer.op_type == "Transpose"
    perm = list(range(len(source.shape(node.input[1]))))
    if producer is not None and transposed:
        given = list(attribute(producer, "perm", perm[::-1]))
        allowed = [0, perm[-1], *perm[1:-1]] if node.op_type in CONVOLUTIONS else [1, 0]
        if given != allowed:
            source.place(producer).refuse(f"transposes weights by {given}; only {allowed} can be compiled; check the "
                                          "model")  # fmt: skip
        perm = given
    quant = source.producer(producer.input[0]) if producer is not None and transposed else producer
    if quant is None and source.is_constant(node.input[1]):
        return _plain(source, node, outputs_first=outputs_first)
    if quant is None or quant.op_type not in ("BipolarQuant", "Quant"):
        between = f"; they come from {quant.name or quant.op_type!r} ({quant.op_type})" if quant is not None else ""
        source.place(node).refuse(
            f"weights are not quantized; BipolarQuant or Quant is expected before them{between}; train a quantized "
            "layer"
        )
    place, values = source.place(quant), source.constant(quant, 0)
    scale = source.constant(quant, 1).astype(float)
    if not np.any(values) or np.any(np.abs(scale) < TINY):
        place.refuse(
            f"has weights that are all 0, or a scale less than {TINY:g}; such a layer computes nothing; train it "
            "before compiling"
        )
    outputs = 0 if outputs_first else 1
    rows = _row_scale(place, scale, values, perm[outputs] if values.ndim == len(perm) else outputs)
    if quant.op_type == "BipolarQuant":
        ints = np.where(values >= 0, 1, -1).astype(np.int64)
    else:
        ints = _small_ints(source, quant, place, values, scale)
    ints = ints.transpose(perm) if ints.ndim == len(perm) else ints
    return ints if outputs == 0 else ints.T, rows


def _plain(source: Source, node: onnx.NodeProto, *, outputs_first: bool) -> tuple[Ints, Reals]:
    """Integers that are constants without a quantizer, as in FINN-ONNX."""
    values = source.constant(node, 1)
    if not np.array_equal(values, np.rint(values)) or values.min() < -128 or values.max() > 127 or not np.any(values):
        source.place(node).refuse("weights are not quantized; BipolarQuant or Quant is expected before them, or "
                                  "integers of 8 bits; train a quantized layer")  # fmt: skip
    ints = values.astype(np.int64)
    return ints if outputs_first else ints.T, np.ones(1)


def _row_scale(place: Place, scale: Reals, values: npt.NDArray[np.float32], outputs: int) -> Reals:
    """The scale of each row, or one for all; scales must be along the axis `outputs` of the weights."""
    aligned = (*(1,) * (values.ndim - scale.ndim), *scale.shape)
    needed = [side if axis == outputs else 1 for axis, side in enumerate(values.shape)]
    if scale.ndim > values.ndim or (scale.size > 1 and list(aligned) != needed):
        place.refuse(
            f"scale has shape {scale.shape}; one number, or one for each output in shape {tuple(needed)}, is needed; "
            "quantize per tensor or per output"
        )
    return scale.reshape(-1)


def _small_ints(
    source: Source, quant: onnx.NodeProto, place: Place, values: npt.NDArray[np.float32], scale: Reals
) -> Ints:
    bits, zero = source.scalar(quant, 3, "bit width"), source.scalar(quant, 2, "zero point")
    signed, rounding = attribute(quant, "signed", 1), attribute(quant, "rounding_mode", "ROUND")
    if zero or bits not in range(2, 9) or not signed or rounding.upper() not in ROUNDINGS:
        place.refuse(
            f"weights of {bits:g} bits, signed={signed}, zero point {zero:g}, rounding {rounding}; signed, 2 to 8 "
            f"bits, zero point 0 and a rounding of {', '.join(ROUNDINGS)} are needed; choose such a quantizer, or "
            "BipolarQuant for 1 bit"
        )
    high = 2 ** (int(bits) - 1) - 1
    low = -high if attribute(quant, "narrow", 0) else -high - 1
    return np.clip(rounded(values / scale.astype(np.float32), rounding), low, high).astype(np.int64)
