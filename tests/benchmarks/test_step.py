# SPDX-License-Identifier: Apache-2.0
"""The benchmark of a step runs every method beside a plain network of the same shapes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from adiabit.flows.recipe import load
from adiabit.train.config import TrainConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks/step.py"))


def test_the_table_has_each_methods_ratio(bench: dict[str, Any], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        command = ["--networks", "tfc", "--large", "--rounds", "1", "--methods", "adiabatic", "ste", "bop"]
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


def test_the_products_are_those_of_the_network(bench: dict[str, Any]) -> None:
    """A forward pass and two gradients for each layer, of the pixels none."""
    recipe = load(ROOT / "recipes/digits_conv.toml")
    found: list[str] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found.append(str(func.overloadpacket.__name__))
            return func(*args, **(kwargs or {}))

    step = bench["products"](recipe)
    with Seen():
        step()
    convolutions = sum(layer.conv is not None for layer in recipe.model.blocks)
    others = len(recipe.model.blocks) - convolutions + 1  # and the last layer
    assert found.count("convolution_backward") == convolutions
    assert found.count("mm") == 3 * others


def test_a_half_of_the_report_that_is_not_run_stays(bench: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "step.md"
    first, second = "# Cost\n| a | b |\n", bench["SECTION"] + "\n| c | d |\n"
    out.write_text(first + second)
    threads = torch.get_num_threads()
    try:
        assert bench["main"](["--networks", "--large", "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    assert out.read_text() == first + second


@pytest.mark.parametrize("fuse", [False, True])
def test_a_step_in_bfloat16_changes_every_layer(bench: dict[str, Any], fuse: bool) -> None:
    recipe = load(ROOT / "recipes/digits_conv.toml")
    train = TrainConfig.model_validate({"method": "adiabatic", "precision": "bfloat16"})
    net = bench["network"](recipe, train)
    before = [p.detach().clone() for p in net.parameters()]
    bench["step_of"](net, train, bench["batch"](recipe, 16), fuse=fuse)()
    assert not any(torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True) if p.ndim > 1)
