# SPDX-License-Identifier: Apache-2.0
"""Measuring a network in eval mode: logits, accuracy, batch-norm statistics.

Frames are uint8 tensors as the host sends them: (N, features), or images (N, H, W, C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.data import Split

BLOCK = 2000  # frames of one step
IMAGES = 250  # images of one step: a convolution's output is large


def copied(net: nn.Module) -> dict[str, Tensor]:
    """A network's state as it is now."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Frames (N, ...) uint8 and labels (N,) int64 as tensors."""
    return torch.from_numpy(split.frames), torch.from_numpy(split.labels)


def shuffled(frames: Tensor) -> Tensor:
    """The frames in a random order, always the same: data sets may be sorted by class."""
    return frames[torch.randperm(len(frames), generator=torch.Generator().manual_seed(0))]


def pixels(frames: Tensor) -> Tensor:
    """What a network takes, float: (N, features) as they are, images (N, H, W, C) as (N, C, H, W)."""
    return (frames.permute(0, 3, 1, 2) if frames.ndim == 4 else frames).float()


def block_of(frames: Tensor) -> int:
    """How many of these frames a network sees at a time."""
    return IMAGES if frames.ndim == 4 else BLOCK


@torch.no_grad()
def logits(net: nn.Module, frames: Tensor) -> Tensor:
    """Frames (N, ...) uint8 -> (N, classes) in eval mode; the network's mode is put back."""
    training, device = net.training, next(net.parameters()).device
    net.eval()
    out = torch.cat([net(pixels(part.to(device))) for part in frames.split(block_of(frames))])
    net.train(training)
    return out


def accuracy(net: nn.Module, frames: Tensor, labels: Tensor) -> float:
    """Share of frames whose largest logit is that of their label."""
    return float((logits(net, frames).argmax(1).cpu() == labels).float().mean())


@torch.no_grad()
def reestimate(net: nn.Module, frames: Tensor, passes: int) -> None:
    """Batch-norm statistics anew, as plain averages over `passes` of frames (N, ...).

    As `torch.optim.swa_utils.update_bn`, but nothing else than the batch norms leaves eval mode: no dropout, no noise.
    """
    training, device = net.training, next(net.parameters()).device
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    frames = shuffled(frames)  # the variances of the parts are averaged
    for _ in range(passes):
        for part in frames.chunk(-(-len(frames) // block_of(frames))):  # even parts: one frame has no variance
            net(pixels(part.to(device)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.train(training)
