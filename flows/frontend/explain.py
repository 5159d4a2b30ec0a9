# SPDX-License-Identifier: Apache-2.0
"""A QONNX file as the compiler reads it, layer by layer, with all that cannot be compiled at once."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from adiabit import files
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.faults import Faults
from adiabit.flows.frontend.levels import edge_levels, host_levels, levels_of
from adiabit.flows.frontend.model_file import GIVE
from adiabit.flows.frontend.network import Activation, Average, Concat, Join, Network, Node, Pad, Pool, Product, Shape
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.probe import probe
from adiabit.flows.frontend.quantizer import Levels
from adiabit.flows.frontend.read import Unread, network_of
from adiabit.hw.stages import integer_type, signed_bits

KINDS: dict[type[Node], str] = {Average: "average", Concat: "concatenation", Join: "sum", Pad: "pad", Pool: "max pool"}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One line of the table."""

    name: str  # of the node in the file
    kind: str
    shape: Shape  # of a frame, channels last
    data: str = ""  # number format of what it makes
    weights: str = ""  # number format of the weights
    xnor: int = 0  # XNOR operations a frame
    multiply: int = 0  # products of integers a frame


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The layers of a model, as far as they could be read, and a line for each fault."""

    layers: tuple[Layer, ...]
    faults: tuple[str, ...]


def explain(path: Path, config: CompileConfig, *, trusted: bool = False) -> Explanation:
    """Read and check a QONNX file to its end. A separate process reads it first, unless it is `trusted`."""
    faults, network = Faults(), None
    with faults.collected():
        if not trusted:
            probe(files.regular(path, GIVE), refusals=False)
        network = network_of(path, faults)
    if network is None:
        return Explanation(layers=(), faults=tuple(faults.lines))
    if not faults.lines:
        with faults.collected():
            normalize(network, config)
    return Explanation(layers=tuple(_layers(network, config, known=not faults.lines)), faults=tuple(faults.lines))


def _layers(network: Network, config: CompileConfig, *, known: bool) -> list[Layer]:
    """The input and the layers; `known`: whether the whole network can be compiled, so that its levels are known."""
    found = levels_of(network, config) if known else {}
    host = host_levels(config)
    first = Layer(name=network.input_name, kind="input", shape=network.frame, data=_format(host))
    return [first, *(_layer(node, found) for node in network.nodes)]


def _layer(node: Node, found: dict[str, Levels]) -> Layer:
    data = _format(found[node.name]) if node.name in found else ""
    layer = Layer(name=node.place.name, kind=KINDS.get(type(node), ""), shape=node.shape, data=data)
    if isinstance(node, Unread):
        return dataclasses.replace(layer, kind=f"{node.place.op}: not compiled", data="")
    if isinstance(node, Product):
        own = node.own
        work = own.size * math.prod(node.shape[:-1])
        kind = "dense" if node.filter is None else f"convolution {node.filter.kernel[0]} x {node.filter.kernel[1]}"
        low, high = int(own.min()), int(own.max())
        width = "1 bit" if node.bipolar else f"{signed_bits(low, high)} bits"
        xnor = node.bipolar and node.name in found and edge_levels(node.edge, found).bipolar
        counted = (work, 0) if xnor else (0, work)
        return dataclasses.replace(layer, kind=kind, weights=width, xnor=counted[0], multiply=counted[1])
    if isinstance(node, Activation):
        quantizer = node.quantizer
        kind = "sign" if quantizer.levels.bipolar else "quantizer"
        return dataclasses.replace(layer, kind=kind, data=_format(quantizer.levels))
    return layer


def _format(levels: Levels) -> str:
    """The narrowest number format of integers."""
    if levels.bipolar:
        return "-1, +1"
    kind, bits = integer_type(levels.low, levels.high)
    return f"{bits} bits {kind}"
