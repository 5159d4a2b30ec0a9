# SPDX-License-Identifier: Apache-2.0
"""What reads what, however a module is written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from adiabit import nn as ann
from adiabit.train.wiring import behind, exact, grids, wired
from tests.train.own_networks import Functional, Mixed, TwoBits


def names(net: nn.Module, x: Tensor) -> list[str]:
    return [step.op if isinstance(step.op, str) else type(step.op).__name__ for step in wired(net, x)]


def test_steps_come_in_the_order_of_execution_and_are_modules_or_functions() -> None:
    net = Functional()
    assert names(net, torch.zeros(1, 2, 6, 6)) == [
        "input", "BinaryConv2d", "max_pool2d", "RisingNorm2d", "BinaryActivation", "Pad", "BinaryConv2d", "BatchNorm2d",
        "add", "BinaryActivation", "flatten", "BinaryLinear", "TensorNorm",
    ]  # fmt: skip
    assert net.training
    assert int(net.norm1.num_batches_tracked) == 0  # type: ignore[arg-type]  # the run was in eval mode


def test_a_sequential_of_modules_is_wired_like_functions() -> None:
    net = nn.Sequential(ann.Residual(nn.Sequential(ann.BinaryLinear(4, 4), nn.BatchNorm1d(4))), nn.Flatten())
    steps = wired(net, torch.zeros(1, 4)).steps
    assert [step.op for step in steps if step.adds] == ["add"]
    (add,) = (step for step in steps if step.adds)
    assert add.inputs == (steps[2], steps[0])  # the branch, then the shortcut
    assert len(steps[0].readers) == 2
    assert steps[0].only_reader is None


def test_what_is_behind_a_step_is_past_what_only_moves_values() -> None:
    net = Functional()
    wiring = wired(net, torch.zeros(1, 2, 6, 6))
    (conv,) = wiring.of(net.conv1)
    reader = behind(conv)
    assert reader is not None
    assert reader.op is net.norm1
    (sign,) = wiring.of(net.sign1)
    assert behind(sign) is None  # two read it


@pytest.mark.parametrize(
    ("net", "shape", "expected"),
    [
        (Functional(), (2, 6, 6), {"conv1": 1.0, "conv2": 1.0, "norm1": None, "last": 1.0}),
        (Mixed(), (2, 6, 6), {"first": None, "own": None, "last": None}),
    ],
)
def test_grids_are_known_where_values_are_integers(
    net: nn.Module, shape: tuple[int, ...], expected: dict[str, float | None]
) -> None:
    wiring = wired(net, torch.zeros(1, *shape))
    known, modules = grids(wiring), dict(net.named_modules())
    for name, grid in expected.items():
        (step,) = wiring.of(modules[name])
        assert known[step] == grid, name


def test_float32_is_exact_for_integers_alone() -> None:
    assert exact(wired(Functional(), torch.zeros(1, 2, 6, 6)))
    assert not exact(wired(TwoBits(), torch.zeros(1, 1, 28, 28)))

    class Scaled(Functional):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x / 255)

    assert not exact(wired(Scaled(), torch.zeros(1, 2, 6, 6)))
