# SPDX-License-Identifier: Apache-2.0
"""What can be chosen about data and training; frozen, checked at construction, unknown keys refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from adiabit.train.topology import ModelConfig, Pads, Shape, Table

__all__ = ["DataConfig", "ModelConfig", "Table", "TrainConfig"]

HARD = 1e3  # from this slope on tanh(k * x) counts as sign(x) (Zhao & Xiao, 2021)
Share = Annotated[float, Field(ge=0, le=1)]
Slope = Annotated[float, Field(gt=0)]


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
    speaker: str = "theo"  # who is the test of split = "speaker"
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the training split, stratified
    seed: int = 0  # of the validation split

    @property
    def source(self) -> Source:
        """What the data set's frames are."""
        return SOURCES[self.dataset]


class Budget(Table):
    """k as a function of the share of the epochs that is done: the anneal fits any budget.

    Activations go first, geometrically from `activations[0]` to `activations[1]` until `activations_until`,
    with Gaussian noise of std `noise / k` before the tanh. From there on their forward is sign and their
    backward k * (1 - tanh(k * x)**2) with k = `backward`. The weights' k goes geometrically through `weights`
    between the shares `weights_from` and `weights_until`. It is a variant of the adiabatic method with a
    hard forward and a soft backward in the activations. The weights' gradient is true throughout; or, where
    `weights_backward` is given, their forward is sign too from `weights_until` on, and it is their backward's k.
    """

    kind: Literal["budget"] = "budget"
    activations: tuple[Slope, Slope] = (1.0, 10.0)
    activations_until: Share = 0.3
    backward: Slope = 1.6
    noise: Annotated[float, Field(ge=0)] = 1.0
    weights: tuple[Slope, Slope] = (3.0, 300.0)
    weights_from: Share = 0.4
    weights_until: Share = 0.95
    weights_backward: Slope | None = None

    @model_validator(mode="after")
    def _weights_end_after_they_begin(self) -> Self:
        if self.weights_from >= self.weights_until:
            raise ValueError("weights_from must be less than weights_until")
        return self


class Target(Table):
    """Schedule A of Zhao & Xiao, Scientific Reports 11, 19797 (2021): push k while a target accuracy holds.

    While the soft validation accuracy is at or above `target`, k is multiplied by `factor`, at most `pushes`
    times in a row, weights and activations in turn. After `patience` epochs short of it the target becomes the
    best accuracy seen at this k, and k is pushed. A push zeroes the optimizer's state. Learning rate:
    lr0 / (k / k_base)**power with k the larger of the two. Ends when both exceed 1e3.
    """

    kind: Literal["target"] = "target"
    target: Share = 1.0
    k: Slope = 1.0
    factor: Annotated[float, Field(gt=1)] = 1.5
    pushes: Annotated[int, Field(ge=1)] = 3
    patience: Annotated[int, Field(ge=1)] = 3
    k_base: Slope = 1.0
    power: Annotated[float, Field(ge=0)] = 0.5


class Patience(Table):
    """Schedule B of the same paper (its ResNet-20): push when `patience` epochs bring no better hard accuracy.

    Ends after `stale` epochs without a better hard accuracy, or when both k exceed 1e3.
    """

    kind: Literal["patience"] = "patience"
    k: Slope = 1.0
    factor: Annotated[float, Field(gt=1)] = 1.5
    patience: Annotated[int, Field(ge=1)] = 15
    stale: Annotated[int, Field(ge=1)] = 45
    k_base: Slope = 1.0
    power: Annotated[float, Field(ge=0)] = 0.5


class TrainConfig(Table):
    """How the network is learnt.

    `adiabatic`: tanh(k * x), k grows (Zhao & Xiao, 2021). `ste`: sign with a clipped pass-through gradient
    (BinaryNet, Courbariaux et al., 2016). `real`: the real-valued twin of the same topology.
    """

    method: Literal["adiabatic", "ste", "real"] = "adiabatic"
    epochs: Annotated[int, Field(ge=1)] = 60  # at most; the target and patience schedules may end before
    batch_size: Annotated[int, Field(ge=2)] = 256
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    learning_rate_schedule: Literal["cosine", "constant"] = "cosine"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0)] = 1.0  # decoupled, on weights alone; it keeps latent weights movable
    loss: Literal["cross-entropy", "square-hinge"] = "cross-entropy"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shift: Annotated[float, Field(ge=0, le=4)] = 0.0  # augmentation: training frames move up to so many pixels,
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0  # turn up to so many degrees,
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # grow or shrink up to this share,
    moved: Share = 1.0  # so many of them
    crop: Pads = (0, 0)  # up to so many whole rows and columns, which cuts them off; then
    flip: bool = False  # half of them are mirrored, left to right
    reestimation: Annotated[int, Field(ge=0)] = 1  # passes that re-estimate batch-norm statistics at the end
    device: Literal["cpu", "cuda"] = "cpu"  # a GPU is quicker for large networks, and its runs differ in rounding
    precision: Literal["float32", "bfloat16"] = "float32"  # of products while training; what is measured is float32
    threads: Annotated[int, Field(ge=1)] | None = None  # of torch, else its own choice; 1 is quickest for a TFC
    seed: int = 0
    schedule: Annotated[Budget | Target | Patience, Field(discriminator="kind")] = Budget()

    @model_validator(mode="before")
    @classmethod
    def _schedules_name_their_kind(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("schedule"), dict):
            return {**table, "schedule": {"kind": "budget", **table["schedule"]}}
        return table
