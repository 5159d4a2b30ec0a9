# SPDX-License-Identifier: Apache-2.0
"""The `[train]` table of a recipe, and what must hold between it, the data and the model.

Importing this imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from adiabit.errors import UserError
from adiabit.train.data import DataConfig
from adiabit.train.methods import METHODS, MethodConfig
from adiabit.train.methods.adiabatic import Adiabatic
from adiabit.train.table import MOST, Count, Factor, Pads, Seed, Share, Table
from adiabit.train.topology import ModelConfig

__all__ = ["DataConfig", "Distill", "ModelConfig", "TrainConfig", "check_sizes"]

Processes = Annotated[int, Field(ge=1, le=1024)]


class Distill(Table):
    """Knowledge distillation from a teacher; `train/distill.py` has the formulas."""

    teacher: Path | None = None  # a training folder; else the real-valued twin, which is trained first
    logits: Share = 0.5  # a: the weight of the teacher's logits in the loss; 1 - a is that of the labels
    temperature: Annotated[float, Field(ge=1e-3, le=1e6)] = 4.0
    features: Factor = 0.0  # b
    compare: Literal["l2", "attention"] = "l2"


class TrainConfig(Table):
    """How the network is trained. Learning rate and weight decay default to the method's own."""

    method: MethodConfig = Adiabatic()
    epochs: Count = 60  # at most; the target and patience schedules may end earlier
    early_stopping: Count | None = None  # epochs without a better hard validation accuracy after the anneal
    batch_size: Annotated[int, Field(ge=2, le=MOST)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 0.01
    learning_rate_schedule: Literal["cosine", "constant"] = "cosine"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: Factor = 1.0  # decoupled, on the weights alone
    loss: Literal["cross-entropy", "square-hinge"] = "cross-entropy"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Augmentation of the training frames; each number bounds a random draw from both sides:
    shift: Annotated[float, Field(ge=0, le=4)] = 0.0  # pixels
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0  # degrees
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # share of the size
    moved: Share = 1.0  # share of the frames that are shifted, rotated and zoomed
    crop: Pads = (0, 0)  # whole rows and columns
    flip: bool = False  # mirror half of the frames, left to right

    reestimation: Annotated[int, Field(ge=0, le=1000)] = 1  # passes that re-estimate batch-norm statistics at the end
    devices: Processes = 1  # processes per machine; they share each batch
    machines: Processes = 1  # they meet by `adiabit train --machine --meet`
    compile: bool = False  # steps by torch.compile: slow to start; benchmarks/step.md has the gain
    device: Literal["cpu", "cuda"] = "cpu"  # a GPU is faster for large networks, and its rounding differs
    precision: Literal["float32", "bfloat16"] = "float32"  # of products in training; measurements are in float32
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None  # of torch, else its choice; 1 is fastest for a TFC
    seed: Seed = 0
    distill: Distill | None = None

    @model_validator(mode="before")
    @classmethod
    def _method_gives_defaults(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        own = METHODS.get(table.get("method", Adiabatic()), Adiabatic)
        return {"learning_rate": own.learning_rate, "weight_decay": own.weight_decay, **table}

    @model_validator(mode="after")
    def _batches_can_be_split(self) -> Self:
        if self.batch_size % self.processes or self.batch_size == self.processes:
            raise ValueError(
                f"batch_size = {self.batch_size} must be a multiple of devices x machines = {self.processes}, and "
                "greater"
            )
        return self

    @property
    def processes(self) -> int:
        """The number of processes that train together."""
        return self.devices * self.machines


def check_sizes(data: DataConfig, model: ModelConfig, train: TrainConfig) -> None:
    """`UserError` where the network does not fit its frames or the memory, or the crop exceeds the frames."""
    height, width, _ = data.source.shape
    if model.module is None:
        model.shapes(model.frame(data.source.shape), data.source.classes)
    elif train.dropout:
        raise UserError(
            f"recipe: [train]: dropout = {train.dropout}: {model.title} is a module of your own, which has its dropout "
            "itself; add nn.Dropout to it"
        )
    if train.crop[0] > height or train.crop[1] > width:
        raise UserError(
            f"recipe: [train]: crop = {list(train.crop)}: frames of {data.dataset} have {height} x {width} pixels; "
            "crop fewer, usually 4"
        )
