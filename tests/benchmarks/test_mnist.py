# SPDX-License-Identifier: Apache-2.0
"""The recipes of MNIST train as the benchmark that measures them; a run's folder is its settings' own."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from adiabit.flows.recipe import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mnist() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks/mnist.py"))


@pytest.mark.parametrize("network", ["tfc", "sfc", "lfc"])
def test_recipes_train_as_the_benchmark(mnist: dict[str, Any], network: str) -> None:
    recipe = load(ROOT / f"recipes/{network}.toml", ["train.threads=1"])
    config = mnist["Run"](network, "adiabatic", 0).config()
    assert recipe.model.topology == network
    assert recipe.train == config.model_copy(update={"threads": 1})


def test_other_settings_have_another_folder(mnist: dict[str, Any], tmp_path: Path) -> None:
    run = mnist["Run"]("tfc", "adiabatic", 0)
    before = run.folder(tmp_path)
    mnist["NETWORKS"]["tfc"]["epochs"] += 1
    assert run.folder(tmp_path) != before
