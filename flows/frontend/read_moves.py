# SPDX-License-Identifier: Apache-2.0
"""Reading pads, max pools and global averages, the moves of an image between products."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import onnx

from adiabit.flows.frontend.chain import Place
from adiabit.flows.frontend.network import Average, Edge, Node, Pad, Pool
from adiabit.flows.frontend.nodes import attribute
from adiabit.flows.frontend.read_products import Image, padding
from adiabit.flows.frontend.source import Source
from adiabit.flows.frontend.value import Value


def moves(source: Source, node: onnx.NodeProto, value: Value, opset: int) -> tuple[list[Node], Value]:
    """The nodes that one node of the file makes of an image, and the value after them."""
    place, shape = source.place(node), value.shape
    if len(shape) != 3 or len(source.shape(node.input[0])) not in (3, 4):
        place.refuse("reads a flat vector; an image (1, C, H, W) or sound (1, C, W) is needed; reshape it")
    edge = value.edge(opset)
    if node.op_type == "Pad":
        pad = _pad(source, node, value, edge)
        return ([], value) if pad is None else ([pad], _moved(pad, value))
    if node.op_type == "MaxPool":
        return _max_pool(source, node, value, edge)
    kernel, stride, (before, after) = _windows(source, node, place, shape)
    found, source_name = list[Node](), value.source
    height, width = (side + b + c for side, b, c in zip(shape[1:], before, after, strict=True))
    if kernel == stride == (1, 1):
        return [], value
    name, channels = node.output[0], shape[0]
    if any((*before, *after)):
        pad = Pad(name=f"{name}/pad", place=place, inputs=(edge,), shape=(height, width, channels), before=before,
                  after=after, value=0.0)  # fmt: skip
        found, source_name = [pad], pad.name
    grid = ((height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1)
    average = Average(name=name, place=place, inputs=(value.edge(opset, source_name),), shape=(*grid, channels),
                      tensor=name, kernel=kernel, stride=stride, total=node.op_type == "ReduceSum")  # fmt: skip
    return [*found, average], Value(source=name, shape=(channels, *grid))


def transposed(source: Source, node: onnx.NodeProto, value: Value) -> bool:
    """Whether a Transpose leaves the channels of an image last; refuses any other."""
    rank = len(source.shape(node.input[0]))
    perm = [int(axis) for axis in attribute(node, "perm", range(rank)[::-1])]
    to_last, to_first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    if len(value.shape) != 3 or rank not in (3, 4) or perm != (to_first if value.last else to_last):
        source.place(node).refuse(
            f"transposes axes {perm}; only an image can be transposed, from channels first to channels last or back; "
            "remove it"
        )
    return not value.last


def _moved(made: Node, value: Value) -> Value:
    """The value after a move, with the same float operations since its integers."""
    return Value(source=made.name, shape=(made.shape[-1], *made.shape[:-1]), steps=value.steps)


def _pad(source: Source, node: onnx.NodeProto, data: Value, edge: Edge) -> Pad | None:
    """A Pad of rows, columns and channels; None if it pads nothing."""
    place = source.place(node)
    rank = len(source.shape(node.input[0]))
    mode = attribute(node, "mode", "constant")
    if mode != "constant":
        place.refuse(f"pads with mode {mode!r}; only 'constant' can be compiled; use constant padding")
    amounts = attribute(node, "pads", None) or source.optional(node, 1)
    value = float(attribute(node, "value", 0.0))
    if len(node.input) > 2 and node.input[2]:
        value = source.scalar(node, 2, "padding value")
    axes = [a % rank for a in source.optional(node, 3) or range(rank)]
    if len(set(axes)) != len(axes):
        place.refuse(f"pads axes {axes}; each may be given only once; check the model")
    before, after = np.zeros(rank, int), np.zeros(rank, int)
    if amounts is None or len(amounts) != 2 * len(axes):
        place.refuse(f"pads by {amounts}; two numbers for each of {len(axes)} axes are needed; check the model")
    before[axes], after[axes] = amounts[: len(axes)], amounts[len(axes) :]
    if before[0] or after[0] or before.min() < 0 or after.min() < 0:
        place.refuse(
            f"pads by {amounts}; only channels, rows and columns can be padded, by 0 or more; slice or pad other axes "
            "before the network"
        )
    if not before.any() and not after.any():
        return None
    top_left, bottom_right = [0, *before[2:]][-2:], [0, *after[2:]][-2:]
    channels, height, width = data.shape
    shape = (
        int(top_left[0]) + height + int(bottom_right[0]),
        int(top_left[1]) + width + int(bottom_right[1]),
        int(before[1]) + channels + int(after[1]),
    )
    return Pad(
        name=node.output[0],
        place=place,
        inputs=(edge,),
        shape=shape,
        before=(int(top_left[0]), int(top_left[1])),
        after=(int(bottom_right[0]), int(bottom_right[1])),
        around=(int(before[1]), int(after[1])),
        value=value,
    )


def _max_pool(source: Source, node: onnx.NodeProto, value: Value, edge: Edge) -> tuple[list[Node], Value]:
    place, name = source.place(node), node.output[0]
    spatial = len(source.shape(node.input[0])) - 2
    kernel, stride = (source.integers(node, name, spatial, 1) for name in ("kernel_shape", "strides"))
    if attribute(node, "ceil_mode", 0) or set(attribute(node, "dilations", None) or [1]) != {1}:
        place.refuse("pools with ceil_mode or dilations; neither can be compiled; pool without them")
    found: list[Node] = []
    falling = edge.chain.signs(value.shape[0]) < 0
    before, after = padding(source, node, spatial)
    (kh, kw), (sy, sx) = [1, *kernel][-2:], [1, *stride][-2:]
    if any((*before, *after)):
        if falling.any():
            place.refuse(f"pads before a max pool of channels with negative factors (channel {int(np.argmax(falling))}"
                         "); only rising ones can be padded; pool after the quantizer")  # fmt: skip
        height, width = (side + b + c for side, b, c in zip(value.shape[1:], before, after, strict=True))
        pad = Pad(name=f"{name}/pad", place=place, inputs=(edge,), shape=(height, width, value.shape[0]),
                  before=before, after=after, value=None)  # fmt: skip
        found, value = [pad], _moved(pad, value)
    channels, height, width = value.shape
    rows, columns = (height - kh) // sy + 1, (width - kw) // sx + 1
    if min(rows, columns) < 1:
        place.refuse(f"kernel {(kh, kw)} is larger than the image of {height} x {width}; use a smaller kernel")
    pool = Pool(
        name=name, place=place, inputs=(edge.bare(value.source),),
        shape=(rows, columns, channels), kernel=(kh, kw), stride=(sy, sx), smallest=falling if falling.any() else None,
        tensor=None if value.steps else name,
    )  # fmt: skip
    return [*found, pool], _moved(pool, value)


Pair = tuple[int, int]


def _windows(
    source: Source, node: onnx.NodeProto, place: Place, shape: tuple[int, ...]
) -> tuple[Pair, Pair, tuple[Pair, Pair]]:
    """Kernel and stride of an average, and the padding before and after: the whole image, or square windows."""
    rank, whole, none = len(source.shape(node.input[0])), (shape[1], shape[2]), ((0, 0), (0, 0))
    if node.op_type in ("ReduceMean", "ReduceSum"):
        axes = attribute(node, "axes", None) or source.optional(node, 1) or range(rank)
        if {a % rank for a in axes} != set(range(2, rank)):
            _refuse_average(place, f"averages axes {list(axes)}", shape)
    if node.op_type != "AveragePool":
        return whole, whole, none
    given = source.integers(node, "kernel_shape", rank - 2, 1)
    kernel, stride = [1, *given][-2:], [1, *source.integers(node, "strides", rank - 2, 1)][-2:]
    before, after = padding(source, node, rank - 2)
    if tuple(kernel) == whole and not any((*before, *after)):
        return whole, whole, none
    dilated = set(source.integers(node, "dilations", rank - 2, 1)) != {1}
    square = kernel[0] == kernel[1] and stride[0] == stride[1]
    small = all(k <= b + side + c for k, side, b, c in zip(kernel, whole, before, after, strict=True))
    counted = attribute(node, "count_include_pad", 0) or not any((*before, *after))
    if not square or not small or not counted or dilated or attribute(node, "ceil_mode", 0):
        what = f"averages windows of {kernel[0]} x {kernel[1]} in steps of {stride[0]} x {stride[1]}"
        _refuse_average(place, what, shape)
    return (kernel[0], kernel[1]), (stride[0], stride[1]), (before, after)


def _refuse_average(place: Place, what: str, shape: Image | tuple[int, ...]) -> NoReturn:
    place.refuse(
        f"{what} of an image of {shape[1]} x {shape[2]}; only a global average, or square windows with square steps, "
        "without dilations and with count_include_pad, can be compiled; use a max pool, or such windows"
    )
