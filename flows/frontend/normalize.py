# SPDX-License-Identifier: Apache-2.0
"""Rewrites a network into operations that stages can do; each rewrite is exact.

1. A quantizer of the input that keeps the host's integers distinct (8 bits in, 8 bits out) is dropped.
2. Pads get the integer that stands for their value.
3. A max pool between a product and its quantizer moves after the quantizer. If everything after the pool rises, max and
   step commute. If it falls (gamma < 0), the step of the largest is the smallest of the steps: for bits the AND, which
   is NOT OR NOT. So such a channel is *inverted*: its stage outputs the inverse bit (with its weight row negated, so
   that this bit rises), the pool stays an OR, and the next product reads the channel with negated weights. A pad or
   another pool in between needs the true bit; a 1 x 1 convolution with -1 and +1 on its diagonal restores it first.
4. A global average before the last product moves after it: both are sums. Before it, each class would need its own
   addend (a count of +1 is not yet the sum of -1 and +1), which the last layer does not have.
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.chain import Chain
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import factors, host_levels, input_levels, layer_inputs
from adiabit.flows.frontend.network import Average, Dense, Filter, Layer, Levels, Move, Network, Pad, Quantizer
from adiabit.hw.stages import Ints, Kind


def normalize(network: Network, config: CompileConfig) -> Network:
    """The same function in the order of the stages; `UserError` if no exact order exists."""
    if len(network.frame) == 3 and config.input_bits == 1 and network.quantizer is None:
        network.layers[0].dense.place.refuse(
            "reads an image of -1 and +1 without a quantizer before it; 1-bit images need one; quantize the input with "
            "BipolarQuant, or send more than 1 bit"
        )
    network = _drop_input_quantizer(network, config)
    network = dataclasses.replace(network, head_moves=_head_moves(network, config))
    for layer in network.layers:
        _check_averages(layer)
    network = _move_average(_resolve_pads(_move_pools(network), config))
    _check_classes(network, config)
    return network


def _check_averages(layer: Layer) -> None:
    """Refuse anything but a product after a global average."""
    averages = [k for k, move in enumerate(layer.moves) if isinstance(move, Average)]
    if averages and averages[0] + 1 < len(layer.moves):
        layer.moves[averages[0] + 1].place.refuse("follows a global average, which leaves one pixel; remove it")


def _check_classes(network: Network, config: CompileConfig) -> None:
    """Refuse a last layer in which the largest accumulator need not be the largest logit."""
    last, levels = network.layers[-1], layer_inputs(network, config)[-1]
    if np.ptp(factors(last, levels)[1]):
        last.dense.place.refuse(
            f"is the last product and reads integers that stand for {levels.scale:g} * integer + {levels.offset:g}, so "
            "its classes would need different addends; the last layer has none; quantize before it"
        )


def host_range(network: Network, config: CompileConfig) -> tuple[Ints, npt.NDArray[np.float32]]:
    """All integers that the host can send (N,), and the reals (N, C) that the model sees for them."""
    host = host_levels(config)
    n = np.arange(host.low, host.high + 1, 2 if host.bipolar else 1)
    reals = (n.astype(np.float32) * np.float32(host.scale) + np.float32(host.offset))[:, None]
    return n, np.broadcast_to(reals, (len(n), network.channels))


def _drop_input_quantizer(network: Network, config: CompileConfig) -> Network:
    """Drop the input's quantizer if it maps every integer to level = a * integer + b."""
    quantizer = network.quantizer
    if quantizer is None or quantizer.kind is Kind.BIPOLAR:
        return network
    n, reals = host_range(network, config)
    levels = quantizer.reached(network.head(reals))
    a = int(levels[1, 0] - levels[0, 0])
    b = int(levels[0, 0] - a * n[0])
    if a == 0 or np.any(levels != (a * n + b)[:, None]):
        return network
    scale = quantizer.scale
    reads = dataclasses.replace(host_levels(config), scale=scale * a, offset=scale * (b + quantizer.low))
    return dataclasses.replace(network, quantizer=None, reads=reads)


def _head_moves(network: Network, config: CompileConfig) -> tuple[Move, ...]:
    """Pads and pools of the input itself, moved before the steps that precede them."""
    found: list[Move] = []
    for move in network.head_moves:
        if isinstance(move, Average):
            move.place.refuse("averages the input before any product; remove it, or average on the host")
        if isinstance(move, Pad):
            move = _resolve_input_pad(move, network, config)
        elif np.any(network.head.signs(network.channels) * config.input_scale < 0):
            move.place.refuse("pools an input that is negated before or after; only a rising input can be pooled; "
                              "negate the first weights instead")  # fmt: skip
        found.append(move)
    return tuple(found)


def _resolve_input_pad(pad: Pad, network: Network, config: CompileConfig) -> Pad:
    n, reals = host_range(network, config)
    if pad.value is None:
        return dataclasses.replace(pad, level=int(n[0]))
    assert pad.preceding is not None  # noqa: S101  # a Pad node has it; a Conv's zero padding is not among `head_moves`
    equal = np.all(pad.preceding(reals) == np.float32(pad.value), axis=1)
    if not equal.any():
        _refuse_pad(pad, host_levels(config))
    return dataclasses.replace(pad, level=int(n[np.argmax(equal)]))


def _resolve_pads(network: Network, config: CompileConfig) -> Network:
    """Give each pad before a product its integer."""
    levels, layers = input_levels(network, config), []
    for layer in network.layers:
        moves = tuple(_resolve_pad(move, levels) if isinstance(move, Pad) else move for move in layer.moves)
        layers.append(dataclasses.replace(layer, moves=moves))
        if layer.quantizer is not None:
            levels = layer.quantizer.levels
    return dataclasses.replace(network, layers=tuple(layers))


def _resolve_pad(pad: Pad, levels: Levels) -> Pad:
    level = levels.low if pad.value is None else levels.level(pad.value)
    if level is None:
        _refuse_pad(pad, levels)
    return dataclasses.replace(pad, level=level)


def _refuse_pad(pad: Pad, levels: Levels) -> NoReturn:
    if levels.bipolar:
        pad.place.refuse(
            f"pads a tensor of -{levels.scale:g} and +{levels.scale:g} with {pad.value:g}, which no bit stands for; "
            f"pad with {-levels.scale:g} explicitly (F.pad(x, (1, 1, 1, 1), value={-levels.scale:g})), then convolve "
            "without padding"
        )
    pad.place.refuse(
        f"pads with {pad.value:g}, which none of the integers {levels.low} to {levels.high} stands for (they mean "
        f"{levels.scale:g} * integer + {levels.offset:g}); pad before the input is scaled or shifted, or with a value "
        "that the data can have"
    )


def _move_pools(network: Network) -> Network:
    """Move max pools after quantizers, inverting the channels that fall after the pool."""
    layers: list[Layer] = []
    early: tuple[Move, ...] = ()
    inverted = np.zeros(0, bool)
    for layer in network.layers:
        if inverted.any() and any(not isinstance(move, Average) for move in layer.moves):
            layers.append(_restore_bits(layers[-1], early, inverted))
            early, inverted = (), np.zeros(0, bool)
        if inverted.any():
            signs = np.where(inverted, -1, 1)
            weights = layer.dense.weights * np.tile(signs, layer.dense.weights.shape[1] // len(signs))
            layer = dataclasses.replace(layer, dense=dataclasses.replace(layer.dense, weights=weights))
        inverted = _falling(layer)
        layers.append(dataclasses.replace(layer, moves=(*early, *layer.moves), inverted=inverted))
        early = layer.pools
    return dataclasses.replace(network, layers=tuple(layers))


def _falling(layer: Layer) -> npt.NDArray[np.bool_]:
    """Which channels (MH,) fall between the pools before their quantizer and the quantizer."""
    channels = len(layer.dense.weights)
    if not layer.pools:
        return np.zeros(channels, bool)
    later = Chain(steps=layer.chain.steps[layer.early :], opset=layer.chain.opset)
    falling = later.signs(channels) < 0
    quantizer = layer.quantizer
    if falling.any() and quantizer is not None and quantizer.kind is not Kind.BIPOLAR:
        layer.pools[0].place.refuse(
            f"pools before negative factors (channel {int(np.argmax(falling))}) and a quantizer of {quantizer.bits} "
            "bits; no stage takes the smallest of several levels; pool after the quantizer"
        )
    return falling


def _restore_bits(layer: Layer, early: tuple[Move, ...], inverted: npt.NDArray[np.bool_]) -> Layer:
    """A layer that restores inverted bits after the pools `early`: a 1 x 1 product with a diagonal of -1 and +1."""
    quantizer = layer.quantizer
    assert isinstance(quantizer, Quantizer)  # noqa: S101  # only bits of a quantizer are inverted
    weights = np.diag(np.where(inverted, -1, 1)).astype(np.int64)
    return Layer(
        dense=Dense(place=early[0].place, weights=weights, scale=np.ones(len(weights)), filter=Filter(kernel=(1, 1))),
        chain=Chain(steps=(), opset=layer.chain.opset),
        quantizer=quantizer,
        moves=early,
    )


def _move_average(network: Network) -> Network:
    """Move a global average before the last product to after it."""
    last = network.layers[-1]
    averages = [move for move in last.moves if isinstance(move, Average)]
    if not averages:
        return network
    average = averages[0]
    if network.tail is not None:
        network.tail.place.refuse("follows a global average, which leaves one pixel; remove it")
    dense = dataclasses.replace(last.dense, filter=Filter(kernel=(1, 1)))
    layer = dataclasses.replace(last, dense=dense, moves=last.moves[:-1])
    return dataclasses.replace(network, layers=(*network.layers[:-1], layer), tail=average)
