# SPDX-License-Identifier: Apache-2.0
"""Checks of the reader that need more than one node, and what it refuses at the ends and joins of a network."""

from __future__ import annotations

import math

import numpy as np
import onnx

from adiabit.errors import UserError
from adiabit.flows.frontend.chain import Chain
from adiabit.flows.frontend.faults import Faults
from adiabit.flows.frontend.network import Activation, Average, Network, Node, Pad, Product, Shape
from adiabit.flows.frontend.nodes import attribute
from adiabit.flows.frontend.source import Source
from adiabit.flows.frontend.value import Value

JOIN_REMEDY = "add the branches, or concatenate their channels"


def check_ends(source: Source) -> None:
    """Refuse nodes that read the output."""
    readers = source.consumers(source.output)
    if readers:
        source.place(readers[0]).refuse(
            f"reads {source.output!r}, the network's output; no node may follow the output; remove it"
        )


def joined_shape(source: Source, node: onnx.NodeProto, data: list[Value]) -> Shape:
    """The shape of a sum or a concatenation of branches; refuses branches that do not fit."""
    place, shapes = source.place(node), [value.shape for value in data]
    listed = " and ".join(str(list(shape)) for shape in shapes)
    if len(data) != len(node.input):
        place.refuse(f"joins a branch with a constant; all of its inputs must be data; {JOIN_REMEDY}")
    if node.op_type == "Add":
        if len({tuple(source.shape(name)) for name in node.input}) > 1 or shapes[0] != shapes[1]:
            place.refuse(f"adds branches of {listed}; they must be equal; bring them to one shape before the sum")
        return shapes[0]
    rank = len(source.shape(node.input[0]))
    if attribute(node, "axis", 1) % rank != 1:
        place.refuse(f"joins axis {attribute(node, 'axis', 1)}; only channels, axis 1, can be joined; transpose it")
    if len({shape[1:] for shape in shapes}) > 1 or any(len(source.shape(n)) != rank for n in node.input):
        place.refuse(f"joins branches of {listed}; rows and columns must be equal; pool or pad one of them")
    if len(shapes[0]) > 1 and rank == 2 and math.prod(shapes[0][1:]) > 1:
        place.refuse("joins flattened images; join their channels before they are flattened")
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def check(network: Network, result: Value | None, faults: Faults) -> None:
    """Refuse a network without a product, or one that does not end with sums of a product or with levels."""
    if not network.products:
        raise UserError(
            f"{network.file}: has no dense layer (MatMul or Gemm); at least one is needed; end the network with one"
        )
    if result is None:
        raise UserError(f"{network.file}: the output does not depend on the input; it must; export the network again")
    for node in network.nodes:
        with faults.collected():
            _check_node(network, node)
    with faults.collected():
        _check_end(network)
        network.output.chain.affine(network.classes)  # refuses what is none


def _check_node(network: Network, node: Node) -> None:
    """Refuse products of unquantized data, and of channels with different scales."""
    if isinstance(node, Activation):
        return
    if isinstance(node, Pad) and node.value is not None and isinstance(root(network, node.edge.source), Product):
        node.place.refuse(
            "is between a product and its quantizer, where only a max pool can be; put it after the quantizer"
        )
    for edge in node.inputs:
        before = root(network, edge.source)
        if isinstance(before, Product) and isinstance(node, Product):
            before.place.refuse(
                "is not quantized before the next layer; BipolarQuant or Quant is expected; quantize it"
            )
        if isinstance(node, Product) and edge.chain.steps:
            channels = network.shape_of(edge.source)[-1]
            check_uniform(edge.chain, channels)


def root(network: Network, name: str) -> Node | None:
    """The node that computes what the moves before a name only move; None for the input."""
    for node in network.upstream(name):
        if isinstance(node, Product | Activation) or len(node.inputs) > 1:
            return node
    return None


def _check_end(network: Network) -> None:
    """Refuse an end other than a product, with at most one average after it, and quantized data."""
    before = list(network.upstream(network.output.source))
    end = root(network, network.output.source)
    if end is None:
        place = before[0].place if before else network.products[-1].place
        place.refuse("ends the network; a product must, whose sums are the logits; add a dense layer after it")
    moves = before[: before.index(end)]
    for move in moves:
        last = isinstance(end, Product)
        if (len(moves) > 1 or not isinstance(move, Average)) if last else isinstance(move, Average):
            move.place.refuse("is after the last product, where only one global average can be; remove it" if last else
                              "ends the network behind a quantizer; average the logits instead")  # fmt: skip


def check_uniform(chain: Chain, channels: int) -> None:
    """Refuse a chain before a product that scales or shifts its channels differently."""
    factor, addend = chain.affine(channels)
    if np.any(factor == 0) or np.ptp(factor) or np.ptp(addend):
        chain.steps[-1].place.refuse(
            f"scales or shifts channels differently before a product (factors {factor.min():g} to {factor.max():g}, "
            f"addends {addend.min():g} to {addend.max():g}); all channels need the same non-zero factor and the same "
            "addend; normalize the whole tensor there"
        )
