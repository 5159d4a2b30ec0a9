# SPDX-License-Identifier: Apache-2.0
"""Scores have the order of the logits for all sums that the last layer can reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend import ranking
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from adiabit.flows.ladder import load_rungs
from adiabit.hw import storage

Make = Callable[..., Any]


def model(net: Make, scale: Any, addend: Any, columns: int = 6) -> Any:
    """Signs, and as many classes as there are scales."""
    rng = np.random.default_rng(0)
    weights = rng.choice([-1.0, 1.0], (len(scale), columns))
    data = net(1, columns).op("Sub", 127.5).sign().dense(weights)
    return data.op("Mul", np.array(scale)).op("Add", np.array(addend))


def ordered(scale: Any, addend: Any, found: Any, sums: range) -> bool:
    """Whether every pair of classes compares alike, for all of their sums."""
    scale, addend = (np.float32(v).astype(float) for v in (scale, addend))
    return all(
        np.sign(scale[c] * u + addend[c] - scale[d] * v - addend[d])
        == np.sign(found.factors[c] * u + found.addends[c] - found.factors[d] * v - found.addends[d])
        for c, d in itertools.combinations(range(len(scale)), 2) for u in sums for v in sums
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "addend", "bits"),
    [
        ([1.0] * 3, [0.25, 0.5, 0.25], 1),  # two fractions, of which one is shared
        ([0.1] * 4, [0.3, -7.0, 0.0, 2.2], 2),
        ([-2.0] * 3, [1.0, 0.0, 5.0], 1),
        ([1.0] * 3, [2.0, 0.0, -3.0], 0),  # whole numbers
    ],
)
def test_one_factor_needs_the_rank_of_each_fraction(
    net: Make, tmp_path: Path, scale: Any, addend: Any, bits: int
) -> None:
    network = normalize(read(model(net, scale, addend).save(tmp_path / "n.onnx"), trusted=True), CompileConfig())
    assert network.ranking is not None
    assert set(np.abs(network.ranking.factors)) == {2**bits}
    assert ordered(scale, addend, network.ranking, range(-6, 7, 2))


@pytest.mark.parametrize("seed", range(6))
def test_several_factors_keep_the_order_of_all_sums(net: Make, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, addend = rng.normal(size=4), rng.normal(size=4)
    scale[seed % 4] = [0, 0.5, -1, 1e-6, 100, scale[0]][seed]
    network = normalize(read(model(net, scale, addend).save(tmp_path / "n.onnx"), trusted=True), CompileConfig())
    assert network.ranking is not None
    assert ordered(scale, addend, network.ranking, range(-6, 7, 2))


def test_ties_go_to_the_lowest_class(net: Make, tmp_path: Path) -> None:
    """0.5 n + 1 and n + 0 are equal where the second sum is half of the first, plus 1."""
    scale, addend = [0.5, 1.0, 0.5], [1.0, 0.0, 1.0]
    path = model(net, scale, addend).save(tmp_path / "n.onnx")
    network = normalize(read(path, trusted=True), CompileConfig())
    assert network.ranking is not None
    assert ordered(scale, addend, network.ranking, range(-6, 7, 2))
    compile_model(path, None, tmp_path, CompileConfig())
    assert {rung.status for rung in load_rungs(tmp_path)} == {"equal"}


def test_sums_come_out_where_nothing_ranks_them(net: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "VALUES", 10)
    scale, addend = [1.0, 0.3, -0.7], [0.1, 0.0, 2.0]
    compile_model(model(net, scale, addend).save(tmp_path / "n.onnx"), None, tmp_path, CompileConfig())
    rungs, accelerator = load_rungs(tmp_path), storage.load(tmp_path)
    assert {rung.status for rung in rungs} == {"equal"}
    assert "no integers of few bits" in rungs[0].warnings[-1]
    assert not accelerator.labels
    assert accelerator.meaning is not None
    popcounts = np.arange(7)[:, None]
    factor, offset = (np.array(v, np.float32).astype(float) for v in (scale, addend))
    want = factor * (2 * popcounts - 6) + offset
    np.testing.assert_allclose(accelerator.meaning.reals(popcounts), want, rtol=1e-12)
