# SPDX-License-Identifier: Apache-2.0
"""Reading a QONNX file into a `Network`; anything that cannot be compiled is refused here, with its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from adiabit import files
from adiabit.flows.frontend import read_checks, read_elements, read_moves, read_products
from adiabit.flows.frontend.chain import Chain
from adiabit.flows.frontend.faults import Faults, First
from adiabit.flows.frontend.kinds import (
    CONVOLUTIONS,
    ELEMENTWISE,
    JOINS,
    MOVES,
    PRODUCTS,
    QUANTIZERS,
    SHAPES,
    TRANSPOSES,
    refuse_kind,
)
from adiabit.flows.frontend.model_file import GIVE, open_model, places
from adiabit.flows.frontend.network import Activation, Concat, Edge, Join, Network, Node, Shape
from adiabit.flows.frontend.probe import probe
from adiabit.flows.frontend.quantizer import Quantizer
from adiabit.flows.frontend.simplify import simplified
from adiabit.flows.frontend.source import Source
from adiabit.flows.frontend.value import Value
from adiabit.hw.stages import Kind


def read(path: Path, *, trusted: bool = False) -> Network:
    """Parse a QONNX file; `UserError` names file, node, position, what was expected and what to do.

    A separate process, which may crash or hang in our place, reads and executes the file first, unless it is `trusted`
    because we exported it.
    """
    if not trusted:
        probe(files.regular(path, GIVE))
    return network_of(path, First())


def network_of(path: Path, faults: Faults) -> Network:
    """The network of a file, whose faults are collected or raised; after a collected one, reading goes on behind it."""
    model = open_model(path)
    found = {node.output[0]: place for place, node in zip(places(path, model), model.graph.node, strict=True)}
    source = Source(path=path, model=simplified(path, model), places=found)
    network = _Reader(source, faults).read()
    with faults.collected():
        source.check_shapes()
    return network


@dataclass(frozen=True, kw_only=True)
class Unread(Activation):
    """A node that cannot be compiled; behind it, reading goes on as behind a quantizer."""


class _Reader:
    """Turns the nodes of the file one by one into nodes of the network, and what lies between them into edges."""

    def __init__(self, source: Source, faults: Faults) -> None:
        self.source, self.faults = source, faults
        self.opset = next(o.version for o in source.model.opset_import if not o.domain)
        self.input: str = source.model.graph.input[0].name
        self.input_shape = source.shape(self.input)
        self.values = {self.input: self._host()}
        self.input_last = self.values[self.input].last
        self.nodes: list[Node] = []

    def _host(self) -> Value:
        """The input: (C, H, W), as the first node that needs an image reads it, or as it is given; else (features,).

        So an image of several channels has them last for the host, even if all that reads it is flattened.
        """
        shape: Shape = (math.prod(self.input_shape),)
        reached, last = {self.input}, False
        for node in self.source.model.graph.node:
            if reached.isdisjoint(node.input):
                continue
            reached.update(node.output)
            if node.op_type in TRANSPOSES:
                last = not last
            if node.op_type in (*CONVOLUTIONS, *MOVES):
                found = self.source.known(node.input[0]) or ()
                if len(found) in (3, 4) and math.prod(found) == math.prod(self.input_shape):
                    return Value(source=self.input, last=last,
                                 shape=(found[1], 1, found[2]) if len(found) == 3 else found[1:])  # fmt: skip
                break
        if len(self.input_shape) == 4 and self.input_shape[1] > 1:
            shape = tuple(self.input_shape[1:])
        return Value(source=self.input, shape=shape)

    def read(self) -> Network:
        with self.faults.collected():
            read_checks.check_ends(self.source)
        for node in self.source.live_nodes:
            data = [name for name in node.input if name in self.values]
            before = len(self.faults.lines)
            if data:
                with self.faults.collected():
                    self._read(node, data)
            if len(self.faults.lines) > before:
                self._skip(node, data)
        result = self.values.get(self.source.output)
        frame = self.values[self.input].frame
        network = Network(
            file=self.source.path,
            input_name=self.input,
            input_shape=self.input_shape,
            frame=frame,
            nodes=tuple(self.nodes),
            input_last=self.input_last,
            output_last=result is not None and result.last and len(self.source.shape(self.source.output)) > 2,
            output=result.edge(self.opset) if result is not None else Edge(source="", chain=Chain(steps=(), opset=1)),
        )
        read_checks.check(network, result, self.faults)
        return network

    def _skip(self, node: onnx.NodeProto, data: list[str]) -> None:
        """Go on behind a node that cannot be read."""
        value = self.values[data[0]]
        made = self.source.known(node.output[0]) or ()
        shape = {2: made[1:], 3: (*made[1:2], 1, *made[2:]), 4: made[1:]}.get(len(made), value.shape)
        bits = Quantizer(kind=Kind.SIGNED, bits=8, scale=1.0, low=-128, high=127)
        self._add(
            node,
            Unread(name=node.output[0], place=self.source.place(node), inputs=(value.edge(self.opset),),
                   shape=Value(source="", shape=shape).frame, quantizer=bits),
            Value(source=node.output[0], shape=shape),
        )  # fmt: skip

    def _read(self, node: onnx.NodeProto, data: list[str]) -> None:
        """Read a node whose inputs `data` depend on the network's input."""
        for kinds, method in _READ:
            if node.op_type in kinds:
                method(self, node, [self.values[name] for name in data])
                return
        refuse_kind(self.source.place(node))

    def _first(self, node: onnx.NodeProto, value: Value) -> None:
        """Refuse channels that come last."""
        if value.last:
            self.source.place(node).refuse("reads an image with the channels last; they must come first; transpose it")

    def _add(self, node: onnx.NodeProto, made: Node, value: Value) -> None:
        """Append a node of the network; `value` describes the tensor that the file's node makes."""
        self.nodes.append(made)
        self.values[node.output[0]] = value

    def _quantizer(self, node: onnx.NodeProto, data: list[Value]) -> None:
        (value,) = data
        quantizer = read_elements.quantizer(self.source, node, value)
        name = node.output[0]
        made = Activation(name=name, place=self.source.place(node), inputs=(value.edge(self.opset),), shape=value.frame,
                          tensor=name, quantizer=quantizer, last=value.last)  # fmt: skip
        self._add(node, made, Value(source=name, shape=value.shape, last=value.last))

    def _element(self, node: onnx.NodeProto, data: list[Value]) -> None:
        if len(data) > 1:
            self._join(node, data)
            return
        (value,) = data
        tensor = next(name for name in node.input if name in self.values)
        step = read_elements.step(self.source, node, tensor, value.shape, last=value.last)
        self.values[node.output[0]] = value.after(step)

    def _join(self, node: onnx.NodeProto, data: list[Value]) -> None:
        name, place = node.output[0], self.source.place(node)
        if node.op_type not in JOINS:
            place.refuse(f"combines two branches; only Add and Concat can; {read_checks.JOIN_REMEDY}")
        shape = read_checks.joined_shape(self.source, node, data)
        kind = Join if node.op_type == "Add" else Concat
        edges = tuple(value.edge(self.opset) for value in data)
        last = data[0].last
        if any(value.last != last for value in data) or (last and node.op_type != "Add"):
            place.refuse("joins tensors with the channels first and last; transpose one of them")
        joined = Value(source=name, shape=shape, last=last)
        self._add(node, kind(name=name, place=place, inputs=edges, shape=joined.frame, tensor=name, last=last), joined)

    def _transpose(self, node: onnx.NodeProto, data: list[Value]) -> None:
        (value,) = data
        self.values[node.output[0]] = replace(value, last=read_moves.transposed(self.source, node, value))

    def _move(self, node: onnx.NodeProto, data: list[Value]) -> None:
        (value,) = data
        self._first(node, value)
        made, result = read_moves.moves(self.source, node, value, self.opset)
        self.nodes += made
        self.values[node.output[0]] = result

    def _reshape(self, node: onnx.NodeProto, data: list[Value]) -> None:
        (value,) = data
        read_elements.reshape(self.source, node, value.shape, last=value.last)
        self.values[node.output[0]] = value

    def _product(self, node: onnx.NodeProto, data: list[Value]) -> None:
        tensor = next(name for name in node.input if name in self.values)
        if node.op_type in CONVOLUTIONS:
            self._first(node, data[0])
        pads, product, value = read_products.product(self.source, node, tensor, data[0], self.opset)
        self.nodes += pads
        self._add(node, product, value)


_READ: tuple[tuple[tuple[str, ...], Callable[[_Reader, onnx.NodeProto, list[Value]], Any]], ...] = (
    (QUANTIZERS, _Reader._quantizer),
    (("Concat",), _Reader._join),
    (ELEMENTWISE, _Reader._element),
    (MOVES, _Reader._move),
    (SHAPES, _Reader._reshape),
    (TRANSPOSES, _Reader._transpose),
    ((*PRODUCTS, *CONVOLUTIONS), _Reader._product),
)
