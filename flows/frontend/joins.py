# SPDX-License-Identifier: Apache-2.0
"""Sums of branches, made exact.

A sum of integers of one scale is a sum of integers: Brevitas' users quantize both branches by one shared quantizer.
Another sum is a float number. If only signs follow it and one branch, the *shortcut*, has few values, as -1 and +1
have, then `sign(branch + shortcut)` is a threshold on the branch for each value of the shortcut: the sum is exact
without being computed. Let v be the shortcut's integer, T(v) the threshold for it, which falls with v, and m the
largest v. Then with

    y = number of v with T(v) <= x, counting T(v) once for v = m and once for each integer that v lies below the next

the sign is y + v >= m + 1: two integer steps that FINN has, thresholds and a sum. :mod:`adiabit.hw.fuse` makes one
stage of them, whose thresholds the shortcut selects.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from adiabit.flows.frontend.chain import Chain, Step, constant
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, levels_of
from adiabit.flows.frontend.network import Activation, Concat, Edge, Join, Network, Node, Product, Selection
from adiabit.flows.frontend.quantizer import Levels, Quantizer
from adiabit.flows.frontend.read_checks import root
from adiabit.hw.stages import Kind

VALUES = 16  # of a shortcut that selects thresholds, at most
SHARED = "quantize both by one shared quantizer (QuantIdentity) before the sum"


def resolve_joins(network: Network, config: CompileConfig) -> Network:
    """The network with sums of integers alone; refuses what is none, with both branches."""
    while True:
        levels = levels_of(network, config)
        unequal = [j for j in network.nodes if isinstance(j, Join) and not j.plain and not _equal(network, j, levels)]
        for node in network.nodes:
            if isinstance(node, Concat):
                _check_concat(node, levels)
        if not unequal:
            return network
        network = _selected(network, unequal[0], levels)


def _equal(network: Network, join: Join, levels: Mapping[str, Levels]) -> bool:
    """Whether a sum adds integers of one scale, none of them the sums of a product."""
    a, b = (edge_levels(edge, levels) for edge in join.inputs)
    affine = all(edge.chain.straight for edge in join.inputs)
    products = any(isinstance(root(network, edge.source), Product) for edge in join.inputs)
    return affine and not products and not np.ptp(a.scale) and not np.ptp(b.scale) and a.scale[0] == b.scale[0]


def _check_concat(concat: Concat, levels: Mapping[str, Levels]) -> None:
    """Refuse branches whose integers stand for different reals."""
    read = [edge_levels(edge, levels) for edge in concat.inputs]
    first = read[0]
    for edge, other in zip(concat.inputs, read, strict=True):
        same = other.uniform and first.uniform and _meaning(other) == _meaning(first)
        if not same or not edge.chain.straight:
            concat.place.refuse(
                f"joins {concat.inputs[0].source!r} and {edge.source!r}, whose integers stand for different values; "
                "their types and scales must be equal; quantize them by one shared quantizer before"
            )


def _meaning(levels: Levels) -> tuple[object, ...]:
    """What must be equal of two branches whose channels are joined."""
    return levels.low, levels.high, levels.step, levels.scale[0], levels.offset[0]


def _selected(network: Network, join: Join, levels: Mapping[str, Levels]) -> Network:
    """Replace a sum, and each sign of it, by thresholds for each value of the shortcut."""
    readers = network.readers[join.name]
    signs = [node for node in readers if isinstance(node, Activation) and node.quantizer.kind is Kind.BIPOLAR]
    counts = [len(levels[edge.source].integers) for edge in join.inputs]
    first = int(counts[0] <= counts[1])  # the branch; the other, with fewer values, is the shortcut
    if len(signs) < len(readers) or min(counts) > VALUES or network.output.source == join.name:
        _refuse(join, levels)
    branch, shortcut = join.inputs[first], join.inputs[1 - first]
    nodes: list[Node] = []
    for node in network.nodes:
        if node in signs and isinstance(node, Activation):
            nodes += _thresholds(join, node, branch, (shortcut, levels[shortcut.source]))
        elif node.name != join.name:
            nodes.append(node)
    return dataclasses.replace(network, nodes=tuple(nodes))


def _thresholds(join: Join, sign: Activation, branch: Edge, selects: tuple[Edge, Levels]) -> list[Node]:
    """Thresholds on the branch, their sum with the shortcut, and the sign of it."""
    shortcut, levels = selects
    values = levels.integers[::-1]
    channels = sign.channels
    reals = shortcut.chain(levels.reals(np.broadcast_to(values[:, None], (len(values), channels))))
    if np.any(shortcut.chain.signs(channels) * np.sign(levels.scale) < 0):
        join.place.refuse(f"adds {shortcut.source!r} with a negative factor; only positive ones can be added; negate "
                          "the weights that read the sum instead")  # fmt: skip
    repeats = (1, *(int(a - b) for a, b in itertools.pairwise(values)))
    bits = sum(repeats).bit_length()
    counts = Selection(
        name=f"{sign.name}/steps", place=sign.place, inputs=(branch,), shape=sign.shape,
        quantizer=Quantizer(kind=Kind.UNSIGNED, bits=bits, scale=1.0, high=(1 << bits) - 1),
        shortcut=reals, repeats=repeats, after=sign.edge.chain, sign=sign.quantizer,
    )  # fmt: skip
    edges = (branch.bare(counts.name), branch.bare(shortcut.source))
    added = Join(name=f"{sign.name}/sum", place=join.place, inputs=edges, shape=sign.shape, plain=True)
    rising = sign.edge.chain.signs(channels) >= 0
    limit = constant(np.where(rising, -values[0] - 1, values[0] + 0.5))
    turn = constant(np.where(rising, 1, -1))
    steps = [Step.by("Mul", turn, join.place)] if not rising.all() else []
    last = Chain(steps=(*steps, Step.by("Add", limit, join.place)), opset=branch.chain.opset)
    return [counts, added, dataclasses.replace(sign, inputs=(Edge(source=added.name, chain=last),))]


def _refuse(join: Join, levels: Mapping[str, Levels]) -> NoReturn:
    kinds = (f"{edge.source!r} in steps of {edge_levels(edge, levels).scale.flat[0]:g}" for edge in join.inputs)
    join.place.refuse(
        f"adds {' and '.join(kinds)}; a sum needs one scale, or a shortcut of at most {VALUES} values and nothing but "
        f"signs (BipolarQuant) of it; {SHARED}"
    )
