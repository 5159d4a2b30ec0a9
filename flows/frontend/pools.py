# SPDX-License-Identifier: Apache-2.0
"""Max pools before quantizers move after them, where they compare few bits instead of sums.

If the output of the quantizer rises with what is pooled, max and step commute. If it falls (gamma < 0), the step of the
largest is the smallest of the steps: for bits the AND, which is NOT OR NOT. So such a channel is *inverted*: its stage
outputs the inverse bit, the pool stays an OR, and the next product reads the channel with negated weights. Any other
reader needs the true bit; a 1 x 1 convolution with -1 and +1 on its diagonal restores it first.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from adiabit.flows.frontend.network import Activation, Edge, Filter, Network, Node, Pad, Pool, Product
from adiabit.flows.frontend.quantizer import Quantizer
from adiabit.flows.frontend.read_checks import root
from adiabit.hw.stages import Ints, Kind


def move_pools(network: Network) -> Network:
    """The network with every max pool of sums after the quantizers that read it."""
    while pool := next((n for n in network.nodes if isinstance(n, Pool) and _early(network, n)), None):
        network = _moved(network, pool)
    for node in network.nodes:
        if node.inverted is not None and isinstance(node, Pool):
            network = _true_bits(network, node)
    return network


def _early(network: Network, pool: Pool) -> bool:
    """Whether a pool of sums, or of falling values, is read by quantizers alone."""
    readers = network.readers[pool.name]
    if readers and all(isinstance(node, Activation) for node in readers) and network.output.source != pool.name:
        return pool.smallest is not None or isinstance(root(network, pool.edge.source), Product)
    if pool.smallest is not None and not any(isinstance(node, Pool) for node in readers):
        pool.place.refuse(f"pools before negative factors (channel {int(np.argmax(pool.smallest))}) without a "
                          "quantizer after them; quantize after the pool")  # fmt: skip
    return False


def _moved(network: Network, pool: Pool) -> Network:
    """The network with a pool after each quantizer that reads it."""
    before = network.by_name.get(pool.edge.source)
    pad = before if isinstance(before, Pad) and before.value is None else None
    nodes: list[Node] = []
    for node in network.nodes:
        if node is pool or node is pad:
            continue
        if isinstance(node, Activation) and node.edge.source == pool.name:
            nodes += _behind(network, (pad, pool), node)
        else:
            nodes.append(node)
    return dataclasses.replace(network, nodes=tuple(nodes))


def _behind(network: Network, pooling: tuple[Pad | None, Pool], activation: Activation) -> list[Node]:
    """A quantizer, and the pool after it, under the quantizer's name, with the pool's own padding."""
    pad, pool = pooling
    signs, smallest = activation.signs(), pool.smallest
    falling = (signs < 0) ^ (np.zeros(len(signs), bool) if smallest is None else smallest & (signs != 0))
    quantizer = activation.quantizer
    if activation.tensor is None and np.any(activation.inversions != falling):  # a pool has moved after it already
        pool.place.refuse(
            "is one of several pools before a quantizer, with other operations in between; pools must be adjacent; "
            "pool once, or after the quantizer"
        )
    if falling.any() and quantizer.kind is not Kind.BIPOLAR:
        pool.place.refuse(
            f"pools before negative factors (channel {int(np.argmax(falling))}) and a quantizer of {quantizer.bits} "
            "bits; no stage takes the smallest of several levels; pool after the quantizer"
        )
    name = f"{activation.name}/unpooled"
    source = pool.edge.source if pad is None else pad.edge.source
    first = dataclasses.replace(
        activation, name=name, inputs=(dataclasses.replace(activation.edge, source=source),), tensor=None,
        shape=network.shape_of(source), inverted=falling if falling.any() else None,
    )  # fmt: skip
    plain = activation.edge.bare(name)
    found: list[Node] = [first]
    if pad is not None:
        found.append(dataclasses.replace(pad, name=f"{name}/pad", inputs=(plain,), level=quantizer.levels.low))
        plain = dataclasses.replace(plain, source=f"{name}/pad")
    last = dataclasses.replace(
        pool, name=activation.name, inputs=(plain,), smallest=None, tensor=activation.tensor, inverted=first.inverted
    )
    return [*found, last]


def _true_bits(network: Network, pool: Pool) -> Network:
    """The network whose readers of a pool's inverted bits see the true ones."""
    readers = [node for node in network.readers[pool.name] if not (isinstance(node, Pool) and node.inversions.any())]
    signs = np.where(pool.inversions, -1, 1)
    if all(isinstance(node, Product) for node in readers):
        nodes = (_negated(n, signs) if n in readers and isinstance(n, Product) else n for n in network.nodes)
        return dataclasses.replace(network, nodes=tuple(nodes))
    name = f"{pool.name}/restored"
    made = [
        dataclasses.replace(n, inputs=tuple(_from(edge, pool.name, name) for edge in n.inputs)) if n in readers else n
        for n in network.nodes
    ]
    at = made.index(pool) + 1
    return dataclasses.replace(network, nodes=(*made[:at], *_restoring(pool, name, signs), *made[at:]))


def _from(edge: Edge, old: str, new: str) -> Edge:
    return dataclasses.replace(edge, source=new) if edge.source == old else edge


def _negated(product: Product, signs: Ints) -> Product:
    """A product that reads channels with these signs."""
    return dataclasses.replace(
        product, weights=product.weights * np.tile(signs, product.weights.shape[1] // len(signs))
    )


def _restoring(pool: Pool, name: str, signs: Ints) -> list[Node]:
    """A 1 x 1 product with `signs` on its diagonal, and the signs of its sums."""
    product = Product(
        name=f"{name}/sums", place=pool.place, inputs=(pool.edge.bare(pool.name),), shape=pool.shape,
        weights=np.diag(signs), scale=np.ones(len(signs)), filter=Filter(kernel=(1, 1)),
    )  # fmt: skip
    bits = Quantizer(kind=Kind.BIPOLAR, bits=1, scale=1.0)
    edge = pool.edge.bare(product.name)
    return [product, Activation(name=name, place=pool.place, inputs=(edge,), shape=pool.shape, quantizer=bits)]
