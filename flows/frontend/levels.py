# SPDX-License-Identifier: Apache-2.0
"""The integers that each node makes, and the real values that they stand for in the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.network import Activation, Average, Edge, Join, Network, Node, Product
from adiabit.flows.frontend.quantizer import Levels


def host_levels(config: CompileConfig) -> Levels:
    """The levels that the host sends."""
    scale, offset = np.array([config.input_scale]), np.array([config.input_offset])
    if config.input_bits == 1:
        return Levels(low=-1, high=1, step=2, scale=scale, offset=offset)
    half = 2 ** (config.input_bits - 1)
    low, high = (-half, half - 1) if config.input_signed else (0, 2 * half - 1)
    return Levels(low=low, high=high, scale=scale, offset=offset)


def levels_of(network: Network, config: CompileConfig) -> dict[str, Levels]:
    """The levels of the input and of every node, by name."""
    found = {network.input_name: network.reads or host_levels(config)}
    for node in network.nodes:
        found[node.name] = _made(node, [found[edge.source] for edge in node.inputs])
    return found


def edge_levels(edge: Edge, found: Mapping[str, Levels]) -> Levels:
    """The levels of what an edge carries, whose float operations must be affine (those that only rise are left out)."""
    return _after(edge, found[edge.source])


def _after(edge: Edge, levels: Levels) -> Levels:
    channels = max(levels.scale.size, *(_width(step.constants) for step in edge.chain.steps), 1)
    for step in edge.chain.linear.steps:  # one by one, because exact execution rounds after each
        factor, addend = step.affine(channels)
        levels = dataclasses.replace(levels, scale=levels.scale * factor, offset=levels.offset * factor + addend)
    return levels


def _width(constants: Mapping[int, npt.NDArray[np.float32]]) -> int:
    return max((value.size for value in constants.values()), default=1)


def _made(node: Node, sources: list[Levels]) -> Levels:
    """The levels of a node, given those of the nodes that it reads."""
    if isinstance(node, Activation):
        return node.quantizer.levels
    if isinstance(node, Join) and node.plain:
        low, high = sum(s.low for s in sources), sum(s.high for s in sources)
        return Levels(low=low, high=high)
    if not isinstance(node, Product | Average | Join):
        return sources[0]  # moves, and channels of equal levels
    read = [_after(edge, levels) for edge, levels in zip(node.inputs, sources, strict=True)]
    if isinstance(node, Product):
        return _sums(node, read[0])
    if isinstance(node, Average):
        n, levels = node.count, read[0]
        low, high = n * levels.low, n * levels.high
        if node.total:
            return dataclasses.replace(levels, low=low, high=high, offset=levels.offset * n)
        return dataclasses.replace(levels, low=low, high=high, scale=levels.scale / n)
    a, b = read
    step = a.step if a.step == b.step else 1
    return Levels(low=a.low + b.low, high=a.high + b.high, step=step, scale=a.scale, offset=a.offset + b.offset)


def _sums(product: Product, reads: Levels) -> Levels:
    """The sums of a product; a row may be negated, so their range covers both signs."""
    weights, scale = product.weights, product.scale
    shift = reads.offset * weights.sum(axis=1)
    bound = int(np.abs(weights).sum(axis=1).max()) * max(-reads.low, reads.high)
    both = reads.bipolar and product.bipolar
    return Levels(low=-bound, high=bound, step=2 if both else 1, scale=scale * reads.scale, offset=scale * shift)
