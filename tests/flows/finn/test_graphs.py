# SPDX-License-Identifier: Apache-2.0
"""Residual and dense networks: each way in which branches part and meet is equal at every rung, in every stream."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from tests.flows.finn.test_compare import all_equal, compiled

Make = Callable[..., Any]


class Branches:
    """A network with branches on 6 x 6 pixels: what a user of Brevitas would write, with random parameters."""

    def __init__(self, net: Make, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.net = net(1, 2, 6, 6)
        self.channels = 2

    @property
    def here(self) -> str:
        """The tensor at the end."""
        return str(self.net.tensor)

    def at(self, tensor: str, channels: int | None = None) -> Branches:
        """Go on at a tensor."""
        self.net.tensor = tensor
        self.channels = channels or self.channels
        return self

    def conv(self, outputs: int, kernel: int = 1, *, pad: int = 0, stride: int = 1) -> Branches:
        """A convolution of -1 and +1."""
        if pad:
            self.net.pad([0, 0, pad, pad, 0, 0, pad, pad], -1.0)
        weights = self.rng.choice([-1.0, 1.0], (outputs, self.channels, kernel, kernel))
        self.net.conv(weights, strides=[stride, stride])
        self.channels = outputs
        return self

    def norm(self, spread: float = 3.0) -> Branches:
        """A batch norm with gammas of both signs, and one of 0."""
        c = self.channels
        gamma, beta, mean = (self.rng.normal(size=c) for _ in range(3))
        gamma[-1] = 0
        self.net.norm(gamma, beta, mean * spread, (self.rng.random(c) + 0.5) * spread**2)
        return self

    def sign(self) -> Branches:
        """-1 and +1."""
        self.net.sign()
        return self

    def stream(self) -> Branches:
        """The shared quantizer of 4 bits."""
        self.net.quant(4, 0.5, signed=1)
        return self

    def start(self, channels: int = 4) -> Branches:
        """The first convolution, and its norm."""
        return self.conv(channels, 3).norm(200)

    def add(self, other: str) -> Branches:
        """The sum with another tensor."""
        self.net.node("Add", [self.here, other])
        return self

    def concat(self, other: str, channels: int) -> Branches:
        """The channels of another tensor before those of this one."""
        self.net.node("Concat", [other, self.here], axis=1)
        self.channels += channels
        return self

    def end(self, pixels: int = 16) -> Any:
        """The classes."""
        return self.net.op("Flatten").dense(self.rng.choice([-1.0, 1.0], (3, pixels * self.channels)))

    def mean(self) -> Any:
        """The classes of the mean."""
        return self.net.op("GlobalAveragePool").op("Flatten").dense(self.rng.choice([-1.0, 1.0], (3, self.channels)))


def binary_shortcut(b: Branches) -> Any:
    x = b.start().sign().here
    return b.conv(4, 3, pad=1).norm().add(x).sign().end()


def norm_after_the_sum(b: Branches) -> Any:
    x = b.start().sign().here
    y = b.conv(4).norm().add(x).norm(1).sign().here
    return b.conv(4).norm().add(y).sign().mean()


def shared_quantizer(b: Branches) -> Any:
    x = b.start().stream().here
    return b.sign().conv(4, 3, pad=1).norm().stream().add(x).stream().sign().end()


def stream_to_the_mean(b: Branches) -> Any:
    x = b.start().stream().here
    y = b.sign().conv(4).norm().stream().add(x).stream().here
    return b.norm(1).sign().conv(4).norm().stream().add(y).stream().mean()


def dense_bits(b: Branches) -> Any:
    x = b.start().sign().here
    y = b.conv(2).norm().sign().concat(x, 4).here
    return b.conv(3).norm().sign().concat(y, 6).end()


def dense_stream(b: Branches) -> Any:
    x = b.start().stream().here
    y = b.norm(1).sign().conv(2).norm().stream().concat(x, 4).here
    b.norm(1).sign().conv(2).norm().stream().concat(y, 6).net.max_pool((2, 2))
    return b.norm(1).sign().end(4)


def downsampled_by_a_convolution(b: Branches) -> Any:
    x = b.start().sign().here
    y = b.conv(6, 3, pad=1, stride=2).norm().here
    return b.at(x, 4).conv(6, stride=2).norm().sign().add(y).sign().end(4)


def downsampled_by_an_average_and_channels(b: Branches) -> Any:
    x = b.start().stream().here
    y = b.sign().conv(8, 3, pad=1, stride=2).norm().stream().here
    b.at(x, 4).net.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    b.stream().net.pad([0, 2, 0, 0, 0, 2, 0, 0], 0.0)
    b.channels = 8
    b.add(y).net.op("Sub", np.full((8, 1, 1), 0.25)).op("PRelu", np.full((8, 1, 1), 0.25)).op("Add", -0.5)
    return b.stream().sign().end(4)


def downsampled_by_a_max_pool(b: Branches) -> Any:
    x = b.start().sign().here
    y = b.conv(4, 3, pad=1, stride=2).norm().here
    b.at(x).net.max_pool((2, 2))
    return b.add(y).sign().end(4)


def sums_of_signs(b: Branches) -> Any:
    x = b.start().sign().here
    return b.conv(4).norm().sign().add(x).norm(1).sign().end()


def one_product_two_quantizers(b: Branches) -> Any:
    x = b.conv(4, 3).here
    y = b.norm(200).sign().here
    return b.at(x).norm(200).sign().concat(y, 4).end()


def averages_of_bits_and_of_sums(b: Branches) -> Any:
    b.start().sign().net.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    b.norm(1).sign().conv(4).net.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    return b.norm(1).sign().end(1)


def vectors_that_join(b: Branches) -> Any:
    x = b.start().sign().here
    y = b.conv(4).norm().sign().here
    weights = b.rng.choice([-1.0, 1.0], (2, 4, 4))
    b.at(x).net.op("GlobalAveragePool").op("Flatten").dense(weights[0])
    z = b.norm().sign().here
    b.at(y).net.op("GlobalAveragePool").op("Flatten").dense(weights[1])
    return b.norm().add(z).sign().net.dense(b.rng.choice([-1.0, 1.0], (3, 4)))


def an_addend_behind_a_total(b: Branches) -> Any:
    b.start().sign().conv(4).norm().sign().net.op("ReduceSum", np.array([2, 3]), keepdims=1)
    b.net.op("Mul", 0.125).op("Add", 0.5).op("Flatten").dense(np.ones((3, 4)) - 2 * np.eye(3, 4))
    return b.net.op("Mul", 0.25).op("Add", -3.0)


def channels_that_fall_twice(b: Branches) -> Any:
    signs, zero = np.array([-1.0, 1.0, 1.0, -1.0]), np.zeros(4)
    b.conv(4, 3).net.norm(signs, zero, zero, np.full(4, 200.0**2))
    b.stream().net.norm(signs, zero + 0.3, zero, np.ones(4))
    return b.sign().end()


GRAPHS = [
    binary_shortcut, norm_after_the_sum, shared_quantizer, stream_to_the_mean, dense_bits, dense_stream,
    downsampled_by_a_convolution, downsampled_by_an_average_and_channels, downsampled_by_a_max_pool, sums_of_signs,
    one_product_two_quantizers, averages_of_bits_and_of_sums, vectors_that_join,
    an_addend_behind_a_total, channels_that_fall_twice,
]  # fmt: skip


@pytest.mark.parametrize("make", GRAPHS)
def test_every_stream_is_equal(make: Callable[[Branches], Any], net: Make, tmp_path: Path) -> None:
    result = compiled(make(Branches(net)).save(tmp_path / "net.onnx"))
    assert all_equal(result.rungs), result.rungs
    frame = result.vectors.frames[-1].astype("int32")
    ours = dict(result.compared._golden_streams(frame))
    theirs, model = list(result.compared._finn_streams(frame)), list(result.compared._model_streams(frame))
    assert len(theirs) >= len(result.accelerator.stages) / 2
    assert len(model) >= 2  # sums and what is fused with them have no stream
    for stream, value in (*theirs, *model):
        np.testing.assert_array_equal(ours[stream], value, err_msg=stream)


def refused(path: Path, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{path}: {text}")) as caught:
        normalize(read(path), CompileConfig())
    assert "\n" not in str(caught.value)


def test_a_sum_of_unquantized_branches(net: Make, tmp_path: Path) -> None:
    b = Branches(net)
    x = b.start().sign().here
    y = b.conv(4, 3, pad=1).norm().here
    path = b.at(x).conv(4, 3, pad=1).norm().add(y).sign().end().save(tmp_path / "n.onnx")
    refused(path, "node 'add_12' (Add, 13 of 18): adds")


def test_a_sum_that_is_quantized_to_several_bits(net: Make, tmp_path: Path) -> None:
    b = Branches(net)
    x = b.start().sign().here
    path = b.conv(4).norm().add(x).stream().end().save(tmp_path / "n.onnx")
    refused(path, "node 'add_7' (Add, 8 of 13): adds")


def test_a_concatenation_of_other_scales(net: Make, tmp_path: Path) -> None:
    b = Branches(net)
    x = b.start().sign().here
    path = b.conv(4).norm().stream().concat(x, 4).end().save(tmp_path / "n.onnx")
    refused(path, "node 'concat_8' (Concat, 9 of 13): joins 't3' and 't7', whose integers stand for different values")


def test_a_concatenation_of_other_ranges(net: Make, tmp_path: Path) -> None:
    b = Branches(net)
    x = b.start().stream().here
    b.sign().conv(4).norm().net.quant(4, 0.5, signed=1, narrow=1)
    path = b.concat(x, 4).end().save(tmp_path / "n.onnx")
    refused(path, "node 'concat_9' (Concat, 10 of 14): joins 't3' and 't8', whose integers stand for different values")


def test_a_product_of_branches(net: Make, tmp_path: Path) -> None:
    b = Branches(net)
    x = b.start().sign().here
    b.conv(4).norm().sign().net.node("Mul", [b.here, x])
    refused(
        b.end().save(tmp_path / "n.onnx"), "node 'mul_8' (Mul, 9 of 13): combines two branches; only Add and Concat"
    )
