# SPDX-License-Identifier: Apache-2.0
"""The batches of an epoch, augmented."""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L  # noqa: N812  (its customary name)
import torch
from torch import Tensor

from adiabit.errors import UserError
from adiabit.train.anneal import EPOCHS, FAR
from adiabit.train.augment import Augmentation
from adiabit.train.config import TrainConfig
from adiabit.train.data import Split
from adiabit.train.distributed import rank, size
from adiabit.train.measure import tensors


class Batches:
    """The training split; seed and epoch alone determine the order. Each process has its part of a batch."""

    def __init__(
        self, split: Split, augmentation: Augmentation, config: TrainConfig, learner: L.LightningModule
    ) -> None:
        self.frames, self.labels = tensors(split)
        self.augmentation, self.config, self.learner = augmentation, config, learner
        if len(self.labels) < config.batch_size:
            raise UserError(f"recipe: [train]: batch_size = {config.batch_size} exceeds the {len(self.labels)} "
                            "training frames; choose a smaller one")  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels) // self.config.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        seed = self.config.seed * EPOCHS + self.learner.current_epoch
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.labels), generator=generator)
        if rank():
            generator.manual_seed(seed + rank() * FAR)
        for batch in order.split(self.config.batch_size)[: len(self)]:
            rows = batch[rank() :: size()]
            yield self.augmentation(self.frames[rows], generator), self.labels[rows]
