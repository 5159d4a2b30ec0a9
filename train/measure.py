# SPDX-License-Identifier: Apache-2.0
"""Measuring a network in eval mode: logits, accuracy, batch-norm statistics.

Frames are uint8 tensors as the host sends them: (N, features), or images (N, H, W, C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.data import Split

BLOCK = 2000  # frames per step
IMAGES = 250  # images per step: the output of a convolution is large


def copy_of_state(net: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Frames (N, ...) uint8 and labels (N,) int64 as tensors."""
    return torch.from_numpy(split.frames), torch.from_numpy(split.labels)


def shuffled(frames: Tensor) -> Tensor:
    """The frames in a fixed random order: data sets may be sorted by class."""
    return frames[torch.randperm(len(frames), generator=torch.Generator().manual_seed(0))]


def pixels(frames: Tensor) -> Tensor:
    """The float input of a network: (N, features) unchanged, images (N, H, W, C) as (N, C, H, W)."""
    return (frames.permute(0, 3, 1, 2) if frames.ndim == 4 else frames).float()


def block_of(frames: Tensor) -> int:
    """The number of such frames per step."""
    return IMAGES if frames.ndim == 4 else BLOCK


@torch.no_grad()
def logits(net: nn.Module, frames: Tensor) -> Tensor:
    """Frames (N, ...) uint8 -> logits (N, classes), computed in eval mode; the network's mode is restored."""
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
    """Re-estimate the batch-norm statistics as plain averages over `passes` passes of frames (N, ...).

    Like `torch.optim.swa_utils.update_bn`, but only the batch norms leave eval mode: no dropout, no noise.
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
