# SPDX-License-Identifier: Apache-2.0
"""Plain networks become binary ones: order, padding, initial weights, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import adiabit
from adiabit import nn as ann
from adiabit.errors import UserError
from adiabit.train.binarize import STD
from adiabit.train.layers import IntegerQuantizer
from adiabit.train.wiring import wired
from tests.train.own_networks import PlainCnn, PlainResNet


def order(module: nn.Module, shape: tuple[int, ...]) -> list[str]:
    steps = wired(module, torch.zeros(2, *shape)).steps
    return [step.op if isinstance(step.op, str) else type(step.op).__name__ for step in steps]


def test_the_order_is_that_of_the_hardware() -> None:
    torch.manual_seed(0)
    made = adiabit.binarize(PlainCnn(), (1, 28, 28))
    assert order(made.module, (1, 28, 28)) == [
        "input", "BinaryConv2d", "MaxPool2d", "RisingNorm2d", "BinaryActivation",
        "Pad", "BinaryConv2d", "MaxPool2d", "RisingNorm2d", "BinaryActivation", "Flatten",
        "BinaryLinear", "BatchNorm1d", "BinaryActivation", "Dropout", "BinaryLinear", "TensorNorm",
    ]  # fmt: skip
    pads = [m.padding for m in made.module.modules() if isinstance(m, ann.BinaryConv2d)]
    assert pads == [(1, 1), (0, 0)]  # pixels are padded with 0, signs with -1
    assert [m.value for m in made.module.modules() if isinstance(m, ann.Pad)] == [-1.0]


def test_sums_of_branches_get_a_sign_and_shortcuts_too() -> None:
    made = adiabit.binarize(PlainResNet(), (1, 28, 28))
    steps = order(made.module, (1, 28, 28))
    assert steps[-5:] == ["BinaryActivation", "Mean", "Flatten", "BinaryLinear", "TensorNorm"]
    for step in wired(made.module, torch.zeros(2, 1, 28, 28)):
        if step.adds:
            assert [type(source.op).__name__ for source in step.inputs] == ["BatchNorm2d", "BinaryActivation"]
            assert {type(reader.op) for reader in step.readers} == {ann.BinaryActivation}
    assert steps.count("add") == 2


def test_every_replacement_is_told() -> None:
    made = adiabit.binarize(PlainCnn(), (1, 28, 28), first_bits=4, last_bits=8)
    lines = [" ".join(line.split()) for line in str(made).splitlines()]
    assert lines == [
        "layer plain binary",
        "0 Conv2d BinaryConv2d of 4 bits its bias is left to the batch norm",
        "0 RisingNorm2d added",
        "1 ReLU BinaryActivation",
        "2 MaxPool2d MaxPool2d before the batch norm, whose weights stay positive",
        "3 Conv2d BinaryConv2d its bias is left to the batch norm; padded with -1",
        "4 BatchNorm2d BatchNorm2d",
        "5 Tanh BinaryActivation",
        "6 MaxPool2d MaxPool2d before the batch norm, whose weights stay positive",
        "8 Linear BinaryLinear its bias is left to the batch norm",
        "8 BatchNorm1d added",
        "9 Sigmoid BinaryActivation",
        "10 Dropout Dropout",
        "11 Linear BinaryLinear of 8 bits, TensorNorm without its bias",
    ]
    products: list[Any] = [m for m in made.module.modules() if isinstance(m, ann.BinaryConv2d | ann.BinaryLinear)]
    bits = [m.quantizer.bits for m in products if isinstance(m.quantizer, IntegerQuantizer)]
    assert bits == [4, 8]


def test_latent_weights_start_as_the_plain_ones_and_those_stay() -> None:
    torch.manual_seed(0)
    net: Any = PlainCnn()
    with torch.no_grad():
        net[4].weight.copy_(torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0, 6.0]))
        net[4].bias.normal_()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made: Any = adiabit.binarize(net, (1, 28, 28)).module
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    first, second = (m for m in made.modules() if isinstance(m, ann.BinaryConv2d))
    for weight in (first.weight, second.weight):
        assert weight.std(unbiased=False).item() == pytest.approx(STD, rel=0.01)
    torch.testing.assert_close(first.weight / STD, net[0].weight / net[0].weight.std(unbiased=False))
    norm = made.get_submodule("4")
    assert norm.weight.tolist() == [1, 2, 3, 4, 5, 6]  # what fell rises, and the rows turn
    torch.testing.assert_close(norm.bias, net[4].bias)
    turned = net[3].weight * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]).view(-1, 1, 1, 1)
    torch.testing.assert_close(second.weight / STD, turned / net[3].weight.std(unbiased=False))


def test_pixels_may_become_signs() -> None:
    made = adiabit.binarize(PlainCnn(), (1, 28, 28), input_bits=1)
    assert order(made.module, (1, 28, 28))[1:4] == ["PixelSign", "Pad", "BinaryConv2d"]


class Written(nn.Module):
    """A network in functions: views, means, pools, concatenations, a product without activation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.norm, self.fc1, self.fc2 = nn.BatchNorm2d(8), nn.Linear(8 * 4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 10, 10) -> (B, 3)."""
        x = torch.relu(self.a((x - 127.5) / 127.5))
        x = self.norm(torch.cat([self.b(x), self.c(x).tanh()], dim=1))
        x = functional.avg_pool2d(x, 4)
        x = self.fc1(x.view(x.size(0), -1))
        x = functional.dropout(functional.leaky_relu(x, 0.1), 0.25, self.training)
        return torch.softmax(self.fc2(x), -1)


def test_functions_are_replaced_like_modules() -> None:
    made = adiabit.binarize(Written(), (2, 10, 10))
    assert order(made.module, (2, 10, 10)) == [
        "input", "BinaryConv2d", "BatchNorm2d", "BinaryActivation", "BinaryConv2d", "BinaryConv2d", "BatchNorm2d",
        "BinaryActivation", "BatchNorm2d", "BinaryActivation", "cat", "AvgPool2d", "BinaryActivation", "Flatten",
        "BinaryLinear", "BatchNorm1d", "BinaryActivation", "Dropout", "BinaryLinear", "TensorNorm",
    ]  # fmt: skip
    told = {r.plain: (r.binary, r.note) for r in made.replacements}
    assert told["sub()"] == ("", "the first batch norm absorbs it")
    assert told["softmax()"] == ("", "behind the last layer")
    assert told["BatchNorm2d"] == ("", "what it reads is -1 and +1")


def test_a_convolution_may_end_the_network() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert order(adiabit.binarize(net, (1, 8, 8)).module, (1, 8, 8))[-4:] == [
        "BinaryConv2d", "TensorNorm", "Mean", "Flatten",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("net", "told"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Upsample(scale_factor=2), nn.Softmax(1), nn.Flatten(),
                          nn.Linear(288, 3)),
            "net: 2 layers have no binary form: 1 (Upsample): no binary layer does this; remove it, or use the layers "
            "of adiabit.nn yourself; 2 (Softmax): no binary layer does this; ",
        ),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), "net: 1 layer has no binary form: output (output()): the network m"),
        (nn.Sequential(nn.Conv2d(1, 2, 2, padding="same"), nn.Flatten(), nn.Linear(128, 3)),
         "net: 1 layer has no binary form: 0 (Conv2d): its padding is not the same number of zeros on both sides"),
        (nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(128, 3)),
         "net: 1 layer has no binary form: 0 (Conv2d): its padding is not the same number of zeros"),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(124, 3)),
         "net: 1 layer has no binary form: 1 (Conv1d): no binary layer does this"),
        (nn.Linear(7, 3), "net: torch.fx cannot trace it (RuntimeError"),
    ],
)  # fmt: skip
def test_what_has_no_binary_form_is_told_at_once(net: nn.Module, told: str) -> None:
    with pytest.raises(UserError) as caught:
        adiabit.binarize(net, (1, 8, 8), place="net")
    assert str(caught.value).startswith(told)


def test_a_forward_that_depends_on_data_is_told() -> None:
    class Branching(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return super().forward(input) if input.sum() > 0 else input

    with pytest.raises(UserError, match=r"net: torch.fx cannot trace it \(TraceError.*; write a forward without"):
        adiabit.binarize(Branching(8, 3), (8,), place="net")
