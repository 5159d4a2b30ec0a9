# SPDX-License-Identifier: Apache-2.0
"""Measuring a network in eval mode: logits, accuracy, batch-norm statistics.

Frames are uint8 as the host sends them, (N, features) or images (N, H, W, C): tensors, or a split that is read part by
part because it may exceed the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from adiabit.train.config import TrainConfig
from adiabit.train.data import Split

BLOCK = 2000  # frames per step
IMAGES = 250  # images per step: the output of a convolution is large


def copy_of_state(net: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


class Indexed(Protocol):
    """Frames (N, ...) that are indexed by rows: a tensor, or what reads or makes them then."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Frames:
    """The frames of a split, indexed like a tensor (N, ...); what is indexed is read."""

    split: Split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.split.read(rows.numpy()))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.split.stored.ndim


def tensors(split: Split) -> tuple[Frames, Tensor]:
    """Frames (N, ...) uint8 and labels (N,) int64."""
    return Frames(split), torch.from_numpy(split.labels)


def rounding(train: TrainConfig) -> torch.autocast:
    """A context in which products have the precision of a recipe's training."""
    return torch.autocast(train.device, torch.bfloat16, enabled=train.precision == "bfloat16")


def shuffled(count: int) -> Tensor:
    """So many rows in a fixed random order: data sets may be sorted by class."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def pixels(frames: Tensor) -> Tensor:
    """The float input of a network: (N, features) unchanged, images (N, H, W, C) as (N, C, H, W)."""
    return (frames.permute(0, 3, 1, 2) if frames.ndim == 4 else frames).float()


def block_of(frames: Indexed) -> int:
    """The number of such frames per step."""
    return IMAGES if frames.ndim == 4 else BLOCK


@torch.no_grad()
def logits(net: nn.Module, frames: Indexed) -> Tensor:
    """Frames (N, ...) uint8 -> logits (N, classes), computed in eval mode; the network's mode is restored."""
    training, device = net.training, next(net.parameters()).device
    net.eval()
    parts = torch.arange(len(frames)).split(block_of(frames))
    out = torch.cat([net(pixels(frames[part].to(device))) for part in parts])
    net.train(training)
    return out


def accuracy(net: nn.Module, frames: Indexed, labels: Tensor) -> float:
    """Share of frames whose largest logit is that of their label."""
    return float((logits(net, frames).argmax(1).cpu() == labels).float().mean())


@torch.no_grad()
def reestimate(net: nn.Module, frames: Indexed, passes: int) -> None:
    """Re-estimate the batch-norm statistics as plain averages over `passes` passes of frames (N, ...).

    Like `torch.optim.swa_utils.update_bn`, but only the batch norms leave eval mode: no dropout, no noise. The frames
    should be augmented as those of training were; benchmarks/cifar10.md tells what plain ones cost.
    """
    training, device = net.training, next(net.parameters()).device
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    order = shuffled(len(frames))  # the variances of the parts are averaged
    for _ in range(passes):
        for part in order.chunk(-(-len(frames) // block_of(frames))):  # even parts: one frame has no variance
            net(pixels(frames[part].to(device)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.train(training)
