# SPDX-License-Identifier: Apache-2.0
"""Modules as users write them, for tests: source text of a file, and classes."""

from __future__ import annotations

import brevitas.nn as qnn
import torch
from torch import Tensor, nn
from torch.nn import functional

from adiabit import nn as ann


class Functional(nn.Module):
    """Layers of ours, joined by functions; its modules are registered in another order than they are called in."""

    def __init__(self, width: int = 6, classes: int = 4) -> None:
        super().__init__()
        self.last = ann.BinaryLinear(width * 9, classes)
        self.scale = ann.TensorNorm(width * 9)
        self.norm2, self.norm1 = nn.BatchNorm2d(width), ann.RisingNorm2d(width)
        self.sign1, self.sign2 = ann.BinaryActivation(), ann.BinaryActivation()
        self.conv2, self.conv1 = ann.BinaryConv2d(width, width, 3), ann.BinaryConv2d(2, width, 3, padding=1)
        self.pad = ann.Pad(1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 6, 6) -> (B, classes)."""
        x = self.sign1(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        y = self.norm2(self.conv2(self.pad(x)))
        x = self.sign2(y + x)
        return self.scale(self.last(x.flatten(1)))  # type: ignore[no-any-return]


class Mixed(nn.Module):
    """A layer of ours between layers of Brevitas' own quantizers."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.first = qnn.QuantConv2d(2, 4, 3, bias=False, weight_bit_width=4)
        self.norm1, self.relu = nn.BatchNorm2d(4), qnn.QuantReLU(bit_width=2)
        self.own = ann.BinaryConv2d(4, 4, 3)
        self.norm2, self.sign = nn.BatchNorm2d(4), ann.BinaryActivation()
        self.last = qnn.QuantLinear(16, classes, bias=True, weight_bit_width=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 6, 6) -> (B, classes)."""
        x = self.relu(self.norm1(self.first(x)))
        return self.last(torch.flatten(self.sign(self.norm2(self.own(x))), 1))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A plain residual block, in functions."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.down: nn.Module = nn.Identity()
        if inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ...)."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        y += self.down(x)
        return functional.relu(y)


class PlainResNet(nn.Module):
    """A plain residual network that scales its pixels and ends with a log softmax."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, 4, 5, stride=3), nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(Block(4, 4), Block(4, 6, 2))
        self.fc = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, classes)."""
        x = self.blocks(functional.relu(self.norm(self.conv(x / 255))))
        x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return functional.log_softmax(self.fc(x), dim=1)


class PlainCnn(nn.Sequential):
    """A plain convolutional network: with and without batch norms, pools behind activations, a dropout."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4),
            nn.Conv2d(4, 6, 3, padding="same"), nn.BatchNorm2d(6), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(54, 12), nn.Sigmoid(), nn.Dropout(0.1), nn.Linear(12, classes),
        )  # fmt: skip


class TwoBits(nn.Sequential):
    """A dense network of plain Brevitas, of 2 bits."""

    def __init__(self, features: int = 784, classes: int = 10) -> None:
        super().__init__(
            nn.Flatten(), qnn.QuantLinear(features, 8, bias=False, weight_bit_width=2), nn.BatchNorm1d(8),
            qnn.QuantReLU(bit_width=2), qnn.QuantLinear(8, classes, bias=True, weight_bit_width=2),
        )  # fmt: skip


class Small(nn.Sequential):
    """A small network of ours, for digits."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(
            ann.BinaryConv2d(1, width, 4, stride=4), nn.BatchNorm2d(width), ann.BinaryActivation(),
            ann.Residual(nn.Sequential(ann.Pad(1), ann.BinaryConv2d(width, width, 3), nn.BatchNorm2d(width))),
            nn.Flatten(), ann.BinaryLinear(width * 49, 10), ann.TensorNorm(width * 49),
        )  # fmt: skip


class Unbuildable(nn.Module):
    """With a softmax in the middle and a bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.sign = ann.BinaryConv2d(1, 2, 4, stride=4), nn.BatchNorm2d(2), ann.BinaryActivation()
        self.fc = ann.BinaryLinear(2 * 14 * 14, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 28, 28) -> (B, 10)."""
        x = torch.softmax(self.norm(self.conv(x)), 1)
        x = functional.interpolate(x, scale_factor=2, mode="bilinear")
        return self.fc(self.sign(x).flatten(1))  # type: ignore[no-any-return]
