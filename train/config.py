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

    teacher: Path | None = None
    """A training folder, e.g. `build/tfc/train`; else the real-valued twin, which is trained first, for as many
    epochs.
    """
    logits: Share = 0.5
    """Weight of the teacher's logits in the loss; the labels have the rest."""
    temperature: Annotated[float, Field(ge=1e-3, le=1e6)] = 4.0
    """Of the logits."""
    features: Factor = 0.0
    """Weight of the distance between the batch norms' outputs."""
    compare: Literal["l2", "attention"] = "l2"
    """How these are compared."""


class TrainConfig(Table):
    """How the network is trained. Learning rate and weight decay default to the method's own."""

    method: MethodConfig = Adiabatic()
    """A name, or a table `[train.method]` with `name` and the method's keys: below."""
    epochs: Count = 60
    """At most; the target and patience schedules may end earlier."""
    early_stopping: Count | None = None
    """Training ends after so many epochs without a better hard validation accuracy, counted from the end of the
    anneal.
    """
    batch_size: Annotated[int, Field(ge=2, le=MOST)] = 256
    """Frames a step."""
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 0.01
    """The default is the method's own."""
    learning_rate_schedule: Literal["cosine", "constant"] = "cosine"
    """Over the epochs."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Of most methods; some have their own."""
    weight_decay: Factor = 1.0
    """Decoupled, on the weights alone; the default is the method's own."""
    loss: Literal["cross-entropy", "square-hinge"] = "cross-entropy"
    """Of the logits."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the activations that are dropped."""
    # Augmentation of the training frames; each number bounds a random draw from both sides:
    shift: Annotated[float, Field(ge=0, le=4)] = 0.0
    """Augmentation: pixels by which frames are shifted at random, at most."""
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0
    """Augmentation: degrees by which they are rotated."""
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Augmentation: share of the size by which they are zoomed."""
    moved: Share = 1.0
    """Share of the frames that are shifted, rotated and zoomed."""
    crop: Pads = (0, 0)
    """Augmentation: whole pixels by which frames are shifted at random and cut off at the border, one number or
    `[rows, columns]`; 4 is usual for CIFAR-10.
    """
    flip: bool = False
    """Augmentation: half of the frames are mirrored, left to right."""

    reestimation: Annotated[int, Field(ge=0, le=1000)] = 1
    """Passes over the training frames, augmented, that re-estimate the batch-norm statistics at the end, with hard
    weights and activations.
    """
    devices: Processes = 1
    """Per machine, with a process each; they share each batch and average their gradients (DDP)."""
    machines: Processes = 1
    """That train together: run `adiabit train RECIPE --meet HOST:PORT` on the first, which keeps the results, and the
    same with `--machine 1`, `--machine 2`, ... on the others; they wait `--wait` seconds for each other, 120 by
    default. The connections are neither encrypted nor authenticated: use a trusted network. Processes of a single
    machine communicate over its loopback only.
    """
    compile: bool = False
    """Steps by torch.compile: a minute to start, then faster on a CPU for dense networks and slower for most
    convolutional ones ([step.md](../benchmarks/step.md)).
    """
    device: Literal["cpu", "cuda"] = "cpu"
    """`"cuda"`: a GPU, faster for large networks; its rounding differs."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of products in training; `"bfloat16"` is several times as fast on CPUs and GPUs that support it
    ([step.md](../benchmarks/step.md)). The network's final accuracies are measured in float32.
    """
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Of torch, by default its own choice; 1 is fastest for a TFC."""
    seed: Seed = 0
    """Of initial weights, batches and augmentation."""
    distill: Distill | None = None
    """Knowledge distillation, see below."""

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

    @property
    def fusible(self) -> bool:
        """Whether the kernels' type is that of the steps, and nothing reads what the batch norms return."""
        features = self.distill is not None and self.distill.features > 0
        return self.precision == "bfloat16" and self.device == "cpu" and not self.compile and not features


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
