# SPDX-License-Identifier: Apache-2.0
"""What a training is given, and what a resumed or a distributed training must have in common with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import PLACES, DataConfig, Dataset, digest, load
from adiabit.train.network import Network


@dataclass(frozen=True)
class Task:
    """The tables [data], [model] and [train] of a recipe."""

    data: DataConfig
    model: ModelConfig
    train: TrainConfig

    def splits(self) -> Dataset:
        """The data set in frames of the network's shape."""
        return load(self.data).shaped(self.model.frame(self.data.source.shape))

    def network(self) -> Network:
        """The network with its initial weights, drawn from torch's generator."""
        source = self.data.source
        frame = self.model.frame(source.shape)
        return Network(self.model, self.train.method, self.train.dropout, frame=frame, classes=source.classes)

    def twin(self) -> Task:
        """The real-valued twin: the same network, data and number of epochs."""
        own = self.train.model_dump(exclude={"method", "learning_rate", "weight_decay", "distill"})
        return Task(self.data, self.model, TrainConfig.model_validate({**own, "method": "real"}))

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that was cut off."""
        data = self.data.model_dump(mode="json", exclude={*PLACES})
        return {"data": data, "model": self.model.model_dump(mode="json"), "train": self.train.model_dump(mode="json")}

    def digest(self) -> str:
        """A digest of what all machines must have in common: the settings without paths, and the data set's files."""
        settings = self.settings
        if settings["train"]["distill"]:
            settings["train"]["distill"].pop("teacher")
        return hashlib.sha256(json.dumps([settings, digest(self.data)], sort_keys=True).encode()).hexdigest()
