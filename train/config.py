# SPDX-License-Identifier: Apache-2.0
"""What can be chosen about data and training; frozen, checked at construction, unknown keys refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from adiabit.errors import UserError
from adiabit.train.methods.tables import Adiabatic, Factor, MethodConfig, Share, named, rules
from adiabit.train.topology import MOST, Count, ModelConfig, Pads, Shape, Table

__all__ = ["DataConfig", "ModelConfig", "Table", "TrainConfig"]

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what is derived from one for epochs and processes stays in 64 bits
Processes = Annotated[int, Field(ge=1, le=1024)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


@dataclass(frozen=True)
class Source:
    """What the frames of a data set are."""

    shape: Shape  # (H, W, C)
    classes: int


SOURCES = {
    "digits": Source((28, 28, 1), 10),
    "mnist": Source((28, 28, 1), 10),
    "cifar10": Source((32, 32, 3), 10),
    "catdog": Source((64, 64, 1), 2),
    "spoken-digits": Source((64, 32, 1), 10),  # 64 steps of time, 32 bands of pitch
}


class DataConfig(Table):
    """Which frames are learnt and measured on."""

    dataset: Literal["digits", "mnist", "cifar10", "catdog", "spoken-digits"] = "digits"
    dir: Path | None = None  # where the files lie; else ADIABIT_DATA, else (MNIST alone) a download
    split: Literal["upstream", "speaker"] = "upstream"  # of spoken digits: recordings 0-4 are the test, or one speaker
    speaker: Name = "theo"  # who is the test of split = "speaker"
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the training split, stratified
    seed: Seed = 0  # of the validation split

    @property
    def source(self) -> Source:
        """What the data set's frames are."""
        return SOURCES[self.dataset]


class Distill(Table):
    """What is learnt from a teacher; `train/distill.py` has the formulas."""

    teacher: Path | None = None  # a training folder; else the real-valued twin, which is trained first
    logits: Share = 0.5  # a: what of the loss comes from the teacher's logits, the rest from the labels
    temperature: Annotated[float, Field(ge=1e-3, le=1e6)] = 4.0
    features: Factor = 0.0  # b
    compare: Literal["l2", "attention"] = "l2"


class TrainConfig(Table):
    """How the network is learnt. Learning rate and weight decay are the method's own where they are not given."""

    method: MethodConfig = Adiabatic()
    epochs: Count = 60  # at most; the target and patience schedules may end before
    early_stopping: Count | None = None  # epochs without a better hard validation accuracy,
    # counted from where nothing anneals any more
    batch_size: Annotated[int, Field(ge=2, le=MOST)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 0.01  # else the method's
    learning_rate_schedule: Literal["cosine", "constant"] = "cosine"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: Factor = 1.0  # decoupled, on weights alone; else the method's
    loss: Literal["cross-entropy", "square-hinge"] = "cross-entropy"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shift: Annotated[float, Field(ge=0, le=4)] = 0.0  # augmentation: training frames move up to so many pixels,
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0  # turn up to so many degrees,
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # grow or shrink up to this share,
    moved: Share = 1.0  # so many of them
    crop: Pads = (0, 0)  # up to so many whole rows and columns, which cuts them off; then
    flip: bool = False  # half of them are mirrored, left to right
    reestimation: Annotated[int, Field(ge=0, le=1000)] = 1  # passes that re-estimate batch-norm statistics at the end
    devices: Processes = 1  # of each machine, a process each, which share each batch;
    machines: Processes = 1  # `adiabit train --machine --meet` tells how they come together
    compile: bool = False  # the steps by torch.compile: slow to start; benchmarks/step.md tells what it brings
    device: Literal["cpu", "cuda"] = "cpu"  # a GPU is quicker for large networks, and its runs differ in rounding
    precision: Literal["float32", "bfloat16"] = "float32"  # of products while training; what is measured is float32
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None  # of torch, else its choice; 1 is quickest for a TFC
    seed: Seed = 0
    distill: Distill | None = None

    @model_validator(mode="before")
    @classmethod
    def _method_gives_what_is_left_out(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        method = named(table.get("method", "adiabatic"))
        own = {key: getattr(rules(method), key) for key in ("learning_rate", "weight_decay")}
        return {**own, **table, "method": method}

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Self:
        if self.batch_size % self.processes or self.batch_size == self.processes:
            raise ValueError(
                f"batch_size = {self.batch_size} must be a multiple of devices x machines = {self.processes}, and "
                "greater"
            )
        return self

    @property
    def processes(self) -> int:
        """How many train together."""
        return self.devices * self.machines


def check_sizes(data: DataConfig, model: ModelConfig, train: TrainConfig) -> None:
    """`UserError` where the network does not fit its frames or the memory, or a crop exceeds the frames."""
    height, width, _ = data.source.shape
    model.shapes(model.frame(data.source.shape), data.source.classes)
    if train.crop[0] > height or train.crop[1] > width:
        raise UserError(
            f"recipe: [train]: crop = {list(train.crop)}: frames of {data.dataset} have {height} x {width} pixels; "
            "crop fewer, usually 4"
        )
