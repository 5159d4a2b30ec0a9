# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: a network learns from a teacher's logits, and from what its layers see, besides the labels.

logits     T**2 * KL(softmax(t / T) || softmax(s / T)), the mean over frames; Hinton, Vinyals & Dean, arXiv 1503.02531
features   of each batch norm's output f, (B, C) or (B, C, H, W), the mean over frames of
| m(s) / |m(s)| - m(t) / |m(t)| |**2; l2: m(f) = f flattened; attention: m(f) = sum over C of f**2,
of dense layers f**2; Zagoruyko & Komodakis, ICLR 2017

loss       (1 - a) * labels + a * logits + b * sum over layers of features
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.errors import UserError
from adiabit.train.checkpoint import load_model
from adiabit.train.config import Distill
from adiabit.train.layers import Network


class Teacher:
    """A trained network that is asked, and not learnt."""

    def __init__(self, config: Distill, folder: Path, student: Network) -> None:
        """`UserError` where the teacher takes other frames, tells other classes, or has other layers."""
        self.config = config
        self.net = load_model(folder)
        ours, theirs = (student.frame, student.classes), (self.net.frame, self.net.classes)
        if ours != theirs:
            raise UserError(
                f"{folder}: takes frames {list(theirs[0])} and tells {theirs[1]} classes, the network to be trained "
                f"{list(ours[0])} and {ours[1]}; name a teacher of the same data"
            )
        shapes = [[norm.num_features for norm in norms(net)] for net in (student, self.net)]
        if config.features and shapes[0] != shapes[1]:
            raise UserError(
                f"{folder}: its layers are {shapes[1]} wide, those of the network to be trained {shapes[0]}; name a "
                "teacher of the same topology, or set [train.distill] features = 0"
            )

    def loss(self, labels: Tensor, student: Tensor, seen: list[Tensor], frames: Tensor) -> Tensor:
        """What joins the loss `labels`, given the student's logits (B, classes) and batch norms' outputs."""
        config = self.config
        self.net.to(frames.device)
        with torch.no_grad(), watched(self.net) as theirs:
            teacher = self.net(frames)
        found = (1 - config.logits) * labels
        if config.logits:
            found = found + config.logits * divergence(teacher, student, config.temperature)
        if config.features:
            terms = [distance(s, t, config.compare) for s, t in zip(seen, theirs, strict=True)]
            found = found + config.features * torch.stack(terms).sum()
        return found


def norms(net: nn.Module) -> list[Any]:
    """The batch norms in the order of the layers."""
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


@contextmanager
def watched(net: nn.Module) -> Iterator[list[Tensor]]:
    """What the batch norms put out within the context."""
    seen: list[Tensor] = []
    hooks = [norm.register_forward_hook(lambda _, __, out: seen.append(out)) for norm in norms(net)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T**2 * KL of logits (B, classes)."""
    log_teacher, log_student = (torch.log_softmax(x / temperature, dim=1) for x in (teacher, student))
    return temperature**2 * nn.functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def distance(student: Tensor, teacher: Tensor, compare: str) -> Tensor:
    """Of two layers' outputs (B, C, ...)."""
    maps = []
    for features in (student, teacher):
        if compare == "attention":
            features = features.square().sum(dim=1) if features.ndim == 4 else features.square()
        maps.append(nn.functional.normalize(features.flatten(1), dim=1))
    return (maps[0] - maps[1]).square().sum(dim=1).mean()
