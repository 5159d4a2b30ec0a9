# SPDX-License-Identifier: Apache-2.0
"""A QONNX model as frozen dataclasses: the function of the float network, and the place of each node.

It keeps what the compiler needs: products with integer weights (dense layers and convolutions), the element-wise float
operations after each (as ONNX nodes, so that they can be executed), quantizers, and the moves between them: pads, pools
and averages.

Shapes: N rows, C channels, MH outputs and MW inputs of a product; images are (H, W, C) here and (C, H, W) in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from adiabit.flows.frontend.chain import Chain, Place, Reals
from adiabit.hw.stages import Ints, Kind


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Integers low...high (bipolar: only -1 and +1) that stand for the reals scale * integer + offset."""

    low: int
    high: int
    scale: float
    offset: float = 0.0
    bipolar: bool = False

    def level(self, value: float) -> int | None:
        """The integer that stands for `value`, if any."""
        n = round((value - self.offset) / self.scale)
        known = self.low <= n <= self.high and not (self.bipolar and n == 0)
        return n if known and abs(self.scale * n + self.offset - value) <= 1e-6 * abs(self.scale) else None


@dataclass(frozen=True, kw_only=True)
class Quantizer:
    """Maps floats to integer levels: -1/+1, or low + 0...2**bits - 1 in steps of `scale`."""

    place: Place
    kind: Kind
    bits: int
    scale: float  # value of one step (of +1 for bipolar)
    tensor: str  # name of the output in the model
    node: onnx.NodeProto
    low: int = 0  # the lowest level; not 0 for a signed quantizer of the input
    high: int | None = None  # the highest level, if it is not low + 2**bits - 1

    @property
    def steps(self) -> int:
        """The number of thresholds."""
        return (1 << self.bits) - 1

    def reached(self, x: npt.NDArray[np.float32]) -> Ints:
        """The number of thresholds that each x reaches, 0...steps, with QONNX's rounding (half to even)."""
        if self.kind is Kind.BIPOLAR:
            return (x >= 0).astype(np.int64)
        high = self.low + self.steps if self.high is None else self.high
        levels: Ints = np.clip(np.rint(x / np.float32(self.scale)), self.low, high).astype(np.int64) - self.low
        return levels

    @property
    def levels(self) -> Levels:
        """The levels of the output: the number of thresholds reached, or -1 and +1."""
        if self.kind is Kind.BIPOLAR:
            return Levels(low=-1, high=1, scale=self.scale, bipolar=True)
        return Levels(low=0, high=self.steps, scale=self.scale, offset=self.scale * self.low)


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Rows and columns of one value around an image."""

    place: Place
    before: tuple[int, int]  # rows above, columns on the left
    after: tuple[int, int]  # rows below, columns on the right
    value: float | None  # real; None: the lowest value, around a max pool
    preceding: Chain | None = None  # for a pad of the input: the operations before it
    level: int | None = None  # the integer that stands for the value, once known


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The largest value of each window."""

    place: Place
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Average:
    """The mean of each channel over the whole image of `count` pixels."""

    place: Place
    count: int


Move = Pad | Pool | Average


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The geometry of a convolution's window."""

    kernel: tuple[int, int]  # (KH, KW)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A matrix product: value = scale * (weights @ x), one scale per output; with a filter, of each window."""

    place: Place
    weights: Ints  # (MH, MW); MW is (H, W, C) of a flat image, (KH, KW, C) of a window
    scale: Reals  # (MH,)
    filter: Filter | None = None

    @property
    def bipolar(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A matrix product, its element-wise operations, and its quantizer, which the last layer lacks.

    `moves` come before the product. `pools` are max pools between product and quantizer, after the first `early` steps
    of the chain; `normalize` moves them after the quantizer, to the moves of the next layer. `inverted` (MH,) marks the
    channels whose bits it inverts for that.
    """

    dense: Dense
    chain: Chain
    quantizer: Quantizer | None
    moves: tuple[Move, ...] = ()
    pools: tuple[Move, ...] = ()
    early: int = 0
    inverted: npt.NDArray[np.bool_] | None = None

    @property
    def inversions(self) -> npt.NDArray[np.bool_]:
        """Whether each channel's bit is inverted (MH,)."""
        return np.zeros(len(self.dense.weights), bool) if self.inverted is None else self.inverted


@dataclass(frozen=True, kw_only=True)
class Network:
    """A chain of layers, optionally with a quantizer of the input before them."""

    file: Path
    input_name: str
    input_shape: tuple[int, ...]  # in the file, including the batch axis
    frame: tuple[int, ...]  # from the host: (features,) or (H, W, C)
    head: Chain  # operations on the input before its quantizer, or before the first product
    quantizer: Quantizer | None  # of the input
    layers: tuple[Layer, ...]
    head_moves: tuple[Move, ...] = ()  # pads and pools before the quantizer of the input, or before the first product
    tail: Average | None = None  # after the last product
    reads: Levels | None = None  # levels of the host's integers, if the input quantizer was dropped

    @property
    def features(self) -> int:
        """The number of elements of a frame."""
        return int(np.prod(self.input_shape))

    @property
    def channels(self) -> int:
        """The number of channels of the input: the last axis of `frame`."""
        return self.frame[-1]

    @property
    def quantizers(self) -> list[Quantizer]:
        """All quantizers of activations, in order."""
        found = [self.quantizer, *(layer.quantizer for layer in self.layers)]
        return [q for q in found if q is not None]
