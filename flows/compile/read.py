# SPDX-License-Identifier: Apache-2.0
"""Reading a QONNX file into a `Network`; whatever cannot be compiled is refused here, with its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from adiabit.errors import UserError
from adiabit.flows.compile import read_moves, read_products
from adiabit.flows.compile.chain import Chain, Place, Step
from adiabit.flows.compile.model_file import (
    CONVOLUTIONS,
    ELEMENTWISE,
    HELP,
    KNOWN,
    MOVES,
    PRODUCTS,
    QUANTIZERS,
    REMEDIES,
    SHAPES,
    load,
    open_model,
)
from adiabit.flows.compile.network import Average, Dense, Layer, Move, Network, Pool, Quantizer
from adiabit.flows.compile.source import Source, attribute
from adiabit.hw.accelerator import Kind

BITS = 4  # of a quantized activation at most: 15 thresholds a channel
INPUT_BITS = 8  # of a quantized input at most


def read(path: Path) -> Network:
    """Parse a QONNX file; `UserError` names file, node, position, what was expected and what to do."""
    positions = {node.output[0]: i for i, node in enumerate(open_model(path).graph.node, 1) if node.output}
    return _Reader(Source(path=path, model=load(path), positions=positions)).read()


@dataclass
class _Segment:
    """What lies between two products: steps and moves, a quantizer, moves."""

    steps: list[Step] = field(default_factory=list)
    early: list[tuple[int, Move]] = field(default_factory=list)  # before the quantizer: steps in front of it, move
    quantizer: Quantizer | None = None
    moves: list[Move] = field(default_factory=list)  # behind the quantizer


class _Reader:
    """Walks from the input to the output along the one path of data."""

    def __init__(self, source: Source) -> None:
        self.source = source
        graph, domains = source.model.graph, ("", "ai.onnx")
        self.opset = next(o.version for o in source.model.model.opset_import if o.domain in domains)
        self.tensor: str = graph.input[0].name
        self.input_shape = source.shape(self.tensor)
        self.shape = self._frame()  # of a frame: (features,), or (C, H, W) also where an image lies flat

    def _frame(self) -> tuple[int, ...]:
        """(C, H, W) where the network works on images, as the first node that needs one reads it."""
        for node in self.source.model.graph.node:
            if node.op_type in (*CONVOLUTIONS, *MOVES):
                shape = self.source.shape(node.input[0])
                if len(shape) in (3, 4) and math.prod(shape) == math.prod(self.input_shape):
                    return (shape[1], 1, shape[2]) if len(shape) == 3 else shape[1:]
                break
        return (math.prod(self.input_shape),)

    def read(self) -> Network:
        name, frame = self.tensor, self.shape
        head = self._segment(first=True)
        layers: list[Layer] = []
        moves, tail = head.moves, None
        while self.tensor != self.source.model.graph.output[0].name:
            pad, dense, bias = self._product()
            segment = self._segment()
            last = segment.quantizer is None and self.tensor == self.source.model.graph.output[0].name
            if last:
                tail = _tail(segment)
            layers.append(
                Layer(
                    dense=dense,
                    chain=Chain(steps=(*bias, *segment.steps), opset=self.opset),
                    quantizer=segment.quantizer,
                    moves=(*moves, *pad),
                    pools=() if last else _pools(segment),
                    early=len(bias) + (segment.early[0][0] if segment.early else 0),
                )
            )
            moves = segment.moves
        network = Network(
            file=self.source.path,
            input_name=name,
            input_shape=self.input_shape,
            frame=frame if len(frame) == 1 else (frame[1], frame[2], frame[0]),
            head=Chain(steps=tuple(head.steps), opset=self.opset),
            quantizer=head.quantizer,
            layers=tuple(layers),
            head_moves=tuple(move for _, move in head.early),
            tail=tail,
        )
        _check(network)
        return network

    def _segment(self, *, first: bool = False) -> _Segment:
        """Everything from here to the next product or to the end of the data."""
        found = _Segment()
        while (node := self.source.next(self.tensor)) is not None and node.op_type not in (*PRODUCTS, *CONVOLUTIONS):
            before = found.quantizer is None
            if node.op_type in QUANTIZERS and before:
                found.quantizer = self._quantizer(node, found.steps, first=first)
            elif node.op_type in ELEMENTWISE and before:
                found.steps.append(self._step(node))
            elif node.op_type in MOVES:
                chain = Chain(steps=tuple(found.steps), opset=self.opset)
                made, self.shape = read_moves.moves(self.source, node, self.shape, chain)
                if before:
                    found.early += [(len(found.steps), move) for move in made]
                else:
                    found.moves += made
            else:
                self._reshape(node)
            self.tensor = node.output[0]
        return found

    def _reshape(self, node: onnx.NodeProto) -> None:
        """Only the shape may change, neither the number nor the order of elements."""
        place = self.source.place(node)
        if node.op_type not in SHAPES:
            remedy = REMEDIES.get(node.op_type)
            place.refuse(f"cannot be compiled; expected one of {', '.join(KNOWN)}; {remedy or HELP}")
        shape, elements = self.source.shape(node.output[0]), math.prod(self.shape)
        if shape and math.prod(shape) != elements:
            place.refuse(f"makes {list(shape)} of {elements} elements; their number must stay; check the model")
        image = (shape[1], 1, shape[2]) if len(shape) == 3 else shape[1:]
        if len(self.shape) == 3 and len(shape) in (3, 4) and image != self.shape:
            place.refuse(
                f"makes an image {list(shape[1:])} of one of {list(self.shape)} (C, H, W); channels, rows and columns "
                "must stay as they are; check the model"
            )

    def _step(self, node: onnx.NodeProto) -> Step:
        data = list(node.input).index(self.tensor)
        constants = {i: self.source.constant(node, i) for i in range(len(node.input)) if i != data}
        place, shape, channels = self.source.place(node), self.source.shape(self.tensor), self.shape[0]
        axis = 1 if len(self.shape) == 3 and len(shape) > 2 else None
        for i, value in constants.items():
            kind = self.source.model.get_initializer(node.input[i]).dtype
            if kind != np.float32:
                place.refuse(f"constant {node.input[i]!r} is of {kind}; float32 is needed; export it anew")
            if value.size != 1 and not _per_channel(node, value, shape, channels, axis):
                place.refuse(
                    f"constant {node.input[i]!r} has shape {value.shape}; one number, or one for each of the "
                    f"{channels} channels, is needed; check the model"
                )
        if node.op_type == "Div" and (data != 0 or np.any(constants[1] == 0)):
            place.refuse("divides by data or by 0; only a division by constants other than 0 can be compiled")
        if node.op_type == "BatchNormalization" and np.any(constants[4] < 0):
            place.refuse("a variance is less than 0; train or export it anew")
        return Step(place=place, node=node, data=data, constants={i: _flat(node, v) for i, v in constants.items()})

    def _quantizer(self, node: onnx.NodeProto, before: list[Step], *, first: bool) -> Quantizer:
        place = self.source.place(node)
        scale = self.source.scalar(node, 1, "scale")
        if scale <= 0:
            place.refuse(f"scale is {scale:g}; it must be greater than 0; export it anew")
        if node.op_type == "BipolarQuant":
            if before and before[-1].node.op_type == "Relu":
                place.refuse(
                    "quantizes a Relu to -1 and +1, so it is always +1; Brevitas exports a QuantReLU of 1 bit so; "
                    "use a 1-bit QuantIdentity instead"
                )
            return Quantizer(place=place, kind=Kind.BIPOLAR, bits=1, scale=scale, tensor=node.output[0], node=node)
        bits, zero = self.source.scalar(node, 3, "bit width"), self.source.scalar(node, 2, "zero point")
        signed, rounding = attribute(node, "signed", 1), attribute(node, "rounding_mode", "ROUND")
        narrow, most = attribute(node, "narrow", 0), INPUT_BITS if first else BITS
        if (not first and (signed or narrow)) or zero or rounding != "ROUND" or bits not in range(2, most + 1):
            place.refuse(
                f"signed={signed}, zero point {zero:g}, {bits:g} bits, rounding {rounding}; an activation is bipolar, "
                f"or unsigned with 2 to {BITS} bits, zero point 0, rounding ROUND; choose such a quantizer"
            )
        low = -(2 ** (int(bits) - 1)) + bool(narrow) if signed else 0
        high = 2 ** (int(bits) - 1) - 1 if signed else 2 ** int(bits) - 1 - bool(narrow)
        return Quantizer(place=place, kind=Kind.UNSIGNED, bits=int(bits), scale=scale, tensor=node.output[0],
                         node=node, low=low, high=high)  # fmt: skip

    def _product(self) -> tuple[list[Move], Dense, list[Step]]:
        node = self.source.next(self.tensor)
        if node is None:
            raise UserError(
                f"{self.source.path}: the data ends at {self.tensor!r}, before the output; export the network anew"
            )
        if node.op_type in CONVOLUTIONS:
            pad, dense, bias, self.shape = read_products.convolution(self.source, node, self.tensor, self.shape)
        else:
            pad, (dense, bias) = None, read_products.dense(self.source, node, self.tensor, self.shape)
            self.shape = (len(dense.weights),)
        self.tensor = node.output[0]
        return [] if pad is None else [pad], dense, bias


def _per_channel(
    node: onnx.NodeProto, value: npt.NDArray[np.float32], shape: tuple[int, ...], channels: int, axis: int | None
) -> bool:
    """Whether a constant has one number for each channel of data of this shape (axis: the channels of an image)."""
    if value.size != channels:
        return False
    if node.op_type == "BatchNormalization":
        return True
    aligned = (*(1,) * (len(shape) - value.ndim), *value.shape)
    if axis is not None:
        return bool(aligned[axis] == channels)
    return np.broadcast_shapes(value.shape[-len(shape) :], shape) == shape


def _pools(segment: _Segment) -> tuple[Move, ...]:
    """The max pools between a product and its quantizer."""
    places = {before for before, _ in segment.early}
    for _, move in segment.early:
        if not isinstance(move, Pool) and getattr(move, "value", 0) is not None:
            move.place.refuse("stands between a product and its quantizer; only a max pool can; put it behind the "
                              "quantizer")  # fmt: skip
        if len(places) > 1:
            move.place.refuse("pools twice with other operations between; pool once, or behind the quantizer")
    return tuple(move for _, move in segment.early)


def _tail(segment: _Segment) -> Average | None:
    """The global average behind the last product, if there is one."""
    moves = [move for _, move in segment.early]
    for move in moves:
        if not isinstance(move, Average) or len(moves) > 1:
            move.place.refuse("stands behind the last product; only one global average can; remove it")
    return moves[0] if moves and isinstance(moves[0], Average) else None


def _flat(node: onnx.NodeProto, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return value.reshape(-1) if node.op_type == "BatchNormalization" or value.size > 1 else value.reshape(())


def _check(network: Network) -> None:
    """What only the whole chain can tell."""
    if not network.layers:
        raise UserError(f"{network.file}: has no dense layer (MatMul or Gemm); at least one is needed; {HELP}")
    for layer in network.layers[:-1]:
        if layer.quantizer is None:
            layer.dense.place.refuse(
                "no quantizer follows it before the next layer; BipolarQuant or Quant is expected; quantize it"
            )
    last = network.layers[-1]
    if last.quantizer is not None:
        last.quantizer.place.refuse("ends the network; the last layer must put out logits; remove the quantizer")
    if network.quantizer is None and network.head.steps:
        _one_scale(network.head, network.channels, "before the first product")
    _one_scale(last.chain, len(last.dense.weights), "after the last product", last.dense.scale, last.dense.place)


def _one_scale(
    chain: Chain, channels: int, where: str, scale: npt.NDArray[np.float64] | None = None, place: Place | None = None
) -> None:
    factor, addend = chain.affine(channels)
    factor = factor if scale is None else factor * scale
    place = chain.steps[-1].place if chain.steps else place
    assert place is not None  # noqa: S101  # a chain without steps has the product's place
    if np.any(factor == 0) or np.ptp(factor) or np.ptp(addend):
        place.refuse(
            f"scales or shifts channels differently {where} (factors {factor.min():g} to {factor.max():g}, "
            f"addends {addend.min():g} to {addend.max():g}); one factor other than 0 and one addend for all channels "
            "are needed; normalise the whole tensor there"
        )
