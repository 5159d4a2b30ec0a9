# SPDX-License-Identifier: Apache-2.0
"""What a finished training left, checked as far as a comparison uses it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adiabit.flows import documents
from adiabit.train.checkpoint import MODEL, ModelCard

Share = Annotated[float, Field(ge=0, le=1)]


def _gap(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Metrics(BaseModel):
    """metrics.json; `seconds` are of the whole training."""

    model_config = ConfigDict(frozen=True)

    soft_test: Share
    hard_test: Share
    hard_validation: Share
    epochs: int = Field(ge=1)
    seconds: float = Field(ge=0, allow_inf_nan=False)


class History(BaseModel):
    """history.json; an epoch whose accuracy is not a number is None."""

    model_config = ConfigDict(frozen=True)

    hard_accuracy: tuple[Annotated[Share | None, BeforeValidator(_gap)], ...] = Field(min_length=1)


@dataclass(frozen=True)
class Result:
    """A finished training."""

    metrics: Metrics
    accuracies: tuple[float | None, ...]  # hard, validation, by epoch


def load(folder: Path) -> Result:
    """Read the folder of a finished training; `UserError` where one of its files is damaged."""
    _read(ModelCard, folder / MODEL)
    history = _read(History, folder / "history.json")
    return Result(_read(Metrics, folder / "metrics.json"), history.hard_accuracy)


_T = TypeVar("_T", bound=BaseModel)


def _read(model: type[_T], path: Path) -> _T:
    return documents.read(model, path, f"delete the folder {path.parent}, it is trained anew")
