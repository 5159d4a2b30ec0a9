# SPDX-License-Identifier: Apache-2.0
"""The Lightning module: loss and optimizer of a network."""

from __future__ import annotations

import lightning as L  # noqa: N812  (its customary name)
import torch
from torch import Tensor, nn

from adiabit.train.config import TrainConfig
from adiabit.train.distill import Teacher, captured
from adiabit.train.measure import pixels
from adiabit.train.trainable import Trainable


class Learner(L.LightningModule):
    """Loss and optimizer; the callback :class:`adiabit.train.anneal.Anneal` does everything that changes over time."""

    def __init__(self, net: Trainable, config: TrainConfig, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.net, self.config, self.teacher = net, config, teacher
        self.run = torch.compile(net.forward) if config.compile else net

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002  (Lightning's hook)
        """The loss of one batch: uint8 frames (B, features) or (B, H, W, C), and labels (B,)."""
        frames, labels = batch
        x = pixels(frames)
        if self.teacher is None:
            loss = self._loss(self.run(x), labels)
        else:
            with captured(self.net) as features:
                out = self.run(x)
            loss = self.teacher.loss(self._loss(out, labels), out, features, x)
        penalty = self.net.method.penalty(self.net)
        return loss if penalty is None else loss + penalty

    def _loss(self, out: Tensor, labels: Tensor) -> Tensor:
        if self.config.loss == "cross-entropy":
            return nn.functional.cross_entropy(out, labels)
        signs = nn.functional.one_hot(labels, out.shape[1]) * 2.0 - 1.0
        return nn.functional.relu(1 - signs * out).square().sum(dim=1).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The method's optimizer."""
        config = self.config
        return self.net.method.optimizer(self.net, config.optimizer, config.learning_rate, config.weight_decay)
