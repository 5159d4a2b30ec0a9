# SPDX-License-Identifier: Apache-2.0
"""Reading pads, max pools and global averages, the moves of an image between products."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import onnx

from adiabit.flows.frontend.chain import Chain, Place
from adiabit.flows.frontend.network import Average, Move, Pad, Pool
from adiabit.flows.frontend.read_products import Image, padding
from adiabit.flows.frontend.source import Source, attribute


def moves(source: Source, node: onnx.NodeProto, shape: tuple[int, ...], chain: Chain) -> tuple[list[Move], Image]:
    """The moves of one node on an image (C, H, W) after the steps of `chain`, and the shape of the image after them."""
    place = source.place(node)
    if len(shape) != 3 or len(source.shape(node.input[0])) not in (3, 4):
        place.refuse("reads a flat vector; an image (1, C, H, W) or sound (1, C, W) is needed; reshape it")
    if node.op_type == "Pad":
        pad = _pad(source, node, place, chain)
        return [pad] if any((*pad.before, *pad.after)) else [], _padded(shape, pad)
    if node.op_type == "MaxPool":
        return _max_pool(source, node, place, shape)
    _check_global(source, node, place, shape)
    count = shape[1] * shape[2]
    return [Average(place=place, count=count)] if count > 1 else [], (shape[0], 1, 1)


def _padded(shape: tuple[int, ...], pad: Pad) -> Image:
    return shape[0], shape[1] + pad.before[0] + pad.after[0], shape[2] + pad.before[1] + pad.after[1]


def _pad(source: Source, node: onnx.NodeProto, place: Place, chain: Chain) -> Pad:
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
    if before[:2].any() or after[:2].any() or before.min() < 0 or after.min() < 0:
        place.refuse(
            f"pads by {amounts}; only rows and columns can be padded, by 0 or more; slice or pad other axes before the "
            "network"
        )
    top_left, bottom_right = [0, *before[2:]][-2:], [0, *after[2:]][-2:]
    return Pad(
        place=place,
        before=(int(top_left[0]), int(top_left[1])),
        after=(int(bottom_right[0]), int(bottom_right[1])),
        value=value,
        preceding=chain,
    )


def _max_pool(source: Source, node: onnx.NodeProto, place: Place, shape: tuple[int, ...]) -> tuple[list[Move], Image]:
    spatial = len(source.shape(node.input[0])) - 2
    kernel, stride = (source.integers(node, name, spatial, 1) for name in ("kernel_shape", "strides"))
    if attribute(node, "ceil_mode", 0) or set(attribute(node, "dilations", None) or [1]) != {1}:
        place.refuse("pools with ceil_mode or dilations; neither can be compiled; pool without them")
    found: list[Move] = []
    before, after = padding(source, node, spatial)
    (kh, kw), (sy, sx) = [1, *kernel][-2:], [1, *stride][-2:]
    if any((*before, *after)):
        pad = Pad(place=place, before=before, after=after, value=None)
        shape = _padded(shape, pad)
        found.append(pad)
    rows, columns = (shape[1] - kh) // sy + 1, (shape[2] - kw) // sx + 1
    if min(rows, columns) < 1:
        place.refuse(f"kernel {(kh, kw)} is larger than the image of {shape[1]} x {shape[2]}; use a smaller kernel")
    return [*found, Pool(place=place, kernel=(kh, kw), stride=(sy, sx))], (shape[0], rows, columns)


def _check_global(source: Source, node: onnx.NodeProto, place: Place, shape: tuple[int, ...]) -> None:
    """Refuse an average that is not over the whole image."""
    rank = len(source.shape(node.input[0]))
    if node.op_type == "AveragePool":
        kernel = [1, *source.integers(node, "kernel_shape", rank - 2, 1)][-2:]
        before, after = padding(source, node, rank - 2)
        dilated = set(source.integers(node, "dilations", rank - 2, 1)) != {1}
        if tuple(kernel) != tuple(shape[1:]) or any((*before, *after)) or dilated:
            _refuse_average(place, f"averages windows of {kernel[0]} x {kernel[1]}", shape)
    elif node.op_type == "ReduceMean":
        axes = attribute(node, "axes", None) or source.optional(node, 1) or range(rank)
        if {a % rank for a in axes} != set(range(2, rank)):
            _refuse_average(place, f"averages axes {list(axes)}", shape)


def _refuse_average(place: Place, what: str, shape: tuple[int, ...]) -> NoReturn:
    place.refuse(f"{what} of an image of {shape[1]} x {shape[2]}; only a global average can be compiled; "
                 "use a max pool, or average the whole image")  # fmt: skip
