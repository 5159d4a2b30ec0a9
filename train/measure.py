# SPDX-License-Identifier: Apache-2.0
"""Measuring a network in eval mode: logits, accuracy, batch-norm statistics; frames are (N, 784) uint8 tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adiabit.train.data import Split

BLOCK = 2000  # frames of one step


def copied(net: nn.Module) -> dict[str, Tensor]:
    """A network's state as it is now."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Frames (N, 784) uint8 and labels (N,) int64 as tensors."""
    return torch.from_numpy(split.frames), torch.from_numpy(split.labels)


@torch.no_grad()
def logits(net: nn.Module, frames: Tensor, block: int = BLOCK) -> Tensor:
    """(N, 784) uint8 -> (N, 10) in eval mode; the network's mode is put back."""
    training, device = net.training, next(net.parameters()).device
    net.eval()
    out = torch.cat([net(part.to(device).float()) for part in frames.split(block)])
    net.train(training)
    return out


def accuracy(net: nn.Module, frames: Tensor, labels: Tensor) -> float:
    """Share of frames whose largest logit is that of their label."""
    return float((logits(net, frames).argmax(1).cpu() == labels).float().mean())


@torch.no_grad()
def reestimate(net: nn.Module, frames: Tensor, passes: int) -> None:
    """Batch-norm statistics anew, as plain averages over `passes` of frames (N, 784).

    As `torch.optim.swa_utils.update_bn`, but nothing else than the batch norms leaves eval mode: no dropout, no noise.
    """
    training = net.training
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for _ in range(passes):
        for part in frames.chunk(-(-len(frames) // BLOCK)):  # even parts: one frame has no variance
            net(part.float())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.train(training)
