# SPDX-License-Identifier: Apache-2.0
"""What a training is given, and what a resumed or a distributed training must have in common with it."""

from __future__ import annotations

import hashlib
import inspect
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import nn

from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import PLACES, DataConfig, Dataset, digest, load
from adiabit.train.models import build
from adiabit.train.source import digest as source_digest
from adiabit.train.trainable import Trainable


@dataclass(frozen=True)
class Task:
    """The tables [data], [model] and [train] of a recipe, and the module that [model] names if it exists already."""

    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    module: nn.Module | None = None

    def splits(self) -> Dataset:
        """The data set; a network may need other frames of the same elements."""
        return load(self.data)

    def network(self) -> Trainable:
        """The network with its initial weights, drawn from torch's generator."""
        return build(self.model, self.train.method, self.train.dropout, self.data.source, self.module)

    def twin(self) -> Task:
        """The real-valued twin: the same network, data and number of epochs."""
        own = self.train.model_dump(exclude={"method", "learning_rate", "weight_decay", "distill"})
        return Task(self.data, self.model, TrainConfig.model_validate({**own, "method": "real"}), self.module)

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that was cut off."""
        return {
            "data": self.data.model_dump(mode="json", exclude={*PLACES}),
            "model": self.model.portable.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "module": digest_of(self.module) if self.module is not None else source_digest(self.model),
        }

    def digest(self) -> str:
        """A digest of what all machines must have in common: the settings without paths, and the data set's files."""
        settings = self.settings
        if settings["train"]["distill"]:
            settings["train"]["distill"].pop("teacher")
        return hashlib.sha256(json.dumps([settings, digest(self.data)], sort_keys=True).encode()).hexdigest()


def digest_of(module: nn.Module) -> str:
    """A digest of a module that exists already: its structure, its source as far as it is known, and its tensors."""
    hashed = hashlib.sha256(repr(module).encode())
    for part in module.modules():
        own = {key: value for key, value in vars(part).items() if isinstance(value, bool | int | float | str | tuple)}
        with suppress(OSError, TypeError):  # a class that was typed at a prompt
            hashed.update(inspect.getsource(type(part)).encode())
        hashed.update(repr(sorted(own.items())).encode())
    for name, value in module.state_dict().items():
        hashed.update(f"\0{name}\0".encode() + value.detach().cpu().numpy().tobytes())
    return hashed.hexdigest()
