# SPDX-License-Identifier: Apache-2.0
"""The integers that travel between layers, and the real values that they stand for in the model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from adiabit.flows.frontend.chain import Reals
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.network import Average, Layer, Levels, Move, Network


@dataclass(frozen=True, kw_only=True)
class Sums:
    """A layer's accumulator n = low...high; its integer product is first + stride * n (-MW + 2 * n for a popcount)."""

    first: int
    stride: int
    low: int
    high: int


def host_levels(config: CompileConfig) -> Levels:
    """The levels that the host sends."""
    scale, offset = config.input_scale, config.input_offset
    if config.input_bits == 1:
        return Levels(low=-1, high=1, scale=scale, offset=offset, bipolar=True)
    half = 2 ** (config.input_bits - 1)
    low, high = (-half, half - 1) if config.input_signed else (0, 2 * half - 1)
    return Levels(low=low, high=high, scale=scale, offset=offset)


def input_levels(network: Network, config: CompileConfig) -> Levels:
    """The levels that the first layer reads: the input quantizer's, or the host's after the steps of the head."""
    if network.quantizer is not None:
        return network.quantizer.levels
    if network.reads is not None:
        return network.reads
    levels = host_levels(config)
    for step in network.head.steps:  # one by one, because exact execution rounds after each
        factor, addend = (float(v[0]) for v in step.affine(network.channels))
        levels = dataclasses.replace(levels, scale=levels.scale * factor, offset=levels.offset * factor + addend)
    return levels


def layer_inputs(network: Network, config: CompileConfig) -> list[Levels]:
    """The levels that each product reads, after the moves before it."""
    quantized = [layer.quantizer.levels for layer in network.layers if layer.quantizer is not None]
    found = [input_levels(network, config), *quantized]
    return [_moved(levels, layer.moves) for levels, layer in zip(found, network.layers, strict=True)]


def factors(layer: Layer, levels: Levels) -> tuple[Reals, Reals]:
    """Factor and addend (MH,) that map a layer's integer products to the input of its quantizer, or to the output.

    The weight rows are taken as they are, not negated.
    """
    factor, addend = layer.chain.linear.affine(len(layer.dense.weights))
    factor = factor * layer.dense.scale
    return factor * levels.scale, addend + factor * levels.offset * layer.dense.weights.sum(axis=1)


def _moved(levels: Levels, moves: tuple[Move, ...]) -> Levels:
    """The levels after `moves`: a sum over `count` pixels stands for their mean; of bipolar pixels FINN sums -1, +1."""
    for move in moves:
        if isinstance(move, Average):
            n = move.count
            levels = Levels(low=n * levels.low, high=n * levels.high, scale=levels.scale / n, offset=levels.offset)
    return levels
