# SPDX-License-Identifier: Apache-2.0
"""A QONNX model as frozen dataclasses: the function of the float network, and the place of each node.

The network is a graph of nodes that make integers: quantizers, products with integer weights, sums, and moves of
images. The element-wise float operations of the model are on the edges between them, as ONNX nodes, so that they can be
executed.

Shapes: N rows, C channels, MH outputs and MW inputs of a product; images are (H, W, C) here and (C, H, W) in the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adiabit.flows.frontend.chain import Chain, Place, Reals
from adiabit.flows.frontend.quantizer import Levels, Quantizer
from adiabit.hw.stages import Ints

Mask = npt.NDArray[np.bool_]
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What a node reads: the integers of a node, or of the input, and the float operations on them."""

    source: str
    chain: Chain

    def bare(self, source: str | None = None) -> Edge:
        """An edge from `source`, by default the same, without float operations."""
        return Edge(source=source or self.source, chain=Chain(steps=(), opset=self.chain.opset))


@dataclass(frozen=True, kw_only=True)
class Node:
    """An operation that makes integers."""

    name: str  # of its integers
    place: Place
    inputs: tuple[Edge, ...]
    shape: Shape  # of its integers: (features,) or (H, W, C)
    tensor: str | None = None  # the tensor of the file that its integers stand for, if it is there
    last: bool = False  # whether that tensor has the channels last
    inverted: Mask | None = None  # (C,): the channels whose bits are the inverse of the tensor's

    @property
    def edge(self) -> Edge:
        """The only input."""
        (edge,) = self.inputs
        return edge

    @property
    def channels(self) -> int:
        """The last axis of the shape."""
        return self.shape[-1]

    @property
    def inversions(self) -> Mask:
        """Whether each channel's bit is inverted (C,)."""
        return np.zeros(self.channels, bool) if self.inverted is None else self.inverted


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The geometry of a convolution's window."""

    kernel: tuple[int, int]  # (KH, KW)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, kw_only=True)
class Product(Node):
    """A matrix product: value = scale * (weights @ x), one scale per output; with a filter, of each window."""

    weights: Ints  # (MH, MW); MW is (H, W, C) of a flat image, (KH, KW, C) of a window
    scale: Reals  # (MH,)
    filter: Filter | None = None
    groups: int = 1  # of channels; the weights of other groups are 0

    @property
    def own(self) -> Ints:
        """The weights (MH, MW / groups) of each row's group."""
        if self.groups == 1:
            return self.weights
        assert self.filter is not None  # noqa: S101  # a dense layer has no groups
        rows, pixels = len(self.weights), math.prod(self.filter.kernel)
        split = self.weights.reshape(rows, pixels, self.groups, -1)
        group = np.arange(rows) // (rows // self.groups)
        return split[np.arange(rows), :, group].reshape(rows, -1)

    @property
    def depthwise(self) -> bool:
        """Whether each channel of the input has one row of weights."""
        if self.filter is None or self.groups == 1:
            return False
        return self.own.shape == (self.groups, math.prod(self.filter.kernel))

    @property
    def bipolar(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool(np.all(np.abs(self.own) == 1))


@dataclass(frozen=True, kw_only=True)
class Activation(Node):
    """A quantizer, behind the float operations of its edge."""

    quantizer: Quantizer

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """The number of thresholds that the reals x (N, C) of the source reach."""
        return self.quantizer.reached(self.edge.chain(x))

    def signs(self) -> Reals:
        """Whether the output rises (1) or falls (-1) with each channel (C,) of the source, or is constant (0)."""
        return self.edge.chain.signs(self.channels)


@dataclass(frozen=True, kw_only=True)
class Selection(Activation):
    """Thresholds of `sign(chain(x) + shortcut)` for every value of the shortcut, from the highest down, as counts.

    Each value's threshold is there as often as the value is below the one before it: added to the shortcut's integer,
    the count tells by one more threshold what the sign is (:mod:`adiabit.flows.frontend.joins`).
    """

    shortcut: npt.NDArray[np.float32]  # (values, C): the reals, from the highest down
    repeats: tuple[int, ...]  # how often each value's threshold is there
    after: Chain  # float operations between the sum and its sign
    sign: Quantizer

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """The number of thresholds that the reals x (N, C) of the source reach."""
        branch = self.edge.chain(x)
        rows = [self.sign.reached(self.after(branch + value)) for value in self.shortcut]
        rising = self.after.signs(self.channels) >= 0
        reached = (np.where(rising, row, 1 - row) * times for row, times in zip(rows, self.repeats, strict=True))
        return np.asarray(sum(reached), np.int64)


@dataclass(frozen=True, kw_only=True)
class Pad(Node):
    """Rows, columns and channels of one value around an image."""

    before: tuple[int, int]  # rows above, columns on the left
    after: tuple[int, int]  # rows below, columns on the right
    around: tuple[int, int] = (0, 0)  # channels before and after those of each pixel
    value: float | None  # real; None: the lowest value, around a max pool
    level: int | None = None  # the integer that stands for the value, once known


@dataclass(frozen=True, kw_only=True)
class Pool(Node):
    """The largest value of each window; of the channels in `smallest` (C,), the smallest."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    smallest: Mask | None = None


@dataclass(frozen=True, kw_only=True)
class Average(Node):
    """The mean of each channel over windows, or their total: the sum of the window's integers."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    total: bool = False

    @property
    def count(self) -> int:
        """The number of pixels of a window."""
        return math.prod(self.kernel)


@dataclass(frozen=True, kw_only=True)
class Join(Node):
    """The sum of two inputs, whose scales are equal once the network is normalized.

    With `plain`, the sum of their integers, whatever these stand for.
    """

    plain: bool = False


@dataclass(frozen=True, kw_only=True)
class Concat(Node):
    """The channels of all inputs, one after the other."""


Move = Pad | Pool | Average


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores `factors * n + addends` (C,), which are ordered like the logits, of the integers n of the last node."""

    factors: Ints
    addends: Ints


@dataclass(frozen=True, kw_only=True)
class Network:
    """Nodes in topological order, from the input to the edge that carries the logits."""

    file: Path
    input_name: str
    input_shape: Shape  # in the file, including the batch axis
    frame: Shape  # from the host: (features,) or (H, W, C)
    nodes: tuple[Node, ...]
    output: Edge
    input_last: bool = False  # whether the file's input has the channels last
    output_last: bool = False
    reads: Levels | None = None  # of the host's integers, if the input's quantizer was dropped
    ranking: Ranking | None = None  # of the classes, if their integers are not ordered like the logits

    @property
    def features(self) -> int:
        """The number of elements of a frame."""
        return int(np.prod(self.input_shape))

    @property
    def channels(self) -> int:
        """The number of channels of the input: the last axis of `frame`."""
        return self.frame[-1]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """The nodes by name; the input is not among them."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read the integers of each node, or of the input."""
        found: dict[str, list[Node]] = {name: [] for name in (self.input_name, *self.by_name)}
        for node in self.nodes:
            for edge in node.inputs:
                found[edge.source].append(node)
        return found

    @property
    def products(self) -> list[Product]:
        """All matrix products, in order."""
        return [node for node in self.nodes if isinstance(node, Product)]

    @property
    def activations(self) -> list[Activation]:
        """All quantizers, in order."""
        return [node for node in self.nodes if isinstance(node, Activation)]

    @property
    def classes(self) -> int:
        """The number of logits of a frame, or of a pixel of the output."""
        return self.shape_of(self.output.source)[-1]

    @property
    def last(self) -> Product | None:
        """The product whose sums, or their average, become the logits; None if a quantizer ends the network."""
        end = self.by_name[self.output.source]
        before = self.by_name.get(end.edge.source) if isinstance(end, Average) else end
        return before if isinstance(before, Product) else None

    @property
    def head(self) -> Activation | None:
        """The quantizer of the input, if there is one: it reads the input through pads and pools alone."""
        reads = {self.input_name}
        for node in self.nodes:
            if node.inputs[0].source in reads:
                if isinstance(node, Activation):
                    return node
                if isinstance(node, Pad | Pool):
                    reads.add(node.name)
        return None

    def shape_of(self, name: str) -> Shape:
        """The shape of the integers of a node, or of the input."""
        return self.frame if name == self.input_name else self.by_name[name].shape

    def upstream(self, name: str) -> Iterator[Node]:
        """The node of this name, then the one before it, and so on, up to one that has several inputs or the input."""
        while name != self.input_name:
            node = self.by_name[name]
            yield node
            if len(node.inputs) > 1:
                return
            name = node.edge.source
