# SPDX-License-Identifier: Apache-2.0
"""What can be chosen about data, model and training; frozen, checked at construction, unknown keys refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HARD = 1e3  # from this slope on tanh(k * x) counts as sign(x) (Zhao & Xiao, 2021)
TOPOLOGIES = {"tfc": (64, 64, 64), "sfc": (256, 256, 256), "lfc": (1024, 1024, 1024)}  # FINN's names (2017)
CLASSES = 10
PIXELS = 784

Share = Annotated[float, Field(ge=0, le=1)]
Slope = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Table):
    """Which frames are learnt and measured on."""

    dataset: Literal["digits", "mnist"] = "digits"
    dir: Path | None = None  # where the idx files of MNIST lie; else ADIABIT_DATA, else a download
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the training split, stratified
    seed: int = 0  # of the validation split


class ModelConfig(Table):
    """A dense network: 784 pixels, hidden layers, 10 classes."""

    topology: Literal["tfc", "sfc", "lfc", "free"] = "tfc"
    widths: tuple[Annotated[int, Field(ge=1)], ...] = ()  # hidden layers of a free topology
    input_bits: Literal[1, 8] = 1  # 1: pixels from 128 on are +1, others -1 (FINN's TFC); 8: the pixels themselves
    activation: Literal["relu", "tanh"] = "relu"  # of the real-valued twin alone
    init: Annotated[float, Field(gt=0)] = 0.1  # standard deviation of the initial latent weights

    @model_validator(mode="after")
    def _free_topologies_have_widths(self) -> Self:
        if (self.topology == "free") != bool(self.widths):
            raise ValueError('widths go with topology = "free", and with no other')
        return self

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return self.widths or TOPOLOGIES[self.topology]


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
    reestimation: Annotated[int, Field(ge=0)] = 1  # passes that re-estimate batch-norm statistics at the end
    threads: Annotated[int, Field(ge=1)] | None = None  # of torch, else its own choice; 1 is quickest for a TFC
    seed: int = 0
    schedule: Annotated[Budget | Target | Patience, Field(discriminator="kind")] = Budget()

    @model_validator(mode="before")
    @classmethod
    def _schedules_name_their_kind(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("schedule"), dict):
            return {**table, "schedule": {"kind": "budget", **table["schedule"]}}
        return table
