# SPDX-License-Identifier: Apache-2.0
"""Knowledge distillation: besides the labels, a network learns from the logits and the features of a teacher.

    logits     T**2 * KL(softmax(t / T) || softmax(s / T)), the mean over frames; Hinton, Vinyals & Dean,
               arXiv 1503.02531
    features   for each batch norm's output f, (B, C) or (B, C, H, W), the mean over frames of
               | m(s) / |m(s)| - m(t) / |m(t)| |**2; l2: m(f) = f flattened; attention: m(f) = sum over C of f**2, or
               f**2 in dense layers; Zagoruyko & Komodakis, ICLR 2017
    loss       (1 - a) * labels + a * logits + b * sum over layers of features

s is the student's output and t the teacher's.
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
from adiabit.train.task import Task
from adiabit.train.trainable import Trainable


class Teacher:
    """A trained network that is queried, not trained."""

    def __init__(self, config: Distill, folder: Path, student: Trainable, task: Task | None = None) -> None:
        """`UserError` where the teacher has other frames, classes or layers than the student.

        If it is a module of one's own, it must be the one of the student's `task`.
        """
        self.config = config
        self.net = load_model(folder, task.model, task.module) if task else load_model(folder)
        data = [(list(net.frame), net.classes) for net in (student, self.net)]
        if data[0] != data[1]:
            raise UserError(
                f"{folder}: the teacher takes frames {data[1][0]} and has {data[1][1]} classes, but the student takes "
                f"{data[0][0]} and has {data[0][1]}; name a teacher that was trained on the same data"
            )
        widths = [[norm.num_features for norm in norms(net)] for net in (student, self.net)]
        if config.features and widths[0] != widths[1]:
            raise UserError(
                f"{folder}: the teacher's layers have widths {widths[1]}, but the student's have {widths[0]}; name a "
                "teacher of the same topology, or set [train.distill] features = 0"
            )

    def loss(self, labels: Tensor, student: Tensor, features: list[Tensor], frames: Tensor) -> Tensor:
        """The whole loss, given that of the labels and the student's logits (B, classes) and batch-norm outputs."""
        config = self.config
        self.net.to(frames.device)
        with torch.no_grad(), captured(self.net) as own:
            teacher = self.net(frames)
        found = (1 - config.logits) * labels
        if config.logits:
            found = found + config.logits * divergence(teacher, student, config.temperature)
        if config.features:
            terms = [distance(s, t, config.compare) for s, t in zip(features, own, strict=True)]
            found = found + config.features * torch.stack(terms).sum()
        return found


def norms(net: nn.Module) -> list[Any]:
    """The batch norms in the order of the layers."""
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


@contextmanager
def captured(net: nn.Module) -> Iterator[list[Tensor]]:
    """A list that collects the outputs of the batch norms within the context."""
    outputs: list[Tensor] = []
    hooks = [norm.register_forward_hook(lambda _, __, out: outputs.append(out)) for norm in norms(net)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T**2 * KL of the softened logits (B, classes), the mean over frames."""
    log_teacher, log_student = (torch.log_softmax(x / temperature, dim=1) for x in (teacher, student))
    return temperature**2 * nn.functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def distance(student: Tensor, teacher: Tensor, compare: str) -> Tensor:
    """The distance of two layers' features (B, C, ...), the mean over frames."""
    maps = []
    for features in (student, teacher):
        if compare == "attention":
            features = features.square().sum(dim=1) if features.ndim == 4 else features.square()
        maps.append(nn.functional.normalize(features.flatten(1), dim=1))
    return (maps[0] - maps[1]).square().sum(dim=1).mean()
