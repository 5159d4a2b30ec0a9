# SPDX-License-Identifier: Apache-2.0
"""Thresholds away from what a network can compute, so that no rounding decides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adiabit.train.absorbers import Norm
from adiabit.train.layers import BinaryActivation, Stream
from adiabit.train.trainable import Trainable
from adiabit.train.wiring import Step, grids

MARGIN = 1 / 16  # in steps of a norm's input; with the rounding of float32 it is more
CLOSE = 1 / 128  # the same, where a channel has several thresholds
ERROR = 2.0**-20  # of a float32 batch norm, as a share of the threshold
CANDIDATES = 256


@torch.no_grad()
def clear_thresholds(net: Trainable) -> None:
    """Move the thresholds of batch norms away from their inputs' grid, so that no rounding can flip what follows.

    These are norms whose inputs are multiples of a known number, however the network is trained, and that only signs
    and streams of ours read. All others stay as they are.
    """
    wiring = net.wiring()
    known = grids(wiring)
    for norm, steps in wiring.modules.items():
        if isinstance(norm, Norm) and norm.running_mean is not None and len(steps) == 1:
            grid, bounds = known[steps[0].inputs[0]], _bounds(steps[0])
            if grid and bounds:
                clear(norm, grid, bounds)


def _bounds(step: Step) -> tuple[float, ...]:
    """The values at which the quantizers behind a step change; empty where something else reads it, too."""
    found = [_bounds_of(reader, step) for reader in step.readers]
    return tuple(sorted({bound for bounds in found for bound in bounds})) if all(found) else ()


def _bounds_of(reader: Step, step: Step) -> tuple[float, ...]:
    if isinstance(reader.op, BinaryActivation):
        return (0.0,)
    if isinstance(reader.op, Stream):
        quantizer = reader.op.quantizer
        return tuple(quantizer.step * (level - 0.5) for level in range(quantizer.low + 1, quantizer.high + 1))
    if reader.keeps:
        return _bounds(reader)
    shortcut = [source for source in reader.inputs if source is not step]
    if reader.adds and len(shortcut) == 1 and shortcut[0].signs and _bounds(reader) == (0.0,):
        return (-1.0, 1.0)
    return ()


@torch.no_grad()
def clear(norm: Any, grid: float = 1.0, bounds: tuple[float, ...] = (0.0,)) -> None:
    """Move the thresholds of a norm whose inputs are multiples of `grid`.

    A quantizer behind the norm changes at the norm's outputs v (`bounds`), that is at the inputs

        T = mean + (v - bias) * sqrt(var + eps) / weight

    One T within `MARGIN` of a multiple moves to `MARGIN` from it, on the side where it is, so nothing changes. (At
    T = x the sign is +1, which a lower T keeps for weight > 0 and a higher T for weight < 0.) Of several, all move by
    the least that brings each `CLOSE` away, or as far as possible. Where weight = 0, there is no T.
    """
    mean, weight = norm.running_mean.double() / grid, norm.weight.double()
    deviation = (norm.running_var.double() + norm.eps).sqrt() / grid / torch.where(weight == 0, 1.0, weight)
    values = torch.tensor(bounds, dtype=torch.double, device=mean.device)
    thresholds = mean[:, None] + (values - norm.bias.double()[:, None]) * deviation[:, None]
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
