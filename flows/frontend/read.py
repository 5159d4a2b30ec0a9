# SPDX-License-Identifier: Apache-2.0
"""Reading a QONNX file into a `Network`; anything that cannot be compiled is refused here, with its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import onnx

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.frontend import read_elements, read_moves, read_products
from adiabit.flows.frontend.chain import Chain, Place, Step
from adiabit.flows.frontend.kinds import (
    CONVOLUTIONS,
    ELEMENTWISE,
    MOVES,
    PRODUCTS,
    QUANTIZERS,
    SHAPES,
    refuse_kind,
)
from adiabit.flows.frontend.model_file import GIVE, open_model, places
from adiabit.flows.frontend.network import Average, Dense, Layer, Move, Network, Pool, Quantizer
from adiabit.flows.frontend.probe import probe
from adiabit.flows.frontend.simplify import simplified
from adiabit.flows.frontend.source import Source


def read(path: Path, *, trusted: bool = False) -> Network:
    """Parse a QONNX file; `UserError` names file, node, position, what was expected and what to do.

    A separate process, which may crash or hang in our place, reads and executes the file first, unless it is `trusted`
    because we exported it.
    """
    if not trusted:
        probe(files.regular(path, GIVE))
    model = open_model(path)
    found = {node.output[0]: place for place, node in zip(places(path, model), model.graph.node, strict=True)}
    source = Source(path=path, model=simplified(path, model), places=found)
    network = _Reader(source).read()
    source.check_shapes()
    return network


@dataclass
class _Segment:
    """The nodes between two products: steps and moves, a quantizer, moves."""

    steps: list[Step] = field(default_factory=list)
    early: list[tuple[int, Move]] = field(
        default_factory=list
    )  # moves before the quantizer, with the steps before each
    quantizer: Quantizer | None = None
    moves: list[Move] = field(default_factory=list)  # after the quantizer


class _Reader:
    """Walks the single data path from the input to the output."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.opset = next(o.version for o in source.model.opset_import if not o.domain)
        self.tensor: str = source.model.graph.input[0].name
        self.input_shape = source.shape(self.tensor)
        self.shape = self._frame()  # of a frame: (features,), or (C, H, W), even for an image that is flattened

    def _frame(self) -> tuple[int, ...]:
        """The frame's shape: (C, H, W), as the first node that needs an image reads it, else (features,)."""
        for node in self.source.model.graph.node:
            if node.op_type in (*CONVOLUTIONS, *MOVES):
                shape = self.source.known(node.input[0]) or ()
                if len(shape) in (3, 4) and math.prod(shape) == math.prod(self.input_shape):
                    return (shape[1], 1, shape[2]) if len(shape) == 3 else shape[1:]
                break
        return (math.prod(self.input_shape),)

    def read(self) -> Network:
        name, frame = self.tensor, self.shape
        head = self._segment(first=True)
        layers: list[Layer] = []
        moves, tail = head.moves, None
        while self.tensor != self.source.output:
            pad, dense, bias = self._product()
            segment = self._segment()
            last = segment.quantizer is None and self.tensor == self.source.output
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
        if len(self.shape) == 3 and self.shape[1:] != (1, 1):
            layers[-1].dense.place.refuse(
                f"ends the network with an image of {self.shape[1]} x {self.shape[2]} pixels; one number for each "
                "class is needed; average the whole image after it, or end with a dense layer"
            )
        return network

    def _segment(self, *, first: bool = False) -> _Segment:
        """Everything from here to the next product, or to the end of the data."""
        found = _Segment()
        while (node := self.source.next(self.tensor)) is not None and node.op_type not in (*PRODUCTS, *CONVOLUTIONS):
            before = found.quantizer is None
            if node.op_type in (*QUANTIZERS, *ELEMENTWISE) and not before:
                self._refuse_after_quantizer(node, found.quantizer)
            if node.op_type in QUANTIZERS:
                found.quantizer = read_elements.quantizer(self.source, node, found.steps, first=first)
            elif node.op_type in ELEMENTWISE:
                found.steps.append(read_elements.step(self.source, node, self.tensor, self.shape))
            elif node.op_type in MOVES:
                chain = Chain(steps=tuple(found.steps), opset=self.opset)
                made, self.shape = read_moves.moves(self.source, node, self.shape, chain)
                if before:
                    found.early += [(len(found.steps), move) for move in made]
                else:
                    found.moves += made
            elif node.op_type in SHAPES:
                read_elements.reshape(self.source, node, self.shape)
            else:
                refuse_kind(self.source.place(node))
            self.tensor = node.output[0]
        return found

    def _refuse_after_quantizer(self, node: onnx.NodeProto, quantizer: Quantizer | None) -> NoReturn:
        """Refuse a node that would compute with a quantizer's values before the next product does."""
        assert quantizer is not None  # noqa: S101  # it is called after one
        what = "a second quantizer" if node.op_type in QUANTIZERS else "an element-wise operation"
        self.source.place(node).refuse(
            f"is {what} after {quantizer.place.name!r}; a product, a pool or a pad must follow a quantizer; remove one "
            "of them, or put the operation before the quantizer"
        )

    def _product(self) -> tuple[list[Move], Dense, list[Step]]:
        node = self.source.next(self.tensor)
        if node is None:
            raise UserError(
                f"{self.source.path}: the data path ends at {self.tensor!r}, before the output; it must lead to the "
                "output; export the network again"
            )
        if node.op_type in CONVOLUTIONS:
            pad, dense, bias, self.shape = read_products.convolution(self.source, node, self.tensor, self.shape)
        else:
            pad, (dense, bias) = None, read_products.dense(self.source, node, self.tensor, self.shape)
            self.shape = (len(dense.weights),)
        self.tensor = node.output[0]
        return [] if pad is None else [pad], dense, bias


def _pools(segment: _Segment) -> tuple[Move, ...]:
    """The max pools between a product and its quantizer."""
    places = {before for before, _ in segment.early}
    for _, move in segment.early:
        if not isinstance(move, Pool) and getattr(move, "value", 0) is not None:
            move.place.refuse("is between a product and its quantizer, where only a max pool can be; put it after the "
                              "quantizer")  # fmt: skip
        if len(places) > 1:
            move.place.refuse("is one of several pools before a quantizer, with other operations in between; pools "
                              "must be adjacent; pool once, or after the quantizer")  # fmt: skip
    return tuple(move for _, move in segment.early)


def _tail(segment: _Segment) -> Average | None:
    """The global average after the last product, if any."""
    moves = [move for _, move in segment.early]
    for move in moves:
        if not isinstance(move, Average) or len(moves) > 1:
            move.place.refuse("is after the last product, where only one global average can be; remove it")
    return moves[0] if moves and isinstance(moves[0], Average) else None


def _check(network: Network) -> None:
    """Checks that need the whole chain."""
    if not network.layers:
        raise UserError(
            f"{network.file}: has no dense layer (MatMul or Gemm); at least one is needed; end the network with one"
        )
    for layer in network.layers[:-1]:
        if layer.quantizer is None:
            layer.dense.place.refuse(
                "is not quantized before the next layer; BipolarQuant or Quant is expected; quantize it"
            )
    last = network.layers[-1]
    if network.quantizer is None and network.head.steps:
        _check_uniform(network.head, network.channels, "before the first product")
    _check_uniform(last.chain, len(last.dense.weights), "after the last product", last.dense.scale, last.dense.place)


def _check_uniform(
    chain: Chain, channels: int, where: str, scale: npt.NDArray[np.float64] | None = None, place: Place | None = None
) -> None:
    """Refuse a chain that scales or shifts its channels differently."""
    factor, addend = chain.affine(channels)
    factor = factor if scale is None else factor * scale
    place = chain.steps[-1].place if chain.steps else place
    assert place is not None  # noqa: S101  # a chain without steps has the product's place
    if np.any(factor == 0) or np.ptp(factor) or np.ptp(addend):
        place.refuse(
            f"scales or shifts channels differently {where} (factors {factor.min():g} to {factor.max():g}, "
            f"addends {addend.min():g} to {addend.max():g}); all channels need the same non-zero factor and the same "
            "addend; normalize the whole tensor there"
        )
