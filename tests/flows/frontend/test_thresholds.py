# SPDX-License-Identifier: Apache-2.0
"""Thresholds are exactly where the model's own float32 arithmetic changes its mind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adiabit.flows.frontend import thresholds
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import levels_of
from adiabit.flows.frontend.read import read
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.stages import Kind, MatrixVector, Stream

Make = Callable[..., Any]


@given(st.data())
def test_first_reaching_finds_every_step(data: st.DataObject) -> None:
    low = data.draw(st.integers(-50, 50))
    high = low + data.draw(st.integers(0, 40))
    steps = data.draw(st.integers(1, 3))
    step = st.lists(st.integers(low, high + 1), min_size=steps, max_size=steps)
    exact = np.sort(data.draw(st.lists(step, min_size=1, max_size=4)), axis=1)

    def levels(n: Any) -> Any:
        assert n.min() >= low
        assert n.max() <= high
        return (n[..., None] >= exact).sum(axis=-1)

    np.testing.assert_array_equal(thresholds.first_reaching(levels, low, high, len(exact), steps), exact)


gammas = st.sampled_from([0.0, -0.0, 1e-30, -1.0, 1.0]) | st.floats(-3, 3, width=32)
betas = st.sampled_from([0.0, 1e30, -1e30]) | st.floats(-3, 3, width=32)
means = st.integers(-9, 9).map(float) | st.floats(-9, 9, width=32)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 99),
    channels=st.lists(st.tuples(gammas, betas, means, st.floats(0, 9, width=32)), min_size=1, max_size=4),
    columns=st.integers(1, 9),
    scale=st.sampled_from([1.0, 0.25, 0.1]),
)
def test_a_layer_equals_its_batch_norm(
    net: Make, tmp_path: Path, seed: int, channels: list[Any], columns: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = len(channels)
    weights = rng.choice([-1.0, 1.0], (rows, columns))
    model = net(1, columns).sign().dense(weights, scale).norm(*zip(*channels, strict=True)).sign()
    network = read(model.dense(np.ones((1, rows))).save(tmp_path / "net.onnx"))
    product, activation, flips = network.products[0], network.activations[1], rng.choice([-1, 1], rows)
    factor, _ = activation.edge.chain.affine(rows)
    flips = np.where(factor == 0, flips, np.where(factor < 0, -1, 1))
    sums = thresholds.of_activation(activation, levels_of(network, CompileConfig())[product.name], flips)
    exact = (sums + columns) // 2  # popcounts
    np.testing.assert_array_equal(2 * exact - columns, sums)
    assert exact.min() >= 0
    assert exact.max() <= columns + 1

    stream = Stream(name="a", shape=(columns,), bits=1, kind=Kind.BIPOLAR, lanes=1)
    out = Stream(name="b", shape=(rows,), bits=1, kind=Kind.BIPOLAR, lanes=1)
    stage = MatrixVector(
        name="fc0", inputs=(stream,), outputs=(out,), weights=flips[:, None] * weights, thresholds=exact
    )
    x = rng.choice([-1, 1], (64, columns))
    real = activation.edge.chain((np.float32(scale) * (x @ weights.T)).astype(np.float32))
    got = list(golden.stream_values(Accelerator(name="one", stages=(stage,)), x))[-1][1]
    np.testing.assert_array_equal(got, np.where(real >= 0, 1, -1))


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [(2 / 255, -1.0, 128), (1 / 128, -1.0, 128), (1.0, -3.0, 3), (1.0, 1.0, 0), (1.0, -256.0, 256)],
)
def test_the_input_threshold(net: Make, tmp_path: Path, scale: float, offset: float, expected: int) -> None:
    """Pixels from 128 on are +1 where the model wants 2/255 * x - 1; never reached is 256, always is 0."""
    network = read(net(1, 3).op("Mul", scale).op("Add", offset).sign().dense(np.ones((2, 3))).save(tmp_path / "n.onnx"))
    assert network.head is not None
    host = levels_of(network, CompileConfig())[network.input_name]
    found = thresholds.of_activation(network.head, host, np.ones(3, np.int64))
    np.testing.assert_array_equal(found, [[expected]] * 3)


def test_an_input_that_falls(net: Make, tmp_path: Path) -> None:
    """Thresholds are on the negated input then: 3 - x >= 0 where -x >= -3."""
    network = read(net(1, 3).op("Mul", -1.0).op("Add", 3.0).sign().dense(np.ones((2, 3))).save(tmp_path / "n.onnx"))
    assert network.head is not None
    host = levels_of(network, CompileConfig())[network.input_name]
    np.testing.assert_array_equal(thresholds.of_activation(network.head, host, -np.ones(3, np.int64)), [[-3]] * 3)
