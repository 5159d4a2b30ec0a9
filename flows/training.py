# SPDX-License-Identifier: Apache-2.0
"""`metrics.json` and `history.json` of a finished training, as the report and a comparison read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from adiabit.flows import documents

METRICS, HISTORY = "metrics.json", "history.json"


def _gap(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Share = Annotated[float, Field(ge=0, le=1)]
Figure = Annotated[float | None, BeforeValidator(_gap)]  # None where training came to NaN or infinity
History = dict[str, list[Figure]]  # by measure: a figure an epoch


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """A training's result; accuracies are shares of 1. Trainings of older versions lack what may be None."""

    soft_test: Share
    hard_test: Share
    hard_validation: Share
    soft_validation: Share | None = None
    epochs: Annotated[int, Field(ge=1)]
    chosen_epoch: int | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # of the whole training
    method: str | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """Of the history."""

    hard_accuracy: Annotated[tuple[Annotated[Share | None, BeforeValidator(_gap)], ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Training(Metrics):
    """The result, and how it came about."""

    history: History


def load_metrics(folder: Path, remedy: str = "") -> Metrics:
    """Read `metrics.json`; `UserError` ending in `remedy` where it is missing or damaged."""
    return documents.read(Metrics, folder / METRICS, remedy)


def load_accuracies(folder: Path, remedy: str = "") -> tuple[float | None, ...]:
    """Hard validation accuracies by epoch, from `history.json`; `UserError` as :func:`load_metrics`."""
    return documents.read(_Curve, folder / HISTORY, remedy).hard_accuracy


def load(folder: Path, remedy: str = "") -> Training:
    """Read both files; `UserError` ending in `remedy` where one is missing or damaged."""
    history = documents.read(History, folder / HISTORY, remedy)
    return Training(**vars(load_metrics(folder, remedy)), history=history)
