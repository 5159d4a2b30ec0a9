# SPDX-License-Identifier: Apache-2.0
"""The benchmark of a step runs every method beside a plain network of the same shapes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adiabit.flows.recipe import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks/step.py"))


def test_the_table_has_each_methods_ratio(bench: dict[str, Any], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        command = ["--networks", "tfc", "--rounds", "1", "--methods", "adiabatic", "ste", "bop"]
        assert bench["main"]([*command, "--out", str(tmp_path / "step.md")]) == 0
    finally:
        torch.set_num_threads(threads)
    rows = [line for line in (tmp_path / "step.md").read_text().splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "plain PyTorch, milliseconds", "adiabatic", "ste", "bop", "adiabatic by ste",
    ]  # fmt: skip
    assert all(float(row.split("|")[2]) > 0 for row in rows[2:])


@pytest.mark.parametrize("name", ["tfc", "digits_conv"])
def test_the_plain_network_has_the_same_shapes(bench: dict[str, Any], name: str) -> None:
    recipe = load(ROOT / f"recipes/{name}.toml")
    step = bench["plain"](recipe, 8)
    net, ours = step.__closure__, load(ROOT / f"recipes/{name}.toml").model
    (plain,) = (cell.cell_contents for cell in net if isinstance(cell.cell_contents, nn.Module))
    products = [m for m in plain.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [m.weight.shape[0] for m in products] == [*ours.hidden, 10]
    assert all(type(m).__module__.startswith("torch.nn") for m in plain.modules())
    before = products[0].weight.detach().clone()
    step()
    assert not torch.equal(products[0].weight, before)
