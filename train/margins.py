# SPDX-License-Identifier: Apache-2.0
"""Thresholds away from what a network can compute, so that no rounding decides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from adiabit.train.layers import BinaryConv2d, BinaryLinear, IntegerQuantizer

MARGIN = 1 / 16  # in steps of a norm's input; with the rounding of float32 it is more
CLOSE = 1 / 128  # the same, where a channel has several thresholds
ERROR = 2.0**-20  # of a float32 batch norm, as a share of the threshold
CANDIDATES = 256


@torch.no_grad()
def clear_thresholds(net: nn.Module) -> None:
    """Move the thresholds of the batch norms away from their inputs' grid, so that no rounding can flip what follows.

    A quantizer behind a norm changes at the norm's outputs v (`bounds`), that is at the inputs

        T = mean + (v - bias) * sqrt(var + eps) / weight

    Inputs are multiples of `grid`: sums of integers, or of a stream. One T within `MARGIN` of a multiple moves to
    `MARGIN` from it, on the side where it is, so nothing changes. (At T = x the sign is +1, which a lower T keeps for
    weight > 0 and a higher T for weight < 0.) Of several, all move by the least that brings each `CLOSE` away, or as
    far as possible. Where weight = 0, there is no T.
    """
    step = 1.0
    for module in net.modules():
        if isinstance(module, BinaryConv2d | BinaryLinear):
            quantizer = module.quantizer
            step = float(quantizer.scale(module.weight)) if isinstance(quantizer, IntegerQuantizer) else 1.0
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None:
            _clear(module, getattr(module, "grid", None) or step)


def _clear(norm: Any, grid: float) -> None:
    mean, weight = norm.running_mean.double() / grid, norm.weight.double()
    deviation = (norm.running_var.double() + norm.eps).sqrt() / grid / torch.where(weight == 0, 1.0, weight)
    bounds = torch.tensor(getattr(norm, "bounds", (0.0,)), dtype=torch.double, device=mean.device)
    thresholds = mean[:, None] + (bounds - norm.bias.double()[:, None]) * deviation[:, None]
    moves = _one(thresholds[:, 0], weight) if len(bounds) == 1 else _several(thresholds)
    norm.running_mean.copy_(torch.where(weight == 0, mean, mean + moves) * grid)


def _one(threshold: Tensor, weight: Tensor) -> Tensor:
    """The move of each channel's only threshold."""
    distance, margin = threshold - threshold.round(), MARGIN + ERROR * threshold.abs().clamp(max=1 / ERROR / 4)
    side = torch.where(distance == 0, -weight.sign(), distance.sign())
    return torch.where(distance.abs() < margin, side * margin - distance, 0.0)


def _several(thresholds: Tensor) -> Tensor:
    """The least common move of each channel's thresholds (C, n)."""
    candidates = torch.arange(-CANDIDATES // 2, CANDIDATES // 2, device=thresholds.device) / CANDIDATES
    candidates = candidates[candidates.abs().argsort(stable=True)].double()
    moved = thresholds[:, None, :] + candidates[:, None]
    margin = CLOSE + ERROR * thresholds.abs().amax(dim=1, keepdim=True)
    room = torch.minimum((moved - moved.round()).abs().amin(dim=2), margin)  # (C, candidates)
    return candidates[room.argmax(dim=1)]
