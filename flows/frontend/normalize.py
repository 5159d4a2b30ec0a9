# SPDX-License-Identifier: Apache-2.0
"""Rewrites a network into operations that stages can do; each rewrite is exact.

1. Pads get the integer that stands for their value.
2. A quantizer of the input that keeps the host's integers distinct (8 bits in, 8 bits out) is dropped.
3. Sums become sums of integers (:mod:`adiabit.flows.frontend.joins`).
4. A global average of -1 and +1 before the last product moves after it: both are sums. Before it, each class would need
   its own addend (a count of +1 is not yet the sum of -1 and +1), which the last layer does not have.
5. Max pools of sums move after quantizers (:mod:`adiabit.flows.frontend.pools`).
6. Classes that differ in factor or addend are ranked by integers (:mod:`adiabit.flows.frontend.ranking`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.chain import Chain, Step
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.joins import resolve_joins
from adiabit.flows.frontend.levels import edge_levels, host_levels, levels_of
from adiabit.flows.frontend.network import Activation, Average, Edge, Filter, Network, Node, Pad
from adiabit.flows.frontend.pools import move_pools
from adiabit.flows.frontend.quantizer import Levels
from adiabit.flows.frontend.ranking import ranking
from adiabit.flows.frontend.read_checks import root
from adiabit.hw.stages import Ints, Kind


def normalize(network: Network, config: CompileConfig) -> Network:
    """The same function in the order of the stages; `UserError` if no exact order exists."""
    _check_bits(network, config)
    network = _drop_input_quantizer(_resolve_pads(network, config), config)
    network = move_pools(_move_average(resolve_joins(network, config), config))
    logits = edge_levels(network.output, levels_of(network, config))
    if not config.label_select or network.classes == 1 or logits.ordered:
        return network
    return dataclasses.replace(network, ranking=ranking(network, config))


def _check_bits(network: Network, config: CompileConfig) -> None:
    """Refuse an image of bits without a quantizer."""
    if len(network.frame) == 3 and config.input_bits == 1:
        for node in network.products:
            if root(network, node.edge.source) is None:
                node.place.refuse(
                    "reads an image of -1 and +1 without a quantizer before it; 1-bit images need one; quantize the "
                    "input with BipolarQuant, or send more than 1 bit"
                )


def host_range(network: Network, config: CompileConfig) -> tuple[Ints, npt.NDArray[np.float32]]:
    """All integers that the host can send (N,), and the reals (N, C) that the model sees for them."""
    n = host_levels(config).integers
    reals = (n.astype(np.float32) * np.float32(config.input_scale) + np.float32(config.input_offset))[:, None]
    return n, np.broadcast_to(reals, (len(n), network.channels))


def _resolve_pads(network: Network, config: CompileConfig) -> Network:
    """Give each pad its integer."""
    levels, nodes = levels_of(network, config), []
    for node in network.nodes:
        if isinstance(node, Pad):
            node = dataclasses.replace(node, level=_level(network, node, levels), inputs=(node.edge.bare(),))
        nodes.append(node)
    return dataclasses.replace(network, nodes=tuple(nodes))


def _level(network: Network, pad: Pad, found: Mapping[str, Levels]) -> int:
    """The integer that stands for the value of a pad."""
    levels = found[pad.edge.source]
    if pad.value is None:
        return levels.low
    n, channels = levels.integers, network.shape_of(pad.edge.source)[-1]
    reals = levels.reals(np.broadcast_to(n[:, None], (len(n), channels)))
    equal = np.all(pad.edge.chain(reals) == np.float32(pad.value), axis=1)
    if equal.any():
        return int(n[np.argmax(equal)])
    read = edge_levels(pad.edge, found)
    level = read.level(pad.value)
    if level is None:
        _refuse_pad(pad, read)
    return level


def _refuse_pad(pad: Pad, levels: Levels) -> NoReturn:
    scale, offset = levels.scale[0], levels.offset[0]
    if levels.bipolar:
        pad.place.refuse(
            f"pads a tensor of -{scale:g} and +{scale:g} with {pad.value:g}, which no bit stands for; "
            f"pad with {-scale:g} explicitly (F.pad(x, (1, 1, 1, 1), value={-scale:g})), then convolve "
            "without padding"
        )
    pad.place.refuse(
        f"pads with {pad.value:g}, which none of the integers {levels.low} to {levels.high} stands for (they mean "
        f"{scale:g} * integer + {offset:g}); pad before the input is scaled or shifted, or with a value "
        "that the data can have"
    )


def _drop_input_quantizer(network: Network, config: CompileConfig) -> Network:
    """Drop the input's quantizer if it maps every integer to level = a * integer + b, and nothing else reads these."""
    head = network.head
    if (
        head is None
        or head.quantizer.kind is Kind.BIPOLAR
        or any(len(network.readers[s]) > 1 for s in _before(head, network))
    ):
        return network
    n, reals = host_range(network, config)
    levels = head.reached(reals) + head.quantizer.base
    a = int(levels[1, 0] - levels[0, 0])
    b = int(levels[0, 0] - a * n[0])
    if a == 0 or np.any(levels != (a * n + b)[:, None]):
        return network
    scale = np.array([head.quantizer.scale])
    reads = dataclasses.replace(host_levels(config), scale=scale * a, offset=scale * b)
    nodes = [node for node in network.nodes if node is not head]
    return dataclasses.replace(renamed(network, nodes, {head.name: head.edge.source}), reads=reads)


def _before(head: Activation, network: Network) -> list[str]:
    """The input, and the nodes between it and its quantizer."""
    return [network.input_name, *(node.name for node in network.upstream(head.edge.source))]


def renamed(network: Network, nodes: list[Node], names: Mapping[str, str]) -> Network:
    """The network of `nodes`, in which what read one name reads another."""

    def other(edge: Edge) -> Edge:
        return dataclasses.replace(edge, source=names.get(edge.source, edge.source))

    made = tuple(dataclasses.replace(node, inputs=tuple(map(other, node.inputs))) for node in nodes)
    return dataclasses.replace(network, nodes=made, output=other(network.output))


def _move_average(network: Network, config: CompileConfig) -> Network:
    """Move a global average of integers that do not stand for their own multiples to after the last product."""
    last, output = network.last, network.output
    average = None if last is None else network.by_name.get(last.edge.source)
    if last is None or not isinstance(average, Average) or average.shape[:-1] != (1, 1):
        return network
    levels = levels_of(network, config)
    read = edge_levels(average.edge, levels)
    if not (read.bipolar or np.any(read.offset)) or len(network.readers[average.name]) > 1:
        return network
    if output.source != last.name:
        network.by_name[output.source].place.refuse("follows a global average, which leaves one pixel; remove it")
    grid = network.shape_of(average.edge.source)[:-1]
    count = np.array([average.count], np.float32)
    times = (Step.by("Mul", count, average.place),) if average.total else ()  # addends that follow are not summed
    chain = Chain(steps=(*average.edge.chain.steps, *times, *last.edge.chain.steps), opset=output.chain.opset)
    product = dataclasses.replace(
        last, inputs=(Edge(source=average.edge.source, chain=chain),), filter=Filter(kernel=(1, 1)),
        shape=(*grid, last.channels), tensor=None,
    )  # fmt: skip
    mean = dataclasses.replace(
        average, inputs=(output.bare(last.name),), shape=(1, 1, last.channels), tensor=None, total=False
    )
    nodes = [node for node in network.nodes if node not in (average, last)]
    return dataclasses.replace(
        network, nodes=(*nodes, product, mean), output=dataclasses.replace(output, source=mean.name)
    )
